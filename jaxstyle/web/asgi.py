"""The page as an ASGI application: `uvicorn jaxstyle.web.asgi:application`."""

import asyncio
import json
import os
import time
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
_SILENCE = 30.0  # seconds until the next bytes of a body
_LONGEST = 900.0  # seconds for all of it


class _Refused(Exception):
    """A body goes on beyond what anything may have, or does not go on."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message


def bounded(application: Application, most: int) -> Application:
    """Returns an application that never reads more than some bytes of a request, nor for ever.

    Django keeps a whole body on disk before a view can look at it, however long it is, and waits
    for it as long as it takes.
    """
    too_large = _Refused(413, f"a request should have at most {most} bytes")

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        read, whole, began = 0, False, time.monotonic()
        begun = False

        async def counted() -> Message:
            nonlocal read, whole
            if whole:  # Django listens whether the visitor goes away, as long as it answers
                return await receive()
            left = began + _LONGEST - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, min(_SILENCE, left)))
            except TimeoutError:
                raise _Refused(408, "the request came too slowly; send it again") from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > most:
                raise too_large
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
                raise too_large
            await application(scope, counted, noted)
        except _Refused as refused:
            if not begun:
                await _refuse(send, refused)

    return answer


async def _refuse(send: Send, refused: _Refused) -> None:
    body = json.dumps({"error": refused.message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"content-security-policy", POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


application = bounded(get_asgi_application(), int(settings.LIMITS.max_upload_mb * 1e6) + _BESIDE)
