"""Events: what becomes of a job, sent by the server as it happens."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpResponseBase, StreamingHttpResponse

from jaxstyle.web.models import Job
from jaxstyle.web.refusals import Refusal
from jaxstyle.web.views.errors import said
from jaxstyle.web.visitors import job_of

_PAUSE = 0.25  # between looks into the database, one for all who watch
_SILENCE = 15.0  # after which a line keeps proxies from closing the connection
_LONGEST = 600.0  # a browser opens a new one by itself


class _Desk:
    """Looks for news of all jobs that somebody watches, in one question to the database."""

    def __init__(self) -> None:
        self._watched: dict[str, int] = {}
        self._news: dict[str, dict[str, Any] | None] = {}
        self._told = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def news(self, name: str) -> AsyncIterator[dict[str, Any] | None]:
        """Yields the facts of a job, whenever they may have changed; None if it is gone."""
        self._watched[name] = self._watched.get(name, 0) + 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while True:
                told = self._told
                await told.wait()
                if name in self._news:  # it was asked for in time
                    yield self._news[name]
        finally:
            self._watched[name] -= 1
            if not self._watched[name]:
                del self._watched[name]

    async def _look(self) -> None:
        while self._watched:
            try:
                self._news = await sync_to_async(_facts_of, thread_sensitive=False)(
                    list(self._watched)
                )
                told, self._told = self._told, asyncio.Event()
                told.set()
            except Exception:  # the database may be away for a moment
                await asyncio.sleep(1)
            await asyncio.sleep(_PAUSE)


_desks: dict[asyncio.AbstractEventLoop, _Desk] = {}


async def of_job(request: Any, name: str) -> HttpResponseBase:
    """Answers with a stream of events, each with all that is known of the job."""
    if request.method != "GET":
        return said(405, "use GET here")
    try:
        job = await sync_to_async(job_of)(request, name)
    except Refusal as refusal:
        return said(refusal.status, refusal.message)
    response = StreamingHttpResponse(_stream(job), content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # of nginx, which would keep them back
    return response


async def _stream(job: Job) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    desk = _desks.setdefault(loop, _Desk())
    facts: dict[str, Any] | None = job.facts()
    begun = spoke = time.monotonic()
    version = None
    yield "retry: 1000\n\n"
    news = desk.news(str(job.pk))
    try:
        while facts is not None:
            now = time.monotonic()
            if facts["version"] != version:
                version, spoke = facts["version"], now
                yield f"id: {version}\ndata: {json.dumps(facts)}\n\n"
            elif now - spoke > _SILENCE:
                spoke = now
                yield ": still here\n\n"
            if facts["state"] not in Job.WAITING or now - begun > _LONGEST:
                return
            facts = await anext(news)
        yield "event: gone\ndata: {}\n\n"
    finally:
        await news.aclose()  # type: ignore[attr-defined]


def _facts_of(names: list[str]) -> dict[str, dict[str, Any] | None]:
    """Returns the facts of jobs by name, None for those that are gone."""
    close_old_connections()  # no request begins or ends here, where Django would do it
    try:
        found = {str(job.pk): job.facts() for job in Job.objects.filter(pk__in=names)}
    finally:
        close_old_connections()
    return {name: found.get(name) for name in names}
