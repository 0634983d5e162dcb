"""The supervisor: starts web processes and workers, and replaces those that end.

It imports no JAX either, and does nothing but wait. The socket is its own, so while a web process
is replaced nobody is turned away.
"""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

import django
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.exceptions import MigrationSchemaMissing

from jaxstyle._common.huge_pages import with_huge_pages
from jaxstyle.errors import UsageError
from jaxstyle.web.environment import PARENT

_PAUSE = 0.1
_GRACE = 10.0  # seconds in which processes end by themselves
_SHORTEST, _LONGEST = 0.2, 10.0  # seconds before a process is started again
_TRIES, _RETRY = 5, 0.5  # of giving the database its tables, and the seconds between
_HEALTHY = 30.0  # seconds after which an end counts as the first again
PLAN = "JAXSTYLE_WEB_PLAN"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to run.

    Attributes:
      host: address to listen at.
      port: of the page; 0 takes any that is free.
      web: how many web processes.
      workers: how many workers, one for each device.
    """

    host: str
    port: int
    web: int
    workers: int


class _Child:
    """A process that is started again whenever it ends."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], descriptors: tuple[int, ...] = ()
    ):
        self._command = command
        self._environment = {**environment, PARENT: str(os.getpid())}
        self._descriptors = descriptors
        self._wait, self._due = _SHORTEST, 0.0
        self._began = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Starts the process if it does not run, and is due."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            lived = now - self._began
            self._wait = _SHORTEST if lived > _HEALTHY else min(_LONGEST, 2 * self._wait)
            self._due = now + self._wait
            self.process = None
        if self.process is None and now >= self._due:
            self._began = now
            self.process = subprocess.Popen(
                self._command, env=self._environment, pass_fds=self._descriptors,
                start_new_session=True,  # Ctrl-C is for the supervisor to pass on
            )  # fmt: skip


def run(plan: Plan) -> int:
    """Runs until SIGINT or SIGTERM; returns the exit status.

    Raises:
      UsageError: if the port is taken.
      OSError: if the folder of data cannot be written.
    """
    django.setup()
    migrate()
    with contextlib.ExitStack() as stack:
        descriptors: tuple[int, ...] = ()
        if plan.web:
            opened = stack.enter_context(listen(plan.host, plan.port))
            descriptors = (opened.fileno(),)
            print(f"jaxstyle: the page is at {address(plan.host, opened)}", flush=True)
        children = [
            _Child(
                [sys.executable, "-m", "jaxstyle.web.server", str(descriptors[0])],
                os.environ, descriptors,
            )
            for _ in range(plan.web)
        ] + [
            _Child(
                [sys.executable, "-m", "jaxstyle", "serve", "--only", "worker"],
                _environment_of(slot, plan.workers),
            )
            for slot in range(plan.workers)
        ]  # fmt: skip
        _watch(children)
    return 0


def migrate() -> None:
    """Gives the database its tables.

    Several machines may begin at once, and of two that make the same table one fails. It finds the
    table there when it tries again.

    Raises:
      UsageError: if the database cannot be used.
    """
    for left in reversed(range(_TRIES)):
        try:
            call_command("migrate", verbosity=0, interactive=False)
            return
        except (DatabaseError, MigrationSchemaMissing) as error:
            connection.close()
            if not left:
                reason = " ".join(str(error).split())[:300]
                raise UsageError(f"DATABASE_URL: the database cannot be used ({reason})") from None
            time.sleep(_RETRY)


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens.

    Raises:
      UsageError: if it cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0  # those of names are negative
        reason = os.strerror(number) if number > 0 else str(error)
        raise UsageError(
            f"{host}:{port}: cannot be listened at ({reason.lower()}); give another --port"
        ) from None


def address(host: str, opened: socket.socket) -> str:
    """Returns the address that a browser takes."""
    port = opened.getsockname()[1]
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def _watch(children: list[_Child]) -> None:
    """Keeps processes running until a signal comes, and then ends them."""
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: ended.append(number))
    while not ended:
        for child in children:
            child.look()
        time.sleep(_PAUSE)
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    limit = time.monotonic() + _GRACE
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, limit - time.monotonic()))
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def _environment_of(slot: int, workers: int) -> dict[str, str]:
    """Returns the environment of a worker, which sees the device of its own among several."""
    environment = {**os.environ, "JAXSTYLE_WEB_SLOT": str(slot)}
    environment = with_huge_pages(environment) or environment
    if workers > 1:
        environment.setdefault("CUDA_VISIBLE_DEVICES", str(slot))
    return environment


def main() -> int:
    """Runs what the environment says, as `jaxstyle serve` has put it there."""
    plan = Plan(**json.loads(os.environ.pop(PLAN)))
    try:
        return run(plan)
    except (UsageError, OSError) as error:
        print(f"jaxstyle: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
