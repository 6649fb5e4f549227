"""Whoever asks is answered in time, even where what works on it is held: a database that stands still says nothing."""

import asyncio
import logging

from django.http import HttpResponse
from django.template.loader import render_to_string

from conductor.api.problems import PREFIX, Problem
from conductor.outages import COME_BACK
from conductor.requests import Application, Message, Receive, Scope, Send

# The database gives up a statement, and says why, before this.
ANSWER_SECONDS = 7.0

log = logging.getLogger(__name__)
_left: set[asyncio.Task[None]] = set()  # nobody else holds on to them


def punctual(application: Application, seconds: float = ANSWER_SECONDS) -> Application:
    """Return the HTTP application that answers 503 where it has not begun to answer after so many seconds.

    What was begun goes on, and what it stores is stored; whoever sends it again is told so, as always.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        is_begun = is_given_up = False

        async def send_in_time(message: Message) -> None:
            nonlocal is_begun
            if not is_given_up:
                is_begun = True
                await send(message)

        work = asyncio.create_task(application(scope, receive, send_in_time))
        try:
            await asyncio.wait({work}, timeout=seconds)
            if work.done() or is_begun:
                await work
                return
        except asyncio.CancelledError:
            work.cancel()
            raise
        is_given_up = True
        _left.add(work)
        work.add_done_callback(_forget)
        log.error("%s %s was given up after %.0f s.", scope["method"], scope["path"], seconds)
        await _answer(_too_late(scope["path"]), send)

    return wrapped


def _forget(work: asyncio.Task[None]) -> None:
    _left.discard(work)
    if not work.cancelled() and (error := work.exception()):
        log.error("A request that was given up failed: %s", error)


def _too_late(path: str) -> HttpResponse:
    outage = "The database does not answer"
    if path.startswith(PREFIX):
        detail = f"{outage}. Send it again: what is stored already is not stored twice."
        return Problem(503, detail, headers=COME_BACK).answer()
    return HttpResponse(render_to_string("503.html", {"outage": outage}), status=503, headers=COME_BACK)


async def _answer(response: HttpResponse, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
