"""Bodies that are too large are thrown away as they come; pages go out compressed.

daphne, and then Django, would write all of one to a file before any view runs. The view that refuses it is asked all
the same: it knows who sends it, and answers in words, by Content-Length.
"""

from daphne.http_protocol import WebRequest
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.urls import reverse

from conductor.api.problems import is_rest
from conductor.requests import Application, Message, Receive, Scope, Send
from conductor.uploads import MAX_BODY


class FrugalRequest(WebRequest):
    """A request as daphne has it, that keeps no body longer than the longest upload, and parses none."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        # Twisted would parse every form for itself: in the event loop, while all sockets wait, at ten times its size.
        super().__init__(*args, **kwargs, parsePOSTFormSubmission=False)
        self.room = MAX_BODY

    def gotLength(self, length: int | None) -> None:
        is_too_large = length is not None and length > MAX_BODY
        super().gotLength(0 if is_too_large else length)
        self.room = 0 if is_too_large else MAX_BODY  # where no length is announced, what comes first is kept

    def handleContentChunk(self, data: bytes) -> None:
        kept = data[: self.room]
        self.room -= len(kept)
        super().handleContentChunk(kept)


def without_large_bodies(application: Application) -> Application:
    """Return the HTTP application that sees an empty body where one is announced that no view would take."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await application(scope, _without_body(receive) if _is_too_large(scope) else receive, send)

    return wrapped


def _is_too_large(scope: Scope) -> bool:
    length: bytes = dict(scope["headers"]).get(b"content-length", b"")
    most = MAX_BODY if scope["path"] == reverse("recording-upload") else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return length.isdigit() and int(length) > most


def _without_body(receive: Receive) -> Receive:
    is_first = True

    async def receive_the_rest() -> Message:
        nonlocal is_first
        if is_first:
            is_first = False
            return {"type": "http.request"}
        while (message := await receive())["type"] == "http.request":
            pass
        return message

    return receive_the_rest


class PackedPages(GZipMiddleware):
    """Compress pages; Django's padding of random length hides their tokens (BREACH).

    REST answers are as they were: the hot path, which is past Django, answers the very same bytes.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if is_rest(request) else super().process_response(request, response)
