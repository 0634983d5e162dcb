"""A browser that talks to the page's ASGI application, with its cookies and its token."""

import asyncio
import json
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

HOST = "localhost"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        message = self.data["error"]
        assert "\n" not in message
        return message


class Browser:
    """Keeps cookies; sends the token of its session unless told otherwise."""

    def __init__(self):
        self.cookies: dict[str, str] = {}
        self.token = ""

    def begin(self) -> "Browser":
        self.token = self.get("/api/session").data["token"]
        return self

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def delete(self, path):
        return self.ask("DELETE", path)

    def send(self, path, data, **headers):
        return self.ask("POST", path, json.dumps(data).encode(), headers=headers)

    def upload(self, data=None):
        body = picture() if data is None else data
        return self.ask("POST", "/api/uploads", body, "application/octet-stream")

    def ask(self, method, path, body=b"", kind="application/json", headers=None, query=b""):
        given = {"host": HOST, "cookie": self._cookies(), "x-csrftoken": self.token}
        if body:
            given |= {"content-type": kind, "content-length": str(len(body))}
        given |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        pairs = [(k.encode(), v.encode("latin-1")) for k, v in given.items() if v is not None]
        answer = asyncio.run(_exchange(method, path, pairs, body, query))
        for value in [v for k, v in answer[1] if k == "set-cookie"]:
            for name, morsel in SimpleCookie(value).items():
                self.cookies[name] = morsel.value
        return Answer(answer[0], dict(answer[1]), answer[2])

    def _cookies(self):
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items()) or None


async def _exchange(method, path, headers, body, query):
    from jaxstyle.web.asgi import application

    raw, _, own = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "path": raw, "raw_path": raw.encode(), "query_string": own.encode() or query,
        "headers": headers, "server": (HOST, 80), "client": ("127.0.0.1", 1), "scheme": "http",
        "root_path": "",
    }  # fmt: skip
    chunks = [body[i : i + 65536] for i in range(0, len(body), 65536)] or [b""]
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks)}
        for i, chunk in enumerate(chunks)
    ]
    found, data, ended = [], b"", asyncio.Event()

    async def receive():
        if messages:
            return messages.pop(0)
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        nonlocal data
        if message["type"] == "http.response.start":
            found.append(message)
        else:
            data += message.get("body", b"")
            if not message.get("more_body"):
                ended.set()

    await application(scope, receive, send)
    [start] = found
    return (
        start["status"],
        [(k.decode().lower(), v.decode("latin-1")) for k, v in start["headers"]],
        data,
    )


def picture(size=(24, 16), kind="PNG", seed=0) -> bytes:
    """The file of a small picture."""
    file = BytesIO()
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8)).save(file, kind)
    return file.getvalue()


def ask(visitor, **changes):
    """Asks for a small picture, with an upload of its own unless one is named."""
    if not visitor.token:
        visitor.begin()
    photograph = changes.pop("photograph", None) or visitor.upload(picture()).data["id"]
    options = {"style": "swirls", "size": 16, **changes.pop("options", {})}
    request = {"command": "apply", "photograph": photograph, "options": options, **changes}
    return visitor.send("/api/jobs", request)
