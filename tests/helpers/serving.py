"""`jaxstyle serve` in processes of its own, and visitors that talk to it over the network."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import requests

from helpers.command_line import environment

PATIENCE = 300  # seconds: compilations on a busy machine


class Served:
    """A page that runs, with its data in a folder; it can be killed and started again."""

    def __init__(self, folder: Path, **variables: str):
        self.folder = folder
        self.port = 0
        self._environment = environment() | {
            "JAXSTYLE_WEB_DATA": str(folder / "data"),
            "JAXSTYLE_WEB_LEASE_SECONDS": "3",
            "JAXSTYLE_WEB_MAX_CLAIMS": "1000",
            "JAXSTYLE_WEB_WARM_SIZE": "0",
            **variables,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Served":
        log = (self.folder / "log").open("ab")
        command = [sys.executable, "-m", "jaxstyle", "serve", "--port", str(self.port)]
        began = log.tell()
        with log:
            self.process = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        self.port = int(
            until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", self._log(began)))[1]
        )
        until(self._answers)
        return self

    def _log(self, began: int) -> str:
        assert self.process.poll() is None, self.log()
        return (self.folder / "log").read_bytes()[began:].decode()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthy", timeout=5).ok
        except requests.RequestException:
            return False

    def children(self, words: str) -> list[int]:
        """Process ids of the web processes ("jaxstyle.web.server") or workers ("worker")."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and words in line:
                found.append(int(place.name))
        return found

    def kill(self, words: str) -> None:
        for each in self.children(words):
            os.kill(each, signal.SIGKILL)

    def kill_all(self) -> None:
        """Kills the supervisor; the others see that it has gone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)


class Guest:
    """A visitor with a session of requests."""

    def __init__(self, url: str):
        self.url, self.http = url, requests.Session()
        self.http.headers["X-CSRFToken"] = self.get("/api/session")["token"]

    def get(self, path: str):
        answer = self.http.get(self.url + path, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **content):
        answer = self.http.post(self.url + path, timeout=60, **content)
        assert answer.ok, answer.text
        return answer.json()

    def upload(self, data: bytes) -> str:
        return self.post("/api/uploads", data=data)["id"]

    def paint(self, **request) -> str:
        return self.post("/api/jobs", json=request)["id"]

    def job(self, name: str):
        return self.get(f"/api/jobs/{name}")


def until(what, patience: float = PATIENCE):
    """Waits until something is true, and returns it."""
    limit = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.1)
    return found
