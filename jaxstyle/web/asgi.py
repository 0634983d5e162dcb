"""The page as an ASGI application: `uvicorn jaxstyle.web.asgi:application`."""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jaxstyle.web.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application

from jaxstyle.web.middleware import POLICY

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_BESIDE = 2**16  # bytes of a request beside the file in it


class _TooLarge(Exception):
    """A body goes on beyond what anything may have."""


def bounded(application: Application, most: int) -> Application:
    """Returns an application that never reads more than some bytes of a request.

    Django keeps a whole body on disk before a view can look at it, however long it is.
    """

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        read = 0
        begun = False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            length = int(dict(scope["headers"]).get(b"content-length", b"0"))
        except ValueError:
            length = most + 1
        try:
            if length > most:
                raise _TooLarge
            await application(scope, counted, noted)
        except _TooLarge:
            if not begun:
                await _refuse(send, most)

    return answer


async def _refuse(send: Send, most: int) -> None:
    body = json.dumps({"error": f"a request should have at most {most} bytes"}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"content-security-policy", POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


application = bounded(get_asgi_application(), int(settings.LIMITS.max_upload_mb * 1e6) + _BESIDE)
