"""Whom a browser takes us for: a request by a name that is not ours is refused."""

import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.utils.decorators import sync_and_async_middleware
from django.utils.log import log_response

from conductor.api.problems import Problem, is_rest

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
