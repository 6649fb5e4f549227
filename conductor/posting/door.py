"""The way in for what is posted all the time: a small ASGI application before Django, in the same process.

**Django decides, here it is repeated.** A request is taken only if Django has just answered 202 to one that differs in
nothing but its key, its session and its body; its headers are then answered again. The key must be known, the body
surely right, the sessions live. All else goes on to Django untouched, so every error is Django's own.
"""

import re
from asyncio import Future
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import JsonResponse
from django.urls import resolve
from django.utils.timezone import now

from conductor import keys, metrics
from conductor.deadline import too_late
from conductor.posting import decoding
from conductor.posting.committer import Committer, Kind, NotStored, Outcome
from conductor.posting.crowd import refuse
from conductor.requests import Application, Message, Receive, Scope, Send, send_answer
from engagement.groups import Post
from engagement.ingest import Recorded

PATH = re.compile(r"/api/v1/(?:sessions/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/)?(signals|events)", re.ASCII)
# What differs from one request to the next and is looked at by nobody but us: the key, and what proxies write.
PASSING = {
    b"authorization", b"content-length", b"traceparent", b"tracestate", b"x-correlation-id", b"x-forwarded-for",
    b"x-real-ip", b"x-request-id",
}  # fmt: skip
# With one of these a request is no simple one.
ODD = {b"content-encoding", b"cookie", b"expect", b"transfer-encoding", b"upgrade"}
MAX_KINDS = 1_000
MAX_KIND_BYTES = 2_000  # of its headers

Header = tuple[bytes, bytes]
Client = tuple[Any, ...]  # address and port


@dataclass(frozen=True, slots=True)
class Way:
    """One of the four calls."""

    kind: Kind
    decode: decoding.Decode


WAYS = {
    ("signals", True): Way(Kind.ROWS, decoding.decode_signals),
    ("events", True): Way(Kind.EVENTS, decoding.decode_events),
    ("signals", False): Way(Kind.ROWS, decoding.decode_signals_of_many),
    ("events", False): Way(Kind.EVENTS, decoding.decode_events_of_many),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A simple request: its call, key and session, and as its kind whatever else of it could matter."""

    way: Way
    secret: str
    session_id: UUID | None
    length: int
    kind: tuple[Any, ...]


def read_request(scope: Scope) -> Asked | None:
    """Return what is asked; None where it is nothing that is posted all the time, or is odd in any way."""
    if scope["method"] != "POST" or scope["query_string"] or scope.get("root_path"):
        return None
    if (path := PATH.fullmatch(scope["path"])) is None:
        return None
    authorization: bytes | None = None
    length = -1
    others: list[Header] = []
    for name, value in scope["headers"]:
        if name not in PASSING:
            if name in ODD:
                return None
            others.append((name, value))
        elif name == b"authorization":
            if authorization is not None:
                return None
            authorization = value
        elif name == b"content-length":
            if length != -1 or not value.isdigit():
                return None
            length = int(value)
    if authorization is None or not 0 < length <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return None
    if not (secret := keys.bearer(authorization.decode("latin-1"))):
        return None
    way = WAYS[path[2], path[1] is not None]
    if sum(len(name) + len(value) for name, value in others) > MAX_KIND_BYTES:
        return None
    kind = (way, scope["scheme"], scope["http_version"], *others)
    return Asked(way, secret, UUID(path[1]) if path[1] else None, length, kind)


@dataclass(frozen=True, slots=True)
class Accepted:
    """How Django answers a kind of request that it takes: its headers, and where it is counted."""

    before: tuple[Header, ...]
    length: bytes  # the name of the header, as Django writes it
    after: tuple[Header, ...]
    route: str

    @classmethod
    def of(cls, message: Message, path: str) -> "Accepted | None":
        headers: tuple[Header, ...] = tuple((bytes(name), bytes(value)) for name, value in message.get("headers", ()))
        places = [place for place, (name, _) in enumerate(headers) if name.lower() == b"content-length"]
        if message["status"] != 202 or len(places) != 1 or any(name.lower() == b"set-cookie" for name, _ in headers):
            return None
        [place] = places
        return cls(headers[:place], headers[place][0], headers[place + 1 :], resolve(path).route)

    def start(self, body: bytes) -> Message:
        headers = [*self.before, (self.length, b"%d" % len(body)), *self.after]
        return {"type": "http.response.start", "status": 202, "headers": headers}


@lru_cache(1_000)
def answer_body(recorded: Recorded) -> bytes:
    """Return what is answered, as Django writes it."""
    return bytes(JsonResponse(asdict(recorded)).content)


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was taken and waits to be stored; where it is not, whoever brings it again says so before."""

    accepted: Accepted
    outcome: "Future[Outcome]"
    decline: Callable[[Client, NotStored], None]


class Door:
    """The application for all of HTTP: takes what it is sure of, and hands `django` the rest."""

    def __init__(self, django: Application, committer: Committer) -> None:
        self.django, self.committer = django, committer
        self.accepted: dict[tuple[Any, ...], Accepted] = {}
        self.declined: dict[Client, NotStored] = {}  # whose next request was tried already

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = read_request(scope)
        if asked is None:
            await self.django(scope, receive, send)
            return
        started = perf_counter()
        accepted, key = self.accepted.get(asked.kind), keys.recall(asked.secret)
        found: Outcome | None = self.declined.pop(tuple(scope.get("client") or ()), None)
        if accepted is None or key is None or found is NotStored.DJANGO:
            await self.django(scope, receive, self._learning(asked, scope["path"], send))
            return
        if self.committer.is_full:
            count_answer(accepted, 503, started)
            await refuse(send)
            return
        read = await _read(receive)
        if found is None and read.is_whole(asked.length) and (work := self._submit(asked, key, read.body)):
            found = await work
        if isinstance(found, Recorded):
            body = answer_body(found)
            count_answer(accepted, 202, started)
            await send(accepted.start(body))
            await send({"type": "http.response.body", "body": body})
        elif found is NotStored.NOBODY:
            count_answer(accepted, 503, started)
            await send_answer(too_late(scope["path"]), send)
        else:
            await self.django(scope, read.again, self._learning(asked, scope["path"], send))

    def begin(self, scope: Scope, body: bytes) -> Begun | None:
        """Take a request that is there whole, and return it; None where it should go the ordinary way."""
        asked = read_request(scope)
        if asked is None or len(body) != asked.length or self.committer.is_full:
            return None
        accepted, key = self.accepted.get(asked.kind), keys.recall(asked.secret)
        if accepted is None or key is None or (outcome := self._submit(asked, key, body)) is None:
            return None
        return Begun(accepted, outcome, self._decline)

    def _submit(self, asked: Asked, key: keys.Recalled, body: bytes) -> "Future[Outcome] | None":
        try:
            places, items = asked.way.decode(body, asked.session_id, now())
        except decoding.NotSure:
            return None
        return self.committer.submit(asked.way.kind, Post(key.caller.event_id, places, items), key)

    def _decline(self, client: Client, why: NotStored) -> None:
        if len(self.declined) >= MAX_KINDS:  # of connections that broke off before they came again
            self.declined.clear()
        self.declined[client] = why

    def _learning(self, asked: Asked, path: str, send: Send) -> Send:
        """Have it remembered how Django answers such a request, if it takes it."""

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start" and (accepted := Accepted.of(message, path)):
                if len(self.accepted) >= MAX_KINDS:
                    self.accepted.clear()
                self.accepted[asked.kind] = accepted
            await send(message)

        return send_on


def count_answer(accepted: Accepted, status: int, started: float) -> None:
    """Count an answer as Django counts its own."""
    metrics.REQUESTS.labels("POST", accepted.route, status).inc()
    metrics.DURATION.labels("POST", accepted.route).observe(perf_counter() - started)


class _Read:
    """A body that was read, and the way to read it again."""

    def __init__(self, messages: list[Message], receive: Receive) -> None:
        self._messages, self._receive = messages, receive
        self.body = b"".join(message.get("body", b"") for message in messages)

    def is_whole(self, length: int) -> bool:
        return self._messages[-1]["type"] == "http.request" and len(self.body) == length

    async def again(self) -> Message:
        return self._messages.pop(0) if self._messages else await self._receive()


async def _read(receive: Receive) -> _Read:
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body"):
        messages.append(await receive())
    return _Read(messages, receive)
