"""Errors as problem documents (RFC 9457): whatever goes wrong under /api/v1 leaves as one, and none says too much."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils.decorators import sync_and_async_middleware
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled, ValidationError

from conductor.api.schemas import ARRAY, OBJECT
from conductor.outages import COME_BACK, describe_outage
from engagement.cursors import Busy
from engagement.events import RefusedEvent
from engagement.ingest import OtherSource, SessionEnded
from engagement.limits import MAX_BATCH, MAX_BATCH_OF_MANY
from engagement.many import RefusedSessions
from engagement.models import Session
from engagement.sessions import RefusedTimetable

logger = logging.getLogger(__name__)

PREFIX = "/api/v1/"
CONTENT_TYPE = "application/problem+json"
MAX_ERRORS = 50  # a body of 2 MB can be wrong in a hundred thousand places; nobody reads on
MAX_MEGABYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20
DETAILS = {
    400: "The request cannot be understood.",
    404: "There is nothing here, or it is not yours.",
    405: "This address does not know the method.",
    413: f"The body is too large: a batch holds up to {MAX_BATCH:,} items of one session or "
    f"{MAX_BATCH_OF_MANY:,} of many and {MAX_MEGABYTES} MB.",
    500: "Something broke on our side. It has been logged.",
}
OTHER_SOURCE = {
    Session.Source.SIGNALS: "The session is told of by signals, so its rows are there already: it takes no raw events. "
    "Make another session for them.",
    Session.Source.EVENTS: "The session is told of by raw events, from which its rows are made here: it takes no "
    "signals. Make another session for them.",
}


Wrong = Mapping[str, object]  # where a body or a query is wrong, and how


class Problem(Exception):
    """An error that is answered as it stands; `errors` name what is wrong, each with its place."""

    def __init__(
        self, status: int, detail: str = "", errors: Sequence[Wrong] = (), headers: Mapping[str, str] | None = None
    ):
        super().__init__(detail)
        self.status, self.errors, self.headers = status, errors, headers
        self.detail = detail or DETAILS.get(status, HTTPStatus(status).phrase)

    def answer(self) -> JsonResponse:
        document: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = list(self.errors)
        return JsonResponse(document, status=self.status, content_type=CONTENT_TYPE, headers=self.headers)


def pointer(path: Sequence[str | int]) -> str:
    """Write a place in a body as a JSON Pointer (RFC 6901).

    >>> pointer((0, "a/b~c"))
    '/0/a~1b~0c'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def wrong_value(path: Sequence[str | int], detail: str) -> Problem:
    """Return the problem of a body with one wrong value."""
    return _wrong([{"pointer": pointer(path), "detail": detail}])


def wrong_values(found: Iterable[tuple[Sequence[str | int], str]]) -> Problem:
    """Return the problem of a body with some wrong values, each by its place and what is wrong."""
    return _wrong([{"pointer": pointer(path), "detail": detail} for path, detail in found])


def _wrong(errors: Sequence[Wrong], what: str = "value", most: int | None = MAX_ERRORS) -> Problem:
    count = f"1 {what}" if len(errors) == 1 else f"{len(errors):,} {what}s"
    return Problem(422, f"{count} cannot be taken; nothing was stored.", errors[:most])


def _from_refused_sessions(request: HttpRequest, exc: RefusedSessions) -> Problem:
    # All of them, however many: who posts for many sessions drops these items and sends the rest.
    errors = [{"pointer": pointer((each.index, each.field)), "detail": each.detail} for each in exc.refusals]
    return _wrong(errors, "item", most=None)


def _from_validation(request: HttpRequest, exc: ValidationError) -> Problem:
    sources = {error["loc"][0] for error in exc.errors}
    if "path" in sources:
        return Problem(404)
    if "body" in sources and not request.body:
        return Problem(400, "The body is empty where JSON was expected.")
    errors: list[Wrong] = []
    for error in exc.errors:
        source, _, *path = error["loc"]
        if source == "query":
            errors.append({"parameter": error["loc"][-1], "detail": error["msg"]})
            continue
        if path and path[0] in (OBJECT, ARRAY):
            path = path[1:]
        if error["type"] == "too_long" and not path:
            return Problem(413)
        errors.append({"pointer": pointer(path), "detail": _say(error)})
    return _wrong(errors)


def _say(error: Wrong) -> str:
    return "Unknown field" if error["type"] == "extra_forbidden" else str(error["msg"])


def _from_http_error(request: HttpRequest, exc: HttpError) -> Problem:
    # The framework turns whatever the parser raises into its own error; ours is the cause.
    return exc.__cause__ if isinstance(exc.__cause__, Problem) else Problem(exc.status_code, str(exc))


def _from_authentication(request: HttpRequest, exc: AuthenticationError) -> Problem:
    challenge = 'Bearer realm="engagement-conductor"'
    if "Authorization" in request.headers:
        challenge += ', error="invalid_token"'
    return Problem(401, "Send a valid API key: Authorization: Bearer <key>.", headers={"WWW-Authenticate": challenge})


def _from_database(request: HttpRequest, exc: Exception) -> Problem:
    return from_outage(exc)


def from_outage(error: Exception) -> Problem:
    """Return the problem of a database that does not do its work, and log it."""
    outage = describe_outage(error)
    logger.error("%s: %s", outage, error)
    return _unavailable(f"{outage}. Nothing was stored; send it again.")


def _from_busy(request: HttpRequest, exc: Busy) -> Problem:
    return _unavailable("The session is in use just now. Nothing was erased; send it again.")


def _unavailable(detail: str) -> Problem:
    return Problem(503, detail, headers=COME_BACK)


def _from_unknown(request: HttpRequest, exc: Exception) -> Problem:
    raise exc  # Django logs and reports it, and `problem_documents` below words the answer


Maker = Callable[[HttpRequest, Any], Problem]
MAKERS: dict[type[Exception], Maker] = {
    Problem: lambda request, exc: exc,
    ValidationError: _from_validation,
    HttpError: _from_http_error,
    AuthenticationError: _from_authentication,
    Throttled: lambda request, exc: Problem(429, "This key sends too many requests."),
    RequestDataTooBig: lambda request, exc: Problem(413),
    UnreadablePostError: lambda request, exc: Problem(400, "The body broke off."),
    Session.DoesNotExist: lambda request, exc: Problem(404),
    SessionEnded: lambda request, exc: Problem(409, "The session has ended and takes no more."),
    OtherSource: lambda request, exc: Problem(409, OTHER_SOURCE[exc.source]),
    RefusedEvent: lambda request, exc: wrong_value((exc.index, exc.field), exc.detail),
    RefusedSessions: _from_refused_sessions,
    RefusedTimetable: lambda request, exc: wrong_value(exc.path, exc.detail),
    Busy: _from_busy,
    OperationalError: _from_database,
    InterfaceError: _from_database,
    Exception: _from_unknown,
}


def answer_with_problems(api: NinjaAPI) -> None:
    """Have the API answer every exception that has a maker with a problem document."""
    for kind, make in MAKERS.items():
        api.add_exception_handler(kind, _answering(make))


def _answering(make: Maker) -> Callable[[HttpRequest, Any], HttpResponse]:
    def answer(request: HttpRequest, exc: Any) -> HttpResponse:
        response = make(request, exc).answer()
        for name, value in getattr(request, "shared_with", {}).items():  # see `conductor.api.beacons`
            response.headers[name] = value
        return response

    return answer


def is_rest(request: HttpRequest) -> bool:
    return (request.path_info + "/").startswith(PREFIX)


@sync_and_async_middleware
def problem_documents(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Reword the errors that never reach the API: an unknown address, a wrong method, a bug."""
    if iscoroutinefunction(get_response):

        async def reword_later(request: HttpRequest) -> HttpResponse:
            return _reword(request, await get_response(request))

        return reword_later

    return lambda request: _reword(request, get_response(request))


def _reword(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if is_rest(request) and response.status_code >= 400 and response.headers.get("Content-Type") != CONTENT_TYPE:
        response.content = Problem(response.status_code).answer().content
        response.headers["Content-Type"] = CONTENT_TYPE
        response.headers["Content-Length"] = str(len(response.content))
    return response
