"""`jaxstyle serve`: a page in the browser."""

import dataclasses
import importlib.util
import ipaddress
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from jaxstyle.cli.parsing import Command, Parser, add_command
from jaxstyle.errors import OptionError, UsageError, usage_errors
from jaxstyle.pipeline.serve_rows import SERVE_ROWS

SERVE = Command(
    "serve",
    "Open a page in the browser where photographs are painted.",
    "[options]",
    ("jaxstyle serve", "jaxstyle serve --host 0.0.0.0 --password WORD"),
)

_HOST, _PORT = "127.0.0.1", 8000
_NEEDED = ("django", "uvicorn", "dj_database_url")


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """Returns the arguments of a command line that begins with "serve", without JAX.

    Raises:
      UsageError: if they are wrong.
    """
    parser = Parser(prog="jaxstyle")
    add_command(parser.add_commands("COMMAND"), SERVE, SERVE_ROWS)
    arguments = vars(parser.parse_args(argv))
    del arguments["command"]
    arguments.pop("debug", None)
    return arguments


def serve(arguments: dict[str, Any]) -> int:
    """Starts the page's processes in place of this one."""
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise UsageError("the page needs more packages; pip install 'jaxstyle[web]'")
    host, only = arguments.get("host", _HOST), arguments.get("only")
    environment = environment_of(arguments)
    if not (_is_local(host) or only == "worker"):
        _check_open(arguments, environment)
    os.environ.update(environment)
    from jaxstyle.web import environment as told

    with usage_errors():
        told.read_limits()
        told.make_folder(told.data_folder())
    if paints(arguments):
        return _work()
    from jaxstyle.web.supervisor import PLAN, Plan

    plan = Plan(
        host,
        arguments.get("port", _PORT),
        web=0 if only == "worker" else arguments.get("web-processes", 1),
        workers=0 if only == "web" else arguments.get("workers", 1),
    )
    os.environ[PLAN] = json.dumps(dataclasses.asdict(plan))
    command = [sys.executable, "-m", "jaxstyle.web.supervisor"]
    sys.stdout.flush()
    return os.execve(sys.executable, command, os.environ)


def paints(arguments: dict[str, Any]) -> bool:
    """Tells whether this process is a worker, and not the one that starts them."""
    return arguments.get("only") == "worker" and arguments.get("workers", 1) == 1


def environment_of(arguments: dict[str, Any]) -> dict[str, str]:
    """Returns the variables that tell the page what the arguments say."""
    from jaxstyle.web.environment import PREFIX

    host = arguments.get("host", _HOST)
    told = {"DJANGO_SETTINGS_MODULE": "jaxstyle.web.settings"}
    for option, name in (("data", "DATA"), ("password", "PASSWORD"), ("hosts", "HOSTS")):
        if option in arguments:
            told[PREFIX + name] = str(arguments[option])
    if "https" in arguments:
        told[PREFIX + "HTTPS"] = "1"
    if not _is_local(host) and "hosts" not in arguments and PREFIX + "HOSTS" not in os.environ:
        told[PREFIX + "HOSTS"] = "*"  # the machine's own names are not known here
    return told


def _check_open(arguments: dict[str, Any], environment: dict[str, str]) -> None:
    """Raises `OptionError` if others could come in, and nobody has said that they may."""
    from jaxstyle.web.environment import PREFIX

    password = environment.get(PREFIX + "PASSWORD", os.environ.get(PREFIX + "PASSWORD"))
    if not password and "public" not in arguments:
        raise OptionError(
            "{} {host} lets others in; give {} WORD, or {} to let everybody in",
            "host", "password", "public", host=arguments["host"],
        )  # fmt: skip


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _work() -> int:
    """Is a worker, until it is told to end."""
    import django

    django.setup()
    from jaxstyle.web import worker

    return worker.main(os.environ.get("JAXSTYLE_WEB_SLOT", "0"))
