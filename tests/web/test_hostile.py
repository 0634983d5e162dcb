"""Requests by somebody who means ill: a 4xx with a clear line, no traceback, nothing written."""

import copy
import json
import struct
import zlib

import pytest
from helpers.web import picture

pytest.importorskip("django")
A = "a" * 32
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"


def job(**changes):
    return json.dumps({"command": "apply", "photograph": A, "options": {}, **changes}).encode()


POST, GET = "POST", "GET"
# Name, method, path, body, headers, the status, and what the line begins with.
REQUESTS = [
    # another's names, and names that are none
    ("another's job", GET, "/api/jobs/{job}", b"", {}, 404, "there is nothing"),
    ("another's picture", GET, "/api/jobs/{job}/picture.png", b"", {}, 404, "there is nothing"),
    ("another's events", GET, "/api/jobs/{job}/events", b"", {}, 404, "there is nothing"),
    ("stop another's job", POST, "/api/jobs/{job}/stop", b"", {}, 404, "there is nothing"),
    ("delete another's job", "DELETE", "/api/jobs/{job}", b"", {}, 404, "there is nothing"),
    ("another's sweep", GET, "/api/sweeps/{job}", b"", {}, 404, "there is nothing"),
    ("delete another's sweep", "DELETE", "/api/sweeps/{job}", b"", {}, 404, "there is nothing"),
    ("another's upload", GET, "/api/uploads/{upload}", b"", {}, 404, "there is nothing"),
    ("its preview", GET, "/api/uploads/{upload}/preview.jpg", b"", {}, 404, "there is nothing"),
    ("delete it", "DELETE", "/api/uploads/{upload}", b"", {}, 404, "there is nothing"),
    ("paint it", POST, "/api/jobs", job(photograph="{upload}"), {}, 404, "there is no upload"),
    ("go on from it", POST, "/api/jobs", job(photograph="{own}", after="{job}"), {}, 404,
     "there is no picture"),
    ("mix it in", POST, "/api/jobs", job(photograph="{own}", painting="{own}",
     mix=[{"painting": "{upload}", "share": 0.5}]), {}, 404, "there is no upload"),
    ("mask with it", POST, "/api/jobs", job(photograph="{own}", regions=[{"mask": "{upload}",
     "style": "swirls"}]), {}, 404, "there is no upload"),
    ("keep by it", POST, "/api/jobs", job(command="stylize", photograph="{own}", painting="{own}",
     options={"keep": "{upload}"}), {}, 404, "there is no upload"),
    ("no such name", GET, f"/api/jobs/{A}", b"", {}, 404, "there is nothing"),
    # forged tokens and sessions
    ("no token", POST, "/api/jobs", job(), {"x-csrftoken": None}, 403, "send the token"),
    ("a wrong token", POST, "/api/jobs", job(), {"x-csrftoken": "x" * 64}, 403, "send the token"),
    ("a token without cookies", POST, "/api/jobs", job(), {"cookie": None}, 403, "send the token"),
    ("from another site", POST, "/api/jobs", job(), {"origin": "http://evil.example"}, 403,
     "send the token"),
    ("from nowhere", POST, "/api/jobs", job(), {"origin": "null"}, 403, "send the token"),
    ("a forged session", GET, "/api/jobs/{job}", b"", {"cookie": "jaxstyle=eyJ2Ijp7fX0:1:forged"},
     404, "there is nothing"),
    ("delete without a token", "DELETE", "/api/jobs/{job}", b"", {"x-csrftoken": None}, 403,
     "send the token"),
    # tricks with paths
    ("up by dots", GET, "/static/../settings.py", b"", {}, 404, "there is nothing"),
    ("up by coded dots", GET, "/static/..%2fsettings.py", b"", {}, 404, "there is nothing"),
    ("an absolute file", GET, "/static//etc/passwd", b"", {}, 404, "there is nothing"),
    ("a job of dots", GET, "/api/jobs/../../page.sqlite3", b"", {}, 404, "there is nothing"),
    ("a file of a job", GET, "/api/jobs/{owned}/photograph.png", b"", {}, 404, "use one of"),
    ("its snapshot", GET, "/api/jobs/{owned}/picture.png.snapshot", b"", {}, 404, "use one of"),
    ("dots in a job", GET, "/api/jobs/{owned}/..", b"", {}, 404, "use one of"),
    ("backslashes", GET, "/api/jobs/{owned}/..\\..\\secret-key", b"", {}, 404, "use one of"),
    ("a NUL", GET, "/api/styles/a\0b.png", b"", {}, 404, "there is nothing"),
    ("a style of dots", GET, "/api/styles/../secret-key.png", b"", {}, 404, "there is nothing"),
    ("no such style", GET, "/api/styles/nobody.png", b"", {}, 404, "that picture"),
    ("a name too long", GET, f"/api/jobs/{'a' * 5000}", b"", {}, 404, "there is nothing"),
    ("capital digits", GET, f"/api/jobs/{'A' * 32}", b"", {}, 404, "there is nothing"),
    ("a path as a photograph", POST, "/api/jobs", job(photograph="../secret-key"), {}, 400,
     "photograph: should be an id"),
    ("a path as a painting", POST, "/api/jobs", job(painting="/etc/passwd"), {}, 400,
     "painting: should be an id"),
    ("a path as a start", POST, "/api/jobs", job(options={"init": "/etc/passwd"}), {}, 400,
     "options: init is unknown"),
    ("a path as a network", POST, "/api/jobs", job(command="stylize", painting=A,
     options={"network": "/etc/passwd"}), {}, 400, "network: should be one of"),
    ("a path as an output", POST, "/api/jobs", job(options={"output": "/tmp/x"}), {}, 400,
     "options: output is unknown"),
    # files that are no pictures
    ("an SVG", POST, "/api/uploads", SVG, {}, 415, "this is no JPEG"),
    ("a page", POST, "/api/uploads", HTML, {}, 415, "this is no JPEG"),
    ("an archive", POST, "/api/uploads", b"PK\x03\x04" + bytes(60), {}, 415, "this is no JPEG"),
    ("a program", POST, "/api/uploads", b"\x7fELF" + bytes(60), {}, 415, "this is no JPEG"),
    ("PostScript", POST, "/api/uploads", b"%!PS-Adobe-3.0 EPSF-3.0\n", {}, 415, "this is no JPEG"),
    ("a pickle", POST, "/api/uploads", b"\x80\x04K\x01.", {}, 415, "this is no JPEG"),
    ("nothing", POST, "/api/uploads", b"", {}, 400, "the file is empty"),
    ("too much", POST, "/api/uploads", picture() + bytes(150_000), {}, 413, ""),
    ("more than it says", POST, "/api/uploads", picture() + bytes(150_000),
     {"content-length": "100"}, 413, ""),
    ("a length of its own", POST, "/api/uploads", picture(), {"content-length": "many"}, 413, ""),
    # wrong types
    ("no JSON", POST, "/api/jobs", b"{", {}, 400, "the body is no JSON"),
    ("a deep nest", POST, "/api/jobs", b"[" * 100_000, {}, 400, "the body is no JSON"),
    ("no UTF-8", POST, "/api/jobs", b'"\xff\xfe"', {}, 400, "the body is no JSON"),
    ("a list", POST, "/api/jobs", b"[]", {}, 400, "the request: should be an object"),
    ("a form", POST, "/api/jobs", b"command=apply", {"content-type":
     "application/x-www-form-urlencoded"}, 415, "send JSON"),
    ("too long a request", POST, "/api/jobs", b'"' + b"x" * 300_000 + b'"', {}, 413, ""),
    ("a huge number", POST, "/api/jobs", job(options={"size": 10**300}), {}, 400, "size: should"),
    ("no number", POST, "/api/jobs", job(options={"strength": float("nan")}), {}, 400,
     "strength: should"),
    ("too many steps", POST, "/api/jobs", job(options={"polish": 10**6}), {}, 400,
     "polish: should be at most 1000"),
    ("a sweep without end", POST, "/api/sweeps", job(axes={"seed": list(range(1000))}), {}, 400,
     "axes: should come to at most"),
    ("a sweep of nothing", POST, "/api/sweeps", job(axes={}), {}, 400, "axes: should be an"),
    ("a sweep of text", POST, "/api/sweeps", job(axes={"seed": "abc"}), {}, 400, "axes: should"),
    ("half a pair", POST, "/api/jobs", job(command="stylize", photograph="{own}",
     painting="{own}", options={"content-layers": "\ud800"}), {}, 400,
     "content-layers: should be printable text"),
    ("a style of a path", POST, "/api/jobs", job(photograph="{own}", options={"style": "../x"}), {},
     400, "style: should be one of starry-night"),
    ("no such style in a mix", POST, "/api/jobs", job(command="stylize", photograph="{own}",
     painting="{own}", mix=[{"style": "nobody", "share": 0.5}]), {}, 400,
     "style: should be one of"),
    ("no such style in a sweep", POST, "/api/sweeps", job(photograph="{own}",
     axes={"style": ["swirls", "nobody"]}), {}, 400, "style: should be one of"),
    ("another's files", GET, "/api/jobs/{job}/made-from.zip", b"", {}, 404, "there is nothing"),
    ("older than another's", GET, "/api/jobs?before={job}", b"", {}, 404, "there is nothing"),
    ("older than a path", GET, "/api/jobs?before=../x", b"", {}, 404, "there is nothing"),
    # games with methods and headers
    ("another method", "PUT", "/api/jobs", b"", {}, 405, "use GET or POST"),
    ("an invented method", "BREW", "/api/jobs", b"", {}, 405, "use GET or POST"),
    ("events by POST", POST, "/api/jobs/{owned}/events", b"", {}, 405, "use GET"),
    ("another host", GET, "/api/jobs", b"", {"host": "evil.example"}, 400, "the request is"),
    ("a forwarded host", GET, f"/api/jobs/{A}", b"", {"x-forwarded-host": "evil.example"}, 404,
     "there is nothing"),
    ("a host with a path", GET, "/api/jobs", b"", {"host": "localhost/evil"}, 400, "the request"),
    ("another method in a header", GET, f"/api/jobs/{A}", b"",
     {"x-http-method-override": "DELETE"}, 404, "there is nothing"),
    ("the console of a server", GET, "/admin/", b"", {}, 404, "there is nothing"),
    ("a hidden file", GET, "/.env", b"", {}, 404, "there is nothing"),
]  # fmt: skip


@pytest.fixture(scope="module")
def belongings(catalogue):
    """What a visitor has, by the words of the table, and the intruder."""
    from helpers.web import Browser

    from jaxstyle.web import models

    models.Visitor.objects.all().delete()
    victim, intruder = Browser().begin(), Browser().begin()
    theirs, mine = victim.upload().data["id"], intruder.upload().data["id"]

    def paint(browser, upload):
        request = {"command": "apply", "photograph": upload, "options": {"size": 16}}
        return browser.send("/api/jobs", request).data["id"]

    return intruder, {
        "upload": theirs,
        "own": mine,
        "job": paint(victim, theirs),
        "owned": paint(intruder, mine),
    }


def filled(text, names):
    for word, name in names.items():
        text = text.replace(f"{{{word}}}", name)
    return text


def everything(folder):
    """All files that are kept, and all rows."""
    from jaxstyle.web import models

    files = {str(path) for path in folder.rglob("*") if "sqlite3" not in path.name}
    return files, models.Job.objects.count(), models.Upload.objects.count()


@pytest.mark.parametrize("request_", REQUESTS, ids=[each[0] for each in REQUESTS])
def test_it_is_refused_in_a_line(belongings, request_, monkeypatch, caplog):
    import dataclasses
    from pathlib import Path

    from django.conf import settings

    limits = dataclasses.replace(settings.LIMITS, max_upload_mb=0.1)
    monkeypatch.setattr(settings, "LIMITS", limits)
    _, method, path, body, headers, status, line = request_
    intruder, names = copy.deepcopy(belongings)
    before = everything(Path(settings.DATA))
    body = filled(body.decode("latin-1"), names).encode("latin-1")
    kind = "application/octet-stream" if "uploads" in path else "application/json"
    answer = intruder.ask(method, filled(path, names), body, kind, headers)
    assert answer.status == status
    assert answer.error.startswith(line)
    assert b"Traceback" not in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert everything(Path(settings.DATA)) == before
    assert caplog.records == []


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    import asyncio

    from jaxstyle.web import asgi

    def ask(silence, longest):
        monkeypatch.setattr(asgi, "_SILENCE", silence)
        monkeypatch.setattr(asgi, "_LONGEST", longest)
        sent = []

        async def trickle():
            await asyncio.sleep(0.02)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def send(message):
            sent.append(message)

        async def read(scope, receive, send):
            while True:
                await receive()

        scope = {"type": "http", "headers": [(b"content-length", b"900")]}
        asyncio.run(asgi.bounded(read, 1000)(scope, trickle, send))
        return sent[0]["status"], json.loads(sent[1]["body"])["error"]

    assert ask(0.001, 60) == (408, "the request came too slowly; send it again")
    assert ask(60, 0.1) == (408, "the request came too slowly; send it again")


def test_there_are_at_least_sixty():
    assert len({each[0] for each in REQUESTS}) == len(REQUESTS) >= 60


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, data=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


# Files that begin like pictures: nobody but the worker looks any further.
FILES = {
    "a bomb": png(30_000, 30_000, zlib.compress(bytes(10**6))),
    "a thin bomb": png(7000, 7000, zlib.compress(bytes(100))),
    "a torn PNG": picture()[:60],
    "a JPEG of nothing": b"\xff\xd8\xff" + bytes(100),
    "a page in a GIF": b"GIF89a/*" + HTML + b"*/",
    "an SVG in a BMP": b"BM" + SVG,
    "a TIFF without end": b"II*\0\x08\0\0\0" + b"\xff" * 80,
    "a box of no codec": b"\0\0\0\x18ftypevil\0\0\0\0mif1" + bytes(40),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_only_begins_like_a_picture_is_refused_by_the_worker(visitor, page, name):
    from jaxstyle.web import models, reception

    upload = visitor.begin().upload(FILES[name]).data["id"]
    reception.receive()
    facts = visitor.get(f"/api/uploads/{upload}").data
    assert facts["state"] == "refused"
    assert facts["message"]
    assert "\n" not in facts["message"]
    assert str(page) not in facts["message"]
    assert not models.Upload.objects.get().file.exists()
    request = {"command": "apply", "photograph": upload}
    assert visitor.send("/api/jobs", request).error.endswith("is no picture that can be used")


def test_a_polyglot_is_never_sent_as_it_came(visitor):
    from jaxstyle.web import reception

    upload = visitor.begin().upload(picture() + HTML).data["id"]
    reception.receive()
    shown = visitor.get(f"/api/uploads/{upload}/preview.jpg")
    assert (shown.status, shown.headers["content-type"]) == (200, "image/jpeg")
    assert HTML not in shown.body
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"
