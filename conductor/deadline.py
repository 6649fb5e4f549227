"""Whoever asks is answered in time, even where what works on it is held: a database that stands still says nothing."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from django.db import connection
from django.http import HttpResponse
from django.template.loader import render_to_string

from conductor.api.problems import PREFIX, Problem
from conductor.outages import COME_BACK
from conductor.requests import Application, Message, Receive, Scope, Send, send_answer

# The database gives up a statement, and says why, before the last of these.
SLOW_SECONDS = 0.5  # then it is looked whether the database answers at all, and after a while again
ANSWER_SECONDS = 7.0
LOOK_SECONDS = 1.4  # as long as the pool is waited for, about: so slow is no machine that does its work
AGAIN_SECONDS = 1.0

log = logging.getLogger(__name__)
_left: set[asyncio.Task[None]] = set()  # nobody else holds on to them

Look = Callable[[], Awaitable[bool]]


async def database_answers() -> bool:
    """Return whether a new connection gets an answer within some seconds."""
    try:
        async with asyncio.timeout(LOOK_SECONDS), await psycopg.AsyncConnection.connect(**_params()) as fresh:
            await fresh.execute("SELECT 1")
    except (TimeoutError, psycopg.Error):
        return False
    return True


def _params() -> dict[str, Any]:
    # As Django connects, but for what is of the synchronous kind.
    params = connection.get_connection_params()
    return {name: value for name, value in params.items() if name not in ("cursor_factory", "context")}


class SharedLook:
    """What one look has found, told to all who ask until it is a second old."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._found: asyncio.Future[bool] | None = None
        self._fresh_until = 0.0

    async def __call__(self) -> bool:
        if self._found is None or (self._found.done() and time.monotonic() >= self._fresh_until):
            self._found = asyncio.ensure_future(self._look())
            self._fresh_until = time.monotonic() + AGAIN_SECONDS
        return await asyncio.shield(self._found)


def punctual(
    application: Application,
    *,
    slow_after: float = SLOW_SECONDS,
    late_after: float = ANSWER_SECONDS,
    look: Look = database_answers,
) -> Application:
    """Return the HTTP application that answers 503 where it would answer too late.

    That is after `late_after` seconds, or after `slow_after` as soon as the database is found to say nothing. What was
    begun goes on, and what it stores is stored; whoever sends it again is told so, as always.
    """
    is_there = SharedLook(look)

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        is_begun = is_given_up = False

        async def send_in_time(message: Message) -> None:
            nonlocal is_begun
            if not is_given_up:
                is_begun = True
                await send(message)

        work = asyncio.create_task(application(scope, receive, send_in_time))
        late_at = time.monotonic() + late_after
        try:
            await asyncio.wait({work}, timeout=slow_after)
            while not (work.done() or is_begun) and time.monotonic() < late_at and await is_there():
                await asyncio.wait({work}, timeout=min(AGAIN_SECONDS, late_at - time.monotonic()))
            if work.done() or is_begun:
                await work
                return
        except asyncio.CancelledError:
            work.cancel()
            raise
        is_given_up = True
        _left.add(work)
        work.add_done_callback(_forget)
        log.error("%s %s was given up: the database does not answer.", scope["method"], scope["path"])
        await send_answer(too_late(scope["path"]), send)

    return wrapped


def _forget(work: asyncio.Task[None]) -> None:
    _left.discard(work)
    if not work.cancelled() and (error := work.exception()):
        log.error("A request that was given up failed: %s", error)


def too_late(path: str) -> HttpResponse:
    """Return what is answered where the database says nothing."""
    outage = "The database does not answer"
    if path.startswith(PREFIX):
        detail = f"{outage}. Send it again: what is stored already is not stored twice."
        return Problem(503, detail, headers=COME_BACK).answer()
    return HttpResponse(render_to_string("503.html", {"outage": outage}), status=503, headers=COME_BACK)
