"""Transfers from servers, proxies and login pages that answer in every way that HTTP has."""

import datetime
import email.utils
import re
import socket
import time

import pytest
from helpers.server import Server

from jaxstyle.errors import DownloadError
from jaxstyle.networks import catalogue, download
from jaxstyle.networks.catalogue import Source
from jaxstyle.networks.transport import Transfer, TransferError

BODY = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    server = Server(BODY)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def transfer(server, tmp_path):
    return Transfer(server.url(), tmp_path / "file", len(BODY), "file", False, 5.0)


def failure(transfer):
    with pytest.raises(TransferError) as caught:
        transfer.attempt()
    assert str(caught.value).isprintable()
    return caught.value


def answering(status, headers, body=b"", reason=None):
    return lambda handler: handler.answer(status, headers, body, reason)


def test_every_source_says_how_large_its_file_is():
    sizes = {
        source.url.rpartition("/")[2]: source.size
        for sources in catalogue.SOURCES.values()
        for source in sources
    }
    assert None not in sizes.values()
    assert all(50e6 < size < 600e6 for size in sizes.values())


# ---- resuming ------------------------------------------------------------------------------------
def test_a_broken_transfer_goes_on_where_it_broke_off(server, transfer, tmp_path):
    server.plan = ["cut", "ranges"]
    assert "the connection broke during the transfer" in str(failure(transfer))
    half = (tmp_path / "file").stat().st_size
    assert 0 < half < len(BODY)
    transfer.attempt()
    assert (tmp_path / "file").read_bytes() == BODY
    assert server.asked[1]["Range"] == f"bytes={half}-"
    assert server.asked[1]["If-Range"] == '"one"'
    assert server.asked[1]["Accept-Encoding"] == "identity"


def test_a_server_that_cannot_go_on_sends_it_all_again(server, transfer, tmp_path):
    server.plan = ["cut", "whole"]
    failure(transfer)
    transfer.attempt()
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (
            answering(206, {"Content-Range": "bytes 5-9/10"}, b"abcde"),
            "HTTP 206 Partial Content, another part",
        ),
        (answering(206, {}, b"abcde"), "another part of the file than asked for"),
        (answering(206, {"Content-Range": "nonsense"}, b"abcde"), "another part"),
        (
            answering(416, {"Content-Range": "bytes */9"}),
            "HTTP 416 Requested Range Not Satisfiable",
        ),
    ],
    ids=range(4),
)
def test_answers_that_do_not_fit_what_is_here_begin_again(
    behaviour, words, server, transfer, tmp_path
):
    server.plan = ["cut", behaviour, "ranges"]
    failure(transfer)
    assert words in str(failure(transfer))
    assert not (tmp_path / "file").exists()
    transfer.attempt()
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_part_that_nobody_asked_for(server, transfer):
    server.plan = [answering(206, {"Content-Range": "bytes 0-4/10"}, b"abcde")]
    assert "another part of the file" in str(failure(transfer))


def test_a_part_that_is_all_of_it(server, transfer, tmp_path):
    place = f"bytes 0-{len(BODY) - 1}/{len(BODY)}"
    server.plan = [answering(206, {"Content-Range": place}, BODY)]
    transfer.attempt()
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_resumed_file_of_another_version_is_fetched_anew(server, tmp_path):
    server.plan = ["altered", "ranges"]
    transferred = tmp_path / "file"
    download._download(server.source(), transferred, "file", False, 5.0, 3)
    assert transferred.read_bytes() == BODY
    assert "Range" not in server.asked[1]


# ---- sizes ---------------------------------------------------------------------------------------
def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stopped.is_set():
        try:
            handler.wfile.write(bytes(2**16))
        except OSError:
            return


@pytest.mark.parametrize(
    "behaviour",
    [
        endless,
        answering(200, {"Content-Length": "9" * 15}),
        answering(200, {"Content-Length": str(len(BODY) + 1)}, BODY + b"x"),
    ],
    ids=range(3),
)
def test_more_than_expected_is_not_taken(behaviour, server, transfer, tmp_path):
    server.plan = [behaviour]
    error = failure(transfer)
    assert str(error) == "more than the 256,000 bytes that the file has, so something else"
    assert error.retries == 0
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("length", ["many", "-5", "9" * 5000])
def test_lengths_that_are_no_numbers_are_as_good_as_none(length, server, transfer, tmp_path):
    server.plan = [answering(200, {"Content-Length": length, "Connection": "close"}, BODY)]
    try:
        transfer.attempt()
    except TransferError as error:
        assert error.retries  # noqa: PT017, for the HTTP library this is a broken connection
    else:
        assert (tmp_path / "file").read_bytes() == BODY


# ---- pages ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, b"Welcome aboard"),
        ({"Content-Type": "application/octet-stream"}, b"\n <!DOCTYPE html><title>Login</title>"),
        ({}, b"<HTML><body>Please log in</body></HTML>"),
        ({}, b"\xef\xbb\xbf<!DOCTYPE html><title>Login</title>"),
        ({}, b"<!-- a -->\n<!-- b --><html>"),
        ({"Content-Type": "text/xml"}, b'<?xml version="1.0"?>\n<!DOCTYPE html><html>'),
    ],
    ids=range(6),
)
def test_a_login_page_is_told_apart_from_the_file(headers, body, server, transfer):
    server.plan = [answering(302, {"Location": "/login"}), answering(200, headers, body)]
    error = failure(transfer)
    assert str(error) == (
        "a web page from 127.0.0.1 came instead of the file; if this network wants a login, open a "
        "page in a browser first"
    )
    assert error.retries == 0


def test_a_message_in_json_is_shown(server, transfer):
    body = b'{"error":\n "too many \x1b[2J downloads"}'
    server.plan = [answering(200, {"Content-Type": "application/json; charset=utf-8"}, body)]
    assert str(failure(transfer)) == (
        "a message from 127.0.0.1 came instead of the file: "
        r'{"error": "too many \x1b[2J downloads"}'
    )


def test_an_empty_answer_is_named(server, transfer):
    server.plan = [answering(200, {"Content-Length": "0"})]
    assert str(failure(transfer)) == "the answer was empty"


def test_a_login_that_is_asked_for_as_it_should_be(server, transfer):
    server.plan = [answering(511, {}, b"<html>")]
    error = failure(transfer)
    assert str(error) == "HTTP 511 Network Authentication Required; open a page in a browser first"
    assert error.retries == 0


def test_what_a_server_says_is_shown_as_escapes(server, transfer):
    server.plan = [answering(404, {}, reason="Not\x1b[2J\x07Found")]
    assert str(failure(transfer)) == r"HTTP 404 Not\x1b[2J\x07Found"
    server.requests.clear()
    server.plan = [answering(302, {"Location": "gopher://\x1b[2J/"})]
    failure(transfer)


@pytest.mark.parametrize("status", [204, 300, 304])
def test_other_answers_are_no_file(status, server, transfer):
    server.plan = [answering(status, {})]
    error = failure(transfer)
    assert str(error).startswith(f"HTTP {status} ")
    assert error.retries == 0


# ---- busy servers --------------------------------------------------------------------------------
def in_seconds(seconds):
    now = datetime.datetime.now(datetime.UTC)
    return email.utils.format_datetime(now + datetime.timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("after", "least", "most"),
    [
        ("7", 7, 7),
        (20, 1, 20),
        (-20, 0, 0),
        ("soon", 0, 0),
        ("-3", 0, 0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", 0, 0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0, 0),
    ],
)
def test_a_busy_server_says_when_to_come_back(status, after, least, most, server, transfer):
    # A date is counted from now.
    after = after if isinstance(after, str) else in_seconds(after)
    server.plan = [answering(status, {"Retry-After": after})]
    error = failure(transfer)
    assert least <= error.wait <= most
    assert error.retries == float("inf")


def test_waits_are_kept_and_long_ones_refused(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    server.plan = [answering(503, {"Retry-After": "7"}), "whole"]
    download._download(server.source(), tmp_path / "file", "file", False, 5.0, 3)
    assert waits == [7]
    server.requests.clear()
    server.plan = [answering(429, {"Retry-After": "86400"})]
    with pytest.raises(
        TransferError, match="HTTP 429 Too Many Requests; it asks to come back in 86,400 s"
    ):
        download._download(server.source(), tmp_path / "file", "file", False, 5.0, 3)
    assert (len(server.requests), waits) == (1, [7])


# ---- proxies -------------------------------------------------------------------------------------
def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_dead_proxy_is_named_without_its_password(scheme, tmp_path, monkeypatch):
    port = closed_port()
    monkeypatch.setenv(f"{scheme}_proxy", f"http://me:secret@127.0.0.1:{port}")
    monkeypatch.setattr(download, "_BACKOFF", 0.001)
    source = Source(f"{scheme}://example.org/vgg19.h5", "md5:" + "0" * 32)
    begin = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        download.fetch("vgg19", directory=tmp_path, sources=[source])
    assert time.monotonic() - begin < 5
    assert str(caught.value).endswith(
        f"{source.url}: the proxy 127.0.0.1:{port} failed (connection refused); set http_proxy and "
        "https_proxy to one that works, or unset them (2 attempts)"
    )


def test_a_proxy_that_says_nothing_is_named(tmp_path, monkeypatch, server):
    server.plan = [lambda handler: handler.server.stopped.wait(5)]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    url = "http://example.org/vgg19.h5"
    transfer = Transfer(url, tmp_path / "file", None, "file", False, 0.2)
    where = f"through the proxy 127.0.0.1:{server.server_port}"
    assert str(failure(transfer)) == f"no answer for 0.2 s {where}"


def test_a_proxy_that_makes_no_sense(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://[:99999999")
    transfer = Transfer("http://example.org/a", tmp_path / "file", None, "file", False, 0.2)
    failure(transfer)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://127.0.0.1:99999", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_named(proxy, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", proxy)
    transfer = Transfer("http://example.org/a", tmp_path / "file", None, "file", False, 0.2)
    message = str(failure(transfer))
    assert re.match(r"the proxy \S+( \S+ \S+)? cannot be used \(", message)
    assert message.endswith("; set http_proxy and https_proxy to one that works, or unset them")
