"""Measures the page: visitors at once, kills, and the time from the start to the first picture.

    python -m scripts.benchmarks.serve visitors --count 50
    python -m scripts.benchmarks.serve kills --worker 20 --server 5
    python -m scripts.benchmarks.serve kills --worker 20 --server 5 --command apply
    python -m scripts.benchmarks.serve start

Each prints a line of JSON; 25 kills take some minutes. Everything runs on this machine, over
loopback, with small pictures and the networks that the package ships.
"""

import argparse
import contextlib
import io
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from jaxstyle import samples

_PATIENCE = 1800.0
_IDLE = 60  # processor ticks in five seconds: it only asks the database


class Page:
    """`jaxstyle serve` on a free port, with its data in a folder of its own."""

    def __init__(self, folder: Path, **variables: str):
        self._folder, self._port = folder, 0
        self._environment = os.environ | {"JAXSTYLE_WEB_DATA": str(folder / "data"), **variables}

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [sys.executable, "-m", "jaxstyle", "serve", "--port", str(self._port)]
        with (self._folder / "log").open("ab") as log:
            began = log.tell()
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        self._port = int(wait_for(lambda: self._address(began))[1])
        wait_for(self.answers)

    def _address(self, began: int) -> Any:
        text = (self._folder / "log").read_bytes()[began:].decode()
        return re.search(r"http://127\.0\.0\.1:(\d+)/", text)

    def answers(self) -> bool:
        """Tells whether it answers."""
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/healthy", timeout=5).ok
        return False

    def kill(self, words: str) -> None:
        """Kills the children whose command has some words in it."""
        for number, _ in self._children(words):
            os.kill(number, signal.SIGKILL)

    def settle(self) -> None:
        """Waits until the worker has nothing left to do."""
        before = -1
        while (now := sum(ticks for _, ticks in self._children("--only worker"))) - before > _IDLE:
            before = now
            time.sleep(5)

    def _children(self, words: str) -> Iterator[tuple[int, int]]:
        """Yields the children whose command has some words in it, and their processor ticks."""
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                parts = (place / "stat").read_text().rpartition(")")[2].split()
                if int(parts[1]) == self.process.pid and words in line:
                    yield int(place.name), int(parts[11]) + int(parts[12])

    def kill_all(self) -> None:
        """Kills the supervisor; its children see that it has gone."""
        self.process.kill()
        self.process.wait()
        wait_for(lambda: not self.answers())

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait()


class Visitor:
    """A session."""

    def __init__(self, url: str):
        self.url, self.http = url, requests.Session()
        self.http.headers["X-CSRFToken"] = self.get("/api/session").json()["token"]

    def get(self, path: str, **options: Any) -> requests.Response:
        """Returns an answer, which has to be right."""
        answer = self.http.get(self.url + path, timeout=_PATIENCE, **options)
        answer.raise_for_status()
        return answer

    def post(self, path: str, **content: Any) -> Any:
        """Sends something, and returns the JSON that comes back."""
        answer = self.http.post(self.url + path, timeout=_PATIENCE, **content)
        answer.raise_for_status()
        return answer.json()

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        """Yields the events of a job until it has ended."""
        with self.get(f"/api/jobs/{job}/events", stream=True) as answer:
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


def wait_for(what: Callable[[], Any]) -> Any:
    """Waits until something is true, and returns it."""
    limit = time.monotonic() + _PATIENCE
    while not (found := what()):
        if time.monotonic() > limit:
            raise TimeoutError("it took too long")
        time.sleep(0.05)
    return found


def photograph(size: int, seed: int = 0) -> bytes:
    """Returns a PNG of the sample, each seed another crop."""
    file = io.BytesIO()
    with Image.open(samples.LAKE) as image:
        small = image.convert("RGB").resize((size, size * 3 // 4))
        small.rotate(seed % 4).save(file, "PNG")
    return file.getvalue()


def ready(page: Page) -> None:
    """Waits until the worker has published what can be asked for."""
    wait_for(lambda: requests.get(f"{page.url}/api/catalogue", timeout=60).ok)


def visitors(page: Page, count: int, size: int) -> dict[str, Any]:
    """Lets visitors come at once, each of whom uploads a photograph and watches it painted."""
    ready(page)
    warm = Visitor(page.url)
    paint(warm, photograph(size), {"size": size, "style": "swirls"}, lambda _: None)
    pages: list[float] = []
    firsts: list[float] = []
    errors: list[str] = []
    done: list[str] = []
    barrier = threading.Barrier(count)

    def visit(number: int) -> None:
        barrier.wait()
        try:
            begin = time.monotonic()
            requests.get(f"{page.url}/", timeout=_PATIENCE).raise_for_status()
            pages.append(time.monotonic() - begin)
            visitor = Visitor(page.url)
            last = paint(
                visitor, photograph(size, number), {"size": size, "style": "swirls"}, firsts.append
            )
            done.append(last["state"])
        except Exception as error:
            errors.append(repr(error)[:200])

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "visitors": count, "errors": errors, "done": done.count("done"),
        "page_p95": _p95(pages), "first_event_p95": _p95(firsts),
    }  # fmt: skip


def paint(
    visitor: Visitor, data: bytes, options: dict[str, Any], first: Callable[[float], None]
) -> dict[str, Any]:
    """Uploads a photograph, has it painted, and returns the last event."""
    upload = visitor.post("/api/uploads", data=data)["id"]
    request = {"command": "apply", "photograph": upload, "options": options}
    begin = time.monotonic()
    job = visitor.post("/api/jobs", json=request)["id"]
    last: dict[str, Any] = {}
    for event in visitor.events(job):
        if not last:
            first(time.monotonic() - begin)
        last = event
    return last


def kills(
    page: Page, worker: int, server: int, size: int, command: str, seed: int = 0
) -> dict[str, Any]:
    """Kills the worker and the server at random moments, while pictures are made in many steps."""
    ready(page)
    rng = random.Random(seed)
    visitor = Visitor(page.url)
    content = visitor.post("/api/uploads", data=photograph(size))["id"]
    style = visitor.post("/api/uploads", data=samples.SWIRLS.read_bytes())["id"]
    asked: dict[str, Any] = {
        "command": "stylize", "photograph": content, "painting": style,
        "options": {"size": size, "network": "compact", "steps": 400,
                    "content-layers": "relu2_1", "style-layers": "relu1_1"},
    }  # fmt: skip
    if command == "apply":
        options = {"size": size, "style": "swirls", "polish": 400}
        asked = {"command": "apply", "photograph": content, "options": options}
    jobs = [visitor.post("/api/jobs", json=asked)["id"] for _ in range(3)]
    plan = ["worker"] * worker + ["server"] * server
    rng.shuffle(plan)
    steps: dict[str, int] = {}
    began, killed, returns = time.monotonic(), [], []
    for what in plan:
        wait_for(lambda: _further(visitor, steps))
        returns += [time.monotonic() - killed[-1]] if killed else []
        time.sleep(rng.random())
        if what == "worker":
            page.kill("--only worker")
        else:
            page.kill_all()
            page.start()
            visitor.http.close()  # its connections went with the server
        killed.append(time.monotonic())
        if not _unfinished(visitor):
            jobs += [visitor.post("/api/jobs", json=asked)["id"] for _ in range(3)]
    wait_for(lambda: not _unfinished(visitor))
    found = visitor.get("/api/jobs").json()["jobs"]
    pictures = {visitor.get(f"/api/jobs/{job}/picture-16.png").content for job in jobs}
    return {
        "command": command, "worker_kills": worker, "server_kills": server,
        "asked": len(jobs), "listed": len(found),
        "done": sum(job["state"] == "done" and job["step"] == 400 for job in found),
        "different_pictures": len(pictures), "seconds": round(time.monotonic() - began, 1),
        "from_a_kill_to_a_step": {"median": round(statistics.median(returns), 1),
                                  "longest": round(max(returns), 1)} if returns else None,
    }  # fmt: skip


def _further(visitor: Visitor, steps: dict[str, int]) -> bool:
    """Tells whether any picture has a step that it had not when this was asked last."""
    now = {job["id"]: job["step"] for job in visitor.get("/api/jobs").json()["jobs"]}
    moved = any(step > steps.get(name, 0) for name, step in now.items())
    if moved:
        steps.update(now)
    return moved or not _unfinished(visitor)


def _unfinished(visitor: Visitor) -> bool:
    jobs = visitor.get("/api/jobs").json()["jobs"]
    return any(job["state"] not in ("done", "failed") for job in jobs)


def start(folder: Path, size: int) -> dict[str, Any]:
    """Times starts: to the page, to the painter, and from a drop to a first picture.

    The first has nothing that was kept. The second begins again at once, with what it has kept. The
    third waits until the worker has made ready what it can.
    """
    found: dict[str, Any] = {}
    for name in ("cold", "again", "idle"):
        page = Page(folder, XDG_CACHE_HOME=str(folder / "cache"))
        begin = time.monotonic()
        page.start()
        answered = time.monotonic() - begin
        ready(page)
        catalogue = time.monotonic() - begin
        if name == "idle":
            page.settle()
        visitor = Visitor(page.url)
        times = []
        for _ in range(2):
            begin = time.monotonic()
            paint(visitor, photograph(size), {"size": size, "style": "swirls"}, lambda _: None)
            times.append(time.monotonic() - begin)
        page.stop()
        found[name] = {
            "page": round(answered, 2), "painter": round(catalogue, 2),
            "first_picture": round(times[0], 2), "second_picture": round(times[1], 2),
        }  # fmt: skip
    return found


def _p95(values: list[float]) -> float | None:
    return round(statistics.quantiles(values, n=20)[-1], 3) if len(values) > 1 else None


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("visitors", "kills", "start"))
    parser.add_argument("--count", type=int, default=50, help="visitors at once")
    parser.add_argument("--worker", type=int, default=20, help="kills of the worker")
    parser.add_argument("--server", type=int, default=5, help="kills of the whole server")
    parser.add_argument("--command", choices=("stylize", "apply"), default="stylize",
                        help="what is killed")  # fmt: skip
    parser.add_argument("--size", type=int, default=64, help="longer side of the pictures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.what == "start":
            print(json.dumps(start(folder, given.size)))
            return
        page = Page(
            folder,
            JAXSTYLE_WEB_LEASE_SECONDS="5",
            JAXSTYLE_WEB_MAX_CLAIMS="1000",
            JAXSTYLE_WEB_WARM_SIZE="0",
        )
        page.start()
        try:
            if given.what == "visitors":
                print(json.dumps(visitors(page, given.count, given.size)))
            else:
                print(
                    json.dumps(kills(page, given.worker, given.server, given.size, given.command))
                )
        finally:
            page.stop()


if __name__ == "__main__":
    main()
