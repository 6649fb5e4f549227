"""The way in for what is posted all the time: a small ASGI application before Django, in the same process.

**Django decides, here it is repeated.** A request is taken only if Django has just answered 202 to one that differs in
nothing but its key, its session and its body; its headers are then answered again. The key must be known, the body
surely right, the sessions live. All else goes on to Django untouched, so every error is Django's own.
"""

import re
from asyncio import Future
from collections.abc import Callable, Set
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
from conductor.api.cloudevents import BATCH
from conductor.deadline import too_late
from conductor.logins import known_address
from conductor.posting import decoding
from conductor.posting.committer import Committer, Key, Kind, NotStored, Outcome
from conductor.posting.crowd import refuse
from conductor.posting.listening import Listener
from conductor.requests import Application, Message, Receive, Scope, Send, send_answer
from engagement.groups import Post
from engagement.ingest import Recorded
from engagement.limits import MAX_REPORT_BYTES
from engagement.visits import Report

PATH = re.compile(
    r"/api/v1/(?:(?:sessions/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/)?(signals|events)|beacon/([\w-]{1,100}))",
    re.ASCII,
)
# What differs from one request to the next and is looked at by nobody but us: the key, and what proxies write.
PASSING = {
    b"authorization", b"content-length", b"traceparent", b"tracestate", b"x-correlation-id", b"x-forwarded-for",
    b"x-real-ip", b"x-request-id",
}  # fmt: skip
# What browsers write besides: nothing that takes a beacon's report looks at it, and it asks for no login.
PASSING_OF_TABS = PASSING - {b"authorization"} | {
    b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"cookie", b"dnt", b"pragma", b"priority",
    b"referer", b"save-data", b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-fetch-dest",
    b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-storage-access", b"user-agent",
}  # fmt: skip
# With one of these a request is no simple one.
ONCE = {b"authorization", b"content-length", b"x-forwarded-for"}
ODD = {b"content-encoding", b"cookie", b"expect", b"transfer-encoding", b"upgrade"}
TABS = "/api/v1/beacon/"
# In a crowd or an outage nobody has looked whose page it is, and the answer says nothing but when to come back.
SHARED_WITH_ALL = [(b"Access-Control-Allow-Origin", b"*"), (b"Access-Control-Expose-Headers", b"Retry-After")]
MAX_KINDS = 1_000
MAX_KIND_BYTES = 2_000  # of its headers

Header = tuple[bytes, bytes]
Client = tuple[Any, ...]  # address and port


@dataclass(frozen=True, slots=True)
class Way:
    """One of the five calls, as its body is written."""

    kind: Kind
    decode: decoding.Decode


WAYS = {
    ("signals", True): Way(Kind.ROWS, decoding.decode_signals),
    ("events", True): Way(Kind.EVENTS, decoding.decode_events),
    ("signals", False): Way(Kind.ROWS, decoding.decode_signals_of_many),
    ("events", False): Way(Kind.EVENTS, decoding.decode_events_of_many),
}
OF_CLOUD_EVENTS = {
    ("events", True): Way(Kind.EVENTS, decoding.decode_cloud_events),
    ("events", False): Way(Kind.EVENTS, decoding.decode_cloud_events_of_many),
}
OF_TABS = Way(Kind.REPORTS, decoding.decode_report)


@dataclass(frozen=True, slots=True)
class Asked:
    """A simple request: its call, key and session, and as its kind whatever else of it could matter."""

    way: Way
    secret: str
    session_id: UUID | None
    length: int
    kind: tuple[Any, ...]
    tab: "Tab | None" = None  # of a beacon

    def recall(self) -> Key | None:
        """Return who held its secret, where that is remembered and this is one of its pages."""
        if self.tab is None:
            return keys.KEYS.recall(self.secret)
        token = keys.TOKENS.recall(self.secret)
        return token if token is not None and self.tab.origin in token.caller.origins else None


@dataclass(frozen=True, slots=True)
class Tab:
    """Which page a report comes from, from where, and whether its browser asks that no more is known."""

    origin: str
    address: str
    is_private: bool


def read_request(scope: Scope) -> Asked | None:
    """Return what is asked; None where it is nothing that is posted all the time, or is odd in any way."""
    if scope["method"] != "POST" or scope["query_string"] or scope.get("root_path"):
        return None
    if (path := PATH.fullmatch(scope["path"])) is None:
        return None
    if (headers := _read_headers(scope, PASSING if path[3] is None else PASSING_OF_TABS)) is None:
        return None
    if path[3] is not None:
        return _read_report(scope, path[3], headers)
    if (authorization := headers.passing.get(b"authorization")) is None:
        return None
    if not headers.length <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return None
    if not (secret := keys.bearer(authorization.decode("latin-1"))):
        return None
    call = path[2], path[1] is not None
    way = OF_CLOUD_EVENTS.get(call, WAYS[call]) if headers.are_of(BATCH) else WAYS[call]
    return Asked(way, secret, UUID(path[1]) if path[1] else None, headers.length, headers.kind(way, scope))


def _read_report(scope: Scope, token: str, headers: "Headers") -> Asked | None:
    """Return what a tab with a beacon in it asks."""
    others = dict(headers.others)
    if b"origin" not in others or len(others) < len(headers.others) or headers.length > MAX_REPORT_BYTES:
        return None
    host, _ = scope.get("client") or ("", 0)
    address = known_address(host, headers.passing.get(b"x-forwarded-for", b"").decode("latin-1"))
    tab = Tab(others[b"origin"].decode("latin-1"), address or "", others.get(b"sec-gpc") == b"1")
    return Asked(OF_TABS, token, None, headers.length, headers.kind(OF_TABS, scope), tab)


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of a simple request: those that nobody looks at but us, each once, and the others."""

    passing: dict[bytes, bytes]
    others: list[Header]
    length: int

    def are_of(self, content_type: str) -> bool:
        """Tell whether the body is said to be of this type, as Django reads it."""
        said = dict(self.others).get(b"content-type", b"").decode("latin-1")
        return said.partition(";")[0].strip().lower() == content_type

    def kind(self, way: Way, scope: Scope) -> tuple[Any, ...]:
        return (way, scope["scheme"], scope["http_version"], *self.others)


def _read_headers(scope: Scope, passing: Set[bytes]) -> Headers | None:
    found: dict[bytes, bytes] = {}
    others: list[Header] = []
    for name, value in scope["headers"]:
        if name not in passing:
            if name in ODD:
                return None
            others.append((name, value))
        elif name in ONCE and name in found:
            return None
        else:
            found[name] = value
    length = found.get(b"content-length", b"")
    if not length.isdigit() or not int(length):
        return None
    if sum(len(name) + len(value) for name, value in others) > MAX_KIND_BYTES:
        return None
    return Headers(found, others, int(length))


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
    is_heard_out: bool = False  # it is stored though its sender has gone: a tab that is closed says so once


class Door:
    """The application for all of HTTP: takes what it is sure of, and hands `django` the rest."""

    def __init__(self, django: Application, committer: Committer, listener: Listener | None = None) -> None:
        self.django, self.committer, self.listener = django, committer, listener
        self.accepted: dict[tuple[Any, ...], Accepted] = {}
        self.declined: dict[Client, NotStored] = {}  # whose next request was tried already

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.listener:
            self.listener.begin()
        if scope["path"].startswith(TABS):
            send = _share_outages(send)
        asked = read_request(scope)
        if asked is None:
            await self.django(scope, receive, send)
            return
        started = perf_counter()
        accepted, key = self.accepted.get(asked.kind), asked.recall()
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
        accepted, key = self.accepted.get(asked.kind), asked.recall()
        if accepted is None or key is None or (outcome := self._submit(asked, key, body)) is None:
            return None
        return Begun(accepted, outcome, self._decline, asked.tab is not None)

    def _submit(self, asked: Asked, key: Key, body: bytes) -> "Future[Outcome] | None":
        session_id = key.caller.session_id if isinstance(key.caller, keys.Holder) else asked.session_id
        try:
            places, items = asked.way.decode(body, session_id, now())
        except decoding.NotSure:
            return None
        if asked.tab and asked.tab.is_private:
            items = [report.made_private() for report in items if isinstance(report, Report)]
        address = asked.tab.address if asked.tab else ""
        return self.committer.submit(asked.way.kind, Post(key.caller.event_id, places, items), key, address)

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


def _share_outages(send: Send) -> Send:
    """Have any page read when it is to come back, where the server is not able to take anything."""

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 503:
            headers = list(message["headers"])
            if SHARED_WITH_ALL[0][0].lower() not in {bytes(name).lower() for name, _ in headers}:
                message = {**message, "headers": headers + SHARED_WITH_ALL}
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
