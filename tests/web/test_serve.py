"""The page in processes of its own: what starts, what is refused, what is killed."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from helpers.command_line import environment
from helpers.serving import Guest, Served, until

from jaxstyle.cli import main, serve
from jaxstyle.cli.parser import build_parser
from jaxstyle.errors import UsageError
from jaxstyle.web.environment import PARENT, database, orphaned, read_limits

pytest.importorskip("django")

WITHOUT_JAX = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
import jaxstyle.web.server, jaxstyle.web.supervisor
from jaxstyle.cli import serve
serve.parse(["serve", "--port", "0"])
from helpers.web import Browser
browser = Browser()
import django
from django.core.management import call_command
from jaxstyle.web import environment
environment.make_folder(environment.data_folder())
django.setup()
call_command("migrate", verbosity=0)
assert browser.get("/").status == 200
browser.begin()
assert browser.upload(b"GIF89a" + bytes(40)).status == 201
assert browser.send("/api/jobs", {}).status == 503
print({"jax", "jaxlib", "flax", "PIL"} & set(sys.modules))
"""


def test_the_command_web_processes_and_the_supervisor_never_import_jax(tmp_path):
    tests = Path(__file__).parents[1]
    # The helper makes a picture of its own with NumPy and Pillow, which is not asked for here.
    code = WITHOUT_JAX.replace("from helpers.web import Browser", BARE)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tests)],
        env=environment() | {"JAXSTYLE_WEB_DATA": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "set()\n", "")


BARE = """
import types
for name in ("numpy", "PIL"):
    sys.modules[name] = types.SimpleNamespace(Image=None)
from helpers.web import Browser
del sys.modules["numpy"], sys.modules["PIL"]
"""


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"JAXSTYLE_WEB_MAX_STEPS": "many"}, "JAXSTYLE_WEB_MAX_STEPS=many: should be a whole"),
        ({"JAXSTYLE_WEB_MAX_STEPS": "0"}, "JAXSTYLE_WEB_MAX_STEPS=0: should be a whole number gr"),
        ({"JAXSTYLE_WEB_EXPIRE_DAYS": "nan"}, "JAXSTYLE_WEB_EXPIRE_DAYS=nan: should be a number"),
    ],
)
def test_a_wrong_limit_is_named(environ, message):
    with pytest.raises(UsageError, match=message):
        read_limits(environ)


@pytest.mark.parametrize("address", ["nonsense", "word://secret@host/name", "postgres://[::/x"])
def test_a_wrong_database_is_named_without_its_password(address):
    with pytest.raises(UsageError) as caught:
        database(address)
    assert str(caught.value) == ("DATABASE_URL: should be like postgres://USER:PASSWORD@HOST/NAME")


def test_limits_come_from_the_environment():
    limits = read_limits({"JAXSTYLE_WEB_MAX_STEPS": "7", "JAXSTYLE_WEB_EXPIRE_DAYS": "0.5"})
    assert (limits.max_steps, limits.expire_days) == (7, 0.5)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org"])
def test_others_are_let_in_only_where_somebody_says_so(host, capsys, monkeypatch):
    monkeypatch.delenv("JAXSTYLE_WEB_PASSWORD", raising=False)
    assert main(["serve", "--host", host]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"jaxstyle: error: --host {host} lets others in; give --password WORD, or --public to let "
        "everybody in\n"
    )


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("serve", {}),
        ("serve --password word", {"PASSWORD": "word"}),
        ("serve --host 0.0.0.0 --public", {"HOSTS": "*"}),
        ("serve --host 0.0.0.0 --public --hosts a.org,b.org", {"HOSTS": "a.org,b.org"}),
        ("serve --https --data folder", {"HTTPS": "1", "DATA": "folder"}),
    ],
)
def test_arguments_become_variables(line, variables, monkeypatch):
    monkeypatch.delenv("JAXSTYLE_WEB_HOSTS", raising=False)
    arguments = vars(build_parser().parse_args(line.split()))
    told = serve.environment_of(arguments)
    assert told.pop("DJANGO_SETTINGS_MODULE") == "jaxstyle.web.settings"
    assert told == {f"JAXSTYLE_WEB_{name}": value for name, value in variables.items()}


def test_a_port_that_is_taken_is_named():
    from jaxstyle.web.supervisor import listen

    with listen("127.0.0.1", 0) as first, pytest.raises(UsageError) as caught:
        listen("127.0.0.1", first.getsockname()[1])
    assert "cannot be listened at (address already in use); give another --port" in str(
        caught.value
    )


def test_the_public_configuration_is_clean(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jaxstyle.web", "check", "--deploy", "--fail-level", "WARNING"],
        env=environment() | {
            "JAXSTYLE_WEB_DATA": str(tmp_path), "JAXSTYLE_WEB_HTTPS": "1",
            "JAXSTYLE_WEB_HOSTS": "paint.example.org",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (
        0,
        "System check identified no issues (0 silenced).\n",
    )


def test_two_that_begin_at_once_both_find_their_tables(monkeypatch):
    from django.db import IntegrityError, OperationalError
    from django.db.migrations.exceptions import MigrationSchemaMissing

    from jaxstyle.web import supervisor

    monkeypatch.setattr(supervisor, "_RETRY", 0)
    outcomes = [MigrationSchemaMissing("made by another"), IntegrityError("made by another"), None]

    def migrate(*_, **__):
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(supervisor, "call_command", migrate)
    supervisor.migrate()
    assert outcomes == []
    outcomes[:] = [OperationalError("connection\nrefused")] * supervisor._TRIES
    with pytest.raises(UsageError, match=r"the database cannot be used \(connection refused\)"):
        supervisor.migrate()


def test_the_database_has_the_form_of_the_models(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jaxstyle.web", "makemigrations", "--check", "--dry-run"],
        env=environment() | {"JAXSTYLE_WEB_DATA": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "No changes detected\n")


@pytest.fixture
def served(tmp_path):
    page = Served(tmp_path)
    yield page.start()
    page.stop()


SMALL = {"size": 32, "network": "compact", "steps": 150,
         "content-layers": "relu2_1", "style-layers": "relu1_1"}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", ["stylize", "apply"])
def test_kills_lose_no_job_and_double_none(served, command):
    from helpers.web import picture

    guest = Guest(served.url)
    until(lambda: guest.http.get(f"{served.url}/api/catalogue").ok)
    request = {"command": command, "photograph": guest.upload(picture())}
    if command == "stylize":
        request |= {"painting": guest.upload(picture(seed=1)), "options": SMALL}
    else:
        request |= {"options": {"size": 32, "style": "swirls", "polish": 150}}
    undisturbed = guest.paint(**request)
    until(lambda: guest.job(undisturbed)["state"] == "done")
    disturbed = guest.paint(**request)
    for killed in ("worker", "worker", "server", "all"):
        before = guest.job(disturbed)["step"]
        until(functools.partial(further, guest, disturbed, before))
        if killed == "all":
            served.kill_all()
            until(lambda: not requests_answer(served.url))
            served.start()
        else:
            served.kill("worker" if killed == "worker" else "jaxstyle.web.server")
            until(lambda: requests_answer(served.url))
    until(lambda: guest.job(disturbed)["state"] in ("done", "failed"))
    jobs = guest.get("/api/jobs")["jobs"]
    assert [(job["state"], job["step"]) for job in jobs] == [("done", 150), ("done", 150)]
    one, other = (
        guest.http.get(f"{served.url}/api/jobs/{name}/picture-16.png").content
        for name in (undisturbed, disturbed)
    )
    assert pixels(one) == pixels(other)
    assert served.stop() == 0
    assert "Traceback" not in served.log()


def further(guest, name, step):
    """Whether a job is further than a step, or done."""
    job = guest.job(name)
    return job["step"] > step or job["state"] == "done"


def requests_answer(url):
    try:
        return requests.get(f"{url}/healthy", timeout=2).ok
    except requests.RequestException:
        return False


def pixels(data):
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(data)) as image:
        return image.tobytes()


def test_a_process_knows_that_its_supervisor_has_gone(monkeypatch):
    monkeypatch.delenv(PARENT, raising=False)
    assert not orphaned()  # started by hand
    monkeypatch.setenv(PARENT, str(os.getppid()))
    assert not orphaned()
    monkeypatch.setenv(PARENT, str(os.getpid()))
    assert orphaned()


@pytest.mark.slow
def test_a_supervisor_that_is_killed_at_once_leaves_nobody_behind(tmp_path):
    page = Served(tmp_path).start()
    until(lambda: page.children("worker"))
    left = [*page.children("worker"), *page.children("jaxstyle.web.server")]
    assert len(left) == 2
    page.kill_all()  # while the worker is still importing
    until(lambda: not any(Path(f"/proc/{number}").exists() for number in left), 120)


def test_a_worker_asks_for_the_same_as_the_command_line(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setattr(os, "environ", os.environ | {"JAXSTYLE_WEB_DATA": str(tmp_path)})
    main(["serve", "--port", "0", "--workers", "2"])
    [(_, command, variables)] = started
    assert command[1:] == ["-m", "jaxstyle.web.supervisor"]
    assert variables["JAXSTYLE_WEB_PLAN"] == (
        '{"host": "127.0.0.1", "port": 0, "web": 1, "workers": 2}'
    )
