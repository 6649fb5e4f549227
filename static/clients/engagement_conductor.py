"""A client of the Engagement Conductor, in one file and with the standard library only; Python 3.9 or newer.

    with Conductor("https://live.example.org", "ec_...") as conductor:
        keynote = conductor.session("Opening keynote", external_id="room-1/keynote")
        keynote.event("chat", user="u-17")

Events and rows are gathered and sent in the background, in batches. What cannot be sent is sent again, after as long as
the server asks for; each event has an id and each row a timestamp, so that nothing counts twice. Nothing waits for the
network but `session`, `end`, `flush` and `close`.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

__all__ = ["Conductor", "Refused", "Session", "Unreachable"]

EventType = Literal[
    "join", "leave", "chat", "reaction", "poll_opened", "poll_vote", "poll_closed", "focus", "blur", "hand_raised",
    "hand_lowered", "mic_on", "mic_off", "camera_on", "camera_off", "talk_started", "talk_stopped", "question_asked",
    "question_vote",
]  # fmt: skip
Item = dict[str, Any]

BATCH = 1_000  # items of one request; the server takes 5,000
FLUSH_SECONDS = 1.0
MOST_WAITING = 100_000  # with more than that the oldest are dropped, and it is said
TIMEOUT_SECONDS = 30.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
TRY_AGAIN = (408, 429, 500, 502, 503, 504)

log = logging.getLogger("engagement_conductor")


class Refused(Exception):
    """The server understood, and said no; `status` and `problem` (RFC 9457) say why."""

    def __init__(self, status: int, problem: dict[str, Any]):
        super().__init__(f"{status}: {problem.get('detail', 'no reason was given')}")
        self.status, self.problem = status, problem


class Unreachable(Exception):
    """Nobody answered, or only to say that it is not now possible, for as long as was waited."""


class Conductor:
    """A connection to a conductor, with the key of an event. Any thread may use it."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        patience_seconds: float = 120.0,
        on_dropped: Callable[[Item, str], None] | None = None,
    ):
        """`on_dropped` is told of each item that the server will never take, and why; else the log is."""
        self._url, self._key, self._patience = url.rstrip("/") + "/api/v1", key, patience_seconds
        self._on_dropped = on_dropped or (lambda item, why: log.warning("%s was dropped: %s", item, why))
        self._waiting: dict[str, deque[Item]] = {"/events": deque(), "/signals": deque()}
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="engagement-conductor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Conductor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def session(self, title: str, *, external_id: str | None = None, **plan: Any) -> Session:
        """Return the session of this name of yours; it is made where there is none. `plan` is as REST has it."""
        body = {"title": title, **plan, **({"external_id": external_id} if external_id else {})}
        return Session(self, self.call("POST", "/sessions", body)["id"])

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return what any call below /api/v1 answers. Raises `Refused` or `Unreachable`."""
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        until, pause = time.monotonic() + self._patience, FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._send(method, path, content)
            except HTTPError as error:
                problem = _read_problem(error)
                if error.code not in TRY_AGAIN:
                    raise Refused(error.code, problem) from None
                why, wait = f"{error.code}: {problem.get('detail')}", _seconds(error.headers.get("Retry-After", ""))
            except (OSError, HTTPException, ValueError) as error:  # an answer may break off, or be a proxy's
                why, wait = str(error), 0.0
            wait = max(wait, pause * random.uniform(0.5, 1.0))
            if time.monotonic() + wait > until:
                raise Unreachable(why)
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def flush(self) -> None:
        """Return when all that was told before is sent. Raises `Refused` or `Unreachable`; what waits is kept then."""
        with self._sending:
            for path in self._waiting:
                while batch := self._peek(path):
                    self._post(path, batch)

    def close(self) -> None:
        """Send what waits, and end. Raises as `flush`."""
        self._closed.set()
        self._wake.set()
        self._thread.join()
        self.flush()

    def _add(self, path: str, item: Item) -> None:
        json.dumps(item, allow_nan=False)  # raises here, to whoever told it: nothing behind it would ever be sent
        with self._lock:
            waiting = self._waiting[path]
            waiting.append(item)
            oldest = waiting.popleft() if len(waiting) > MOST_WAITING else None
            is_full = len(waiting) >= BATCH
        if oldest is not None:
            self._on_dropped(oldest, "more waits than is kept")
        if is_full:
            self._wake.set()

    def _peek(self, path: str) -> list[Item]:
        with self._lock:
            return [self._waiting[path][place] for place in range(min(BATCH, len(self._waiting[path])))]

    def _post(self, path: str, batch: list[Item]) -> None:
        """Send a batch, and take it from what waits. A batch is taken whole or not at all, but for what is named."""
        refused: dict[int, str] = {}
        try:
            self.call("POST", path, batch)
        except Refused as error:
            for each in error.problem.get("errors", []):
                place = str(each.get("pointer", "")).split("/")[1:2]
                if place and place[0].isdigit():
                    refused[int(place[0])] = str(each.get("detail", ""))
            if error.status != 422 or not refused:
                raise
        sent = {id(item) for item in batch}
        with self._lock:
            kept = [item for item in self._waiting[path] if id(item) not in sent]
            again = [item for place, item in enumerate(batch) if refused and place not in refused]
            self._waiting[path] = deque([*again, *kept])
        for place, why in refused.items():
            self._on_dropped(batch[place], why)

    def _send(self, method: str, path: str, content: bytes | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = Request(self._url + path, content, headers, method=method)  # noqa: S310  the integrator's own address
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return json.loads(answer.read() or b"{}")  # type: ignore[no-any-return]

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            if self._closed.is_set():
                return
            try:
                self.flush()
            except Exception as error:  # also of your own `on_dropped`: nobody else would send what is told after it
                log.warning("Not sent, and kept for the next time: %r", error)
                self._closed.wait(LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True)
class Session:
    """A session, of which it is told by `event`, or by `signals`: whichever comes first."""

    conductor: Conductor
    id: str

    def event(
        self,
        type: EventType,
        user: str | None = None,
        *,
        at: datetime | None = None,
        id: str | None = None,
        poll: str | None = None,
    ) -> None:
        """Tell of one thing that happened, now or `at` a moment with a zone; `id` is your own of it."""
        item = {"session_id": self.id, "type": type, "timestamp": _write(at), "id": id or str(uuid.uuid4())}
        given = {"user": user, "poll": poll}
        self.conductor._add("/events", item | {name: value for name, value in given.items() if value is not None})

    def signals(self, *, at: datetime | None = None, **signals: float | None) -> None:
        """Tell of one row that you measured yourself, such as `active_users=81, total_users=104`."""
        self.conductor._add("/signals", {"session_id": self.id, "timestamp": _write(at), **signals})

    def anomalies(self) -> list[dict[str, Any]]:
        """Return the newest hundred incidents, newest first."""
        items: list[dict[str, Any]] = self.conductor.call("GET", f"/sessions/{quote(self.id)}/anomalies")["items"]
        return items

    def report(self) -> dict[str, Any]:
        """Return how it went."""
        return self.conductor.call("GET", f"/sessions/{quote(self.id)}/report")

    def end(self) -> None:
        """Send what waits, and end the session: it takes nothing after."""
        self.conductor.flush()
        self.conductor.call("POST", f"/sessions/{quote(self.id)}/end", {})


def _write(at: datetime | None) -> str:
    if at is None:
        at = datetime.now(timezone.utc)
    if at.tzinfo is None:
        raise ValueError("A moment needs its zone: datetime.now(timezone.utc), not datetime.now().")
    return at.isoformat()


def _read_problem(error: HTTPError) -> dict[str, Any]:
    try:
        problem = json.loads(error.read())
    except (ValueError, OSError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _seconds(retry_after: str) -> float:
    """Read a Retry-After header, which holds seconds or a date; 0 where it holds neither."""
    if retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
