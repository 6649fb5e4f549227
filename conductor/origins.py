"""Whom a browser takes us for: a request by a name that is not ours, and a socket of another site, are refused."""

import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import sync_and_async_middleware
from django.utils.log import log_response

from conductor.api.problems import Problem, is_rest
from conductor.requests import Application, Receive, Scope, Send, as_request

logger = logging.getLogger("django.security.DisallowedHost")

NOT_OUR_NAME = "This server does not go by that name."


@sync_and_async_middleware
def refuse_unknown_hosts(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer 400 with one line in the log. Django would write a traceback, and anybody can have it write many."""
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> HttpResponse:
            refused = _refuse_unknown_host(request)
            return refused or await get_response(request)

        return answer_later

    return lambda request: _refuse_unknown_host(request) or get_response(request)


def _refuse_unknown_host(request: HttpRequest) -> HttpResponse | None:
    try:
        request.get_host()
    except DisallowedHost as error:
        answer = Problem(400, NOT_OUR_NAME).answer() if is_rest(request) else HttpResponseBadRequest(NOT_OUR_NAME)
        log_response("%s", str(error), response=answer, request=request, logger=logger)
        return answer
    return None


class OwnOrigin:
    """Refuse a browser whose page is not ours; what is no browser says no origin and has a key.

    Which origin is ours is asked as for a form: scheme, host and port under which we are reached, or a trusted origin.
    """

    def __init__(self, application: Application) -> None:
        self.application = application
        self.forms = CsrfViewMiddleware(lambda request: HttpResponse())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = as_request(scope)
        is_ours = "HTTP_ORIGIN" not in request.META or self._is_ours(request)
        await (self.application if is_ours else refuse_handshake)(scope, receive, send)

    def _is_ours(self, request: HttpRequest) -> bool:
        # Private to Django, and worth it: a second rule of our own would one day differ from that of the forms.
        return bool(self.forms._origin_verified(request))  # type: ignore[attr-defined]


async def refuse_handshake(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 403. The one of Channels is a consumer: it would ask Redis for a channel first."""
    await receive()
    await send({"type": "websocket.close"})
