"""What this process is at work on: a request that never ends is how a wedge of its threads or pools shows itself."""

import itertools
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

STUCK_SECONDS = 50.0  # everything that a request may wait for is given up much sooner

_numbers = itertools.count()
_started_at: dict[int, float] = {}


def noted(application: Application) -> Application:
    """Return the HTTP application that knows since when it works on each request."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        with at_work():
            await application(scope, receive, send)

    return wrapped


@contextmanager
def at_work() -> Iterator[None]:
    """Note that work goes on for as long as the block lasts."""
    number = next(_numbers)
    _started_at[number] = time.monotonic()
    try:
        yield
    finally:
        del _started_at[number]


async def send_answer(response: HttpResponse, send: Send) -> None:
    """Answer with a response that Django has not seen."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


def is_one_stuck(now: float) -> bool:
    """Tell whether a request has been worked on for longer than any can take; `now` is of the monotonic clock."""
    return now - min(_started_at.values(), default=now) > STUCK_SECONDS


def as_request(scope: Scope) -> HttpRequest:
    """Return a handshake as the request that it is, as far as scheme, host and origin go."""
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    known = {"method": "GET", "path": "/", "scheme": scheme, "server": scope.get("server"), "headers": scope["headers"]}
    return ASGIRequest(known, BytesIO())
