"""A web process: `python -m jaxstyle.web.server FD` serves on a socket that is open already."""

import socket
import sys
import threading
import time

import uvicorn

from jaxstyle.web.environment import orphaned

_PAUSE = 1.0
_GRACE = 2  # seconds for what is being answered; streams of events go on elsewhere


def main(descriptor: int) -> None:
    """Serves until SIGTERM, or until the process that started it has gone."""
    config = uvicorn.Config(
        "jaxstyle.web.asgi:application",
        lifespan="off",
        log_level="error",  # warnings are of damaged requests, whose lines strangers would write
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # Django reads what a proxy says, if it is told that there is one
        timeout_graceful_shutdown=_GRACE,
        backlog=2048,
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_follow, args=(server,), daemon=True).start()
    server.run(sockets=[socket.socket(fileno=descriptor)])


def _follow(server: uvicorn.Server) -> None:
    while not orphaned():
        time.sleep(_PAUSE)
    server.should_exit = True


if __name__ == "__main__":
    main(int(sys.argv[1]))
