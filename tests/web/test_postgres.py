"""The queue on PostgreSQL, where that is installed: the same tests in a process of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="psycopg is missing; pip install '.[postgres]'")
FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path):
    """A server on a socket in a folder; it refuses to run as root."""
    if not FOLDERS:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(f"/tmp/jaxstyle-postgres-{os.getpid()}")  # a socket's path has to be short
    folder.mkdir()
    user = []
    if os.getuid() == 0:
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")

    def run(*command, **options):
        return subprocess.run([*user, *command], check=True, cwd=folder, **options)

    data, program = folder / "data", FOLDERS[-1]
    try:
        run(program / "initdb", "-D", data, "-U", "page", "-A", "trust", stdout=subprocess.DEVNULL)
        started = ["-o", f"-k {folder} -c listen_addresses=''", "-l", folder / "log", "-w"]
        run(program / "pg_ctl", "-D", data, *started, "start", stdout=subprocess.DEVNULL)
        yield f"postgres://page@{str(folder).replace('/', '%2F')}/postgres"
        run(program / "pg_ctl", "-D", data, "-m", "fast", "stop", stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_the_queue_and_the_interface_work_on_postgresql(server):
    names = ("test_queue", "test_api", "test_reception", "test_room")
    files = [f"tests/web/{name}.py" for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-q", *files],
        cwd=ROOT, env=os.environ | {"JAXSTYLE_TEST_DATABASE_URL": server},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
