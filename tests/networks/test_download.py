"""Downloads from a server on this machine that behaves well, badly or not at all."""

import contextlib
import hashlib
import multiprocessing
import os
import socket
import time
from pathlib import Path

import pytest
from helpers import network_files
from helpers.server import Server

from jaxstyle.errors import DownloadError
from jaxstyle.networks import catalogue, download
from jaxstyle.networks.download import Source, fetch
from jaxstyle.networks.layouts import convert


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    path = tmp_path_factory.mktemp("body") / "vgg19.h5"
    network_files.write_keras(path, network_files.random_params())
    return path.read_bytes()


@pytest.fixture
def start(body, monkeypatch):
    """Starts servers; requests to them bypass any proxy, and repetitions wait for nothing."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_BACKOFF", 0.001)
    servers = []

    def start_server(*plan):
        server = Server(body)
        server.plan = list(plan) or ["whole"]
        server.start()
        servers.append(server)
        return server

    yield start_server
    for server in servers:
        server.stop()


def files(folder):
    return sorted(path.name for path in Path(folder).rglob("*"))


def failure(*args, **kwargs):
    with pytest.raises(DownloadError) as caught:
        fetch(*args, **kwargs)
    message = str(caught.value)
    assert message.startswith("vgg19 could not be downloaded: ")
    assert message.isprintable()
    return message


def test_a_whole_file_is_converted_and_kept(start, tmp_path, capfd, caplog):
    server = start()
    path = fetch("vgg19", directory=tmp_path / "new" / "cache", sources=[server.source()])
    assert path == tmp_path / "new" / "cache" / "vgg19.safetensors"
    assert files(path.parent) == ["vgg19.safetensors"]
    params, metadata = convert(path)
    expected = network_files.random_params()
    assert (params["conv5_4"]["kernel"] == expected["conv5_4"]["kernel"]).all()
    assert metadata["source"] == server.url()
    assert metadata["source_sha256"] == hashlib.sha256(server.body).hexdigest()
    assert metadata["layout"] == "keras"
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_the_default_folder_is_the_users_cache(start, tmp_path, monkeypatch):
    server = start()
    monkeypatch.setattr(download, "cache", lambda: tmp_path / "cache")
    monkeypatch.setitem(download.SOURCES, "vgg19", (server.source(),))
    assert fetch("vgg19") == tmp_path / "cache" / "vgg19.safetensors"


@pytest.mark.parametrize(
    ("name", "file", "write"),
    [
        ("vgg16", "notop.h5", network_files.write_keras),
        ("vgg16-torchvision", "vgg16-397923af.pth", network_files.WRITERS["legacy.pth"][1]),
    ],
)
def test_vgg16_comes_the_same_way(name, file, write, start, tmp_path, monkeypatch):
    params = network_files.random_params(layers=network_files.VGG16_LAYERS)
    write(tmp_path / file, params)
    server = start()
    server.body = (tmp_path / file).read_bytes()
    layout = catalogue.SOURCES[name][-1].layout
    source = server.source(file)._replace(layout=layout)
    monkeypatch.setitem(catalogue.SOURCES, name, (source,))
    path = fetch(name, directory=tmp_path / "cache")
    assert path == tmp_path / "cache" / f"{name}.safetensors"
    got, metadata = convert(path)
    assert list(got) == ["mean", *network_files.VGG16_LAYERS]
    assert (got["conv5_3"]["kernel"] == params["conv5_3"]["kernel"]).all()
    assert (metadata["layout"], metadata["source"]) == (layout, server.url(file))


def test_progress_goes_to_stderr(start, tmp_path, capfd):
    fetch("vgg19", directory=tmp_path, sources=[start().source()], progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "vgg19: 100%" in err
    # A failed attempt closes its bar and leaves the next one a line of its own.
    fetch("vgg19", directory=tmp_path, sources=[start("cut", "whole").source()], progress=True)
    assert "vgg19: 100%" in capfd.readouterr().err


def test_a_slow_server_that_goes_on_is_waited_for(start, tmp_path):
    server = start("slow")
    fetch("vgg19", directory=tmp_path, sources=[server.source()], timeout=0.4)
    assert len(server.requests) == 1


def test_a_silent_server_is_given_up(start, tmp_path):
    server = start("silent")
    begin = time.monotonic()
    message = failure(
        "vgg19", directory=tmp_path, sources=[server.source()], timeout=0.2, retries=1
    )
    assert time.monotonic() - begin < 5
    assert message.endswith(f"{server.url()}: no answer for 0.2 s (2 attempts)")
    assert files(tmp_path) == []


def test_an_address_that_swallows_connections_is_tried_once(tmp_path):
    with socket.socket() as server, contextlib.ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):  # the queue is full: whoever comes now gets no answer at all
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        url = f"http://127.0.0.1:{server.getsockname()[1]}/vgg19.h5"
        message = failure(
            "vgg19", directory=tmp_path, sources=[Source(url, "md5:0", "keras")], timeout=0.3
        )
    assert message.endswith(f"{url}: no connection within 0.3 s")


@pytest.mark.parametrize(
    ("plan", "requests", "words"),
    [
        (["cut"], 4, "the connection broke during the transfer (4 attempts)"),
        (["altered"], 2, "wrong checksum: md5 "),
        ([404], 1, "HTTP 404 Not Found"),
        ([403], 1, "HTTP 403 Forbidden"),
        ([500], 4, "HTTP 500 Internal Server Error (4 attempts)"),
        ([500, 404], 2, "HTTP 404 Not Found (2 attempts)"),
    ],
)
def test_failures_say_why_and_leave_nothing(plan, requests, words, start, tmp_path):
    server = start(*plan)
    message = failure("vgg19", directory=tmp_path, sources=[server.source()])
    assert f"{server.url()}: {words}" in message
    assert len(server.requests) == requests
    assert files(tmp_path) == []


@pytest.mark.parametrize("plan", [[500, "whole"], ["cut", 503, "whole"], [429, "whole"],
                                  ["altered", "whole"]])  # fmt: skip
def test_passing_failures_are_survived(plan, start, tmp_path):
    server = start(*plan)
    fetch("vgg19", directory=tmp_path, sources=[server.source()])
    assert len(server.requests) == len(plan)
    assert files(tmp_path) == ["vgg19.safetensors"]


def test_repetitions_wait_longer_each_time(start, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    failure("vgg19", directory=tmp_path, sources=[start(500).source()], retries=4)
    assert waits == [0.001, 0.002, 0.004, 0.008]


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_the_next_source_is_used_and_every_reason_told(start, tmp_path):
    nobody = Source(f"http://127.0.0.1:{closed_port()}/a.h5", "md5:" + "0" * 32)
    absent, good = start(404), start()
    path = fetch("vgg19", directory=tmp_path, sources=[nobody, absent.source(), good.source()])
    assert convert(path)[1]["source"] == good.url()
    message = failure("vgg19", directory=tmp_path / "b", sources=[nobody, absent.source()])
    assert message == (
        f"vgg19 could not be downloaded: {nobody.url}: connection refused (4 attempts); "
        f"{absent.url()}: HTTP 404 Not Found"
    )


def test_unknown_hosts_are_asked_for_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_BACKOFF", 0.001)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    source = Source("http://example.invalid/a.h5", "md5:" + "0" * 32)
    message = failure("vgg19", directory=tmp_path, sources=[source])
    assert message.endswith(f"{source.url}: name or service not known (2 attempts)")


def test_addresses_that_make_no_sense(tmp_path, monkeypatch):
    hash_ = "md5:" + "0" * 32
    sources = [Source(url, hash_) for url in ("nowhere", "ftp://127.0.0.1/a", "http://")]
    message = failure("vgg19", directory=tmp_path, sources=sources)
    assert all(f"{source.url}: " in message for source in sources)
    assert "no sources" in failure("vgg19", directory=tmp_path, sources=[])
    names = "vgg19, vgg19-torchvision, vgg16, vgg16-torchvision"
    with pytest.raises(ValueError, match=f"one of {names}, got 'compact'"):
        fetch("compact")


def test_a_verified_file_that_holds_no_network(start, tmp_path):
    server = start()
    server.body = b"not a network at all"
    message = failure("vgg19", directory=tmp_path, sources=[server.source()])
    assert message.endswith(
        f"{server.url()}: not a file that can hold a VGG network: it is neither HDF5 (.h5), "
        "MATLAB (.mat), PyTorch (.pth), safetensors nor Caffe (.caffemodel), or it was cut short"
    )
    assert files(tmp_path) == []


def test_the_old_file_stays_when_a_download_fails(start, tmp_path):
    fetch("vgg19", directory=tmp_path, sources=[start().source()])
    before = (tmp_path / "vgg19.safetensors").read_bytes()
    failure("vgg19", directory=tmp_path, sources=[start("cut").source()], retries=0)
    assert files(tmp_path) == ["vgg19.safetensors"]
    assert (tmp_path / "vgg19.safetensors").read_bytes() == before


def test_an_unusable_folder_is_named(start, tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = failure("vgg19", directory=tmp_path / "file", sources=[start().source()])
    assert f"{tmp_path / 'file'}: File exists" in message


@pytest.mark.parametrize("place", ["Transfer", "_verify", "convert", "save_params"])
def test_interrupts_leave_nothing(place, start, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("vgg19", directory=tmp_path, sources=[start().source()])
    assert files(tmp_path) == []


def test_leftovers_of_killed_processes_go_after_a_day(start, tmp_path, monkeypatch):
    for name in (".fetch-old", ".fetch-new", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_text("part")
    real = time.time()
    monkeypatch.setattr(download, "_STALE", 0.5)
    os.utime(tmp_path / ".fetch-old", (real - 60, real - 60))
    os.utime(tmp_path / ".fetch-new", (real + 60, real + 60))
    fetch("vgg19", directory=tmp_path, sources=[start().source()])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".fetch-new", "mine", "vgg19.safetensors"}


def _fetch_in_process(folder, source, barrier):
    barrier.wait(60)
    fetch("vgg19", directory=folder, sources=[source])


@pytest.mark.slow
def test_two_processes_at_once(start, tmp_path):
    server = start("slow")
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    arguments = (tmp_path, server.source(), barrier)
    processes = [context.Process(target=_fetch_in_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(server.requests) == 2
    assert files(tmp_path) == ["vgg19.safetensors"]
    convert(tmp_path / "vgg19.safetensors")
