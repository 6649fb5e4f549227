"""Turn raw events, in any order within the lateness bound, into one reading every 5 s of event time. Pure."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement.limits import LATENESS_SECONDS
from engagement.moments import MICROSECOND, to_microseconds
from engagement.people import Person
from engagement.readings import Reading
from engagement.room import GRACE_SECONDS, RANK, Room
from engagement.slots import ROW, SECOND, row_end

FRESH_FOR = timedelta(minutes=5)  # with an older newest event it is no live session that fell silent, but a recording


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One thing that happened. `user` is any opaque string; `id` tells a repeat from a second event."""

    type: str
    timestamp: datetime
    user: str | None = None
    id: str | None = None
    poll: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """How many events of a batch were taken, were there already, and came after their window had closed."""

    accepted: int
    duplicates: int
    late: int


def closed_by_event(newest: int, lateness: int) -> int:
    """Return the end of the newest window that an event closes; all in µs since 1970."""
    return (newest - lateness) // ROW * ROW


def closed_by_clock(now: int, newest: int, lateness: int, patience: int | None) -> int | None:
    """Return the end of the newest window that the clock closes in a session whose newest event is `newest`.

    None where that is too old for a live session. Silence is counted for as long as the room's `patience`
    lasts (see `Room`); the window of an event itself always closes in time.
    """
    if now - newest >= FRESH_FOR // MICROSECOND:
        return None
    closed = (now - lateness) // ROW * ROW
    return closed if patience is None else min(closed, max((newest + patience) // ROW * ROW, row_end(newest)))


class Windows:
    """The rolling window of one session: add events as they come, take the readings whose windows have closed.

    Rows end at whole multiples of 5 s and hold what happened in the 60 s before their end, the end itself left
    out. A row closes once an event, or the clock that `advance` is given, is `lateness_seconds` past its end.
    What comes for a closed row is late and changes nothing; up to there order does not matter, nor does how
    the events are cut into batches.

    **A leave counts at once and is taken back when the same person joins within the grace time.** Whether a
    leave is a reconnect is known only later: to wait for it would show every exit two minutes late, and an
    exit must be seen within seconds. So the rows between the two count the leave, as that is what was known,
    and no later row does. One flaky connection is one leave for as long as it is away; the detector asks for
    several leavers, and for more of them than this audience usually has.

    `active_users` never exceeds `total_users`: who left is not active, whatever they did before. Joining is
    not activity, so a page that reconnects over and over does not look engaged. Joins, leaves, focus and blur
    count only for a person who is named. Where a session has no joins, its audience is unknown (None), and with
    it the shares of it. What is never sent is unknown as well: see `Room`, which also says when a silence has no
    rows at all. `sends_all` says that the platform is known to send every kind, so its silence is 0 from the start.

    Ids are remembered while their window is open; later a repeat is late in any case.

    >>> from datetime import UTC, timedelta
    >>> windows = Windows()
    >>> nine = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> _ = windows.add([RawEvent("join", nine, "ada"), RawEvent("chat", nine + timedelta(seconds=3), "ada")])
    >>> [reading] = windows.advance(nine + timedelta(seconds=7))
    >>> reading.timestamp.second, reading.total_users, reading.active_users, reading.chat_msgs_per_min
    (5, 1, 1, 1.0)
    """

    def __init__(
        self,
        lateness_seconds: float = LATENESS_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        sends_all: bool = False,
    ):
        self.lateness = round(lateness_seconds * SECOND)
        self._room = Room(grace=round(grace_seconds * SECOND), sends_all=sends_all)
        self._people: dict[str, Person] = {}
        self._pending: list[tuple[int, int, str, str]] = []
        self._open_ids: dict[str, int] = {}
        self._newest: int | None = None
        self._closed: int | None = None  # the end of the newest window that has closed, its row read or not

    def add(self, events: Iterable[RawEvent]) -> Added:
        """Take events in the order in which they came. Raises ValueError for an unknown type."""
        accepted = duplicates = late = 0
        for event in events:
            moment = to_microseconds(event.timestamp)
            if event.type not in RANK:
                raise ValueError(f"unknown event type {event.type!r}")
            if event.id is not None and event.id in self._open_ids:
                duplicates += 1
            elif self._closed is not None and moment < self._closed:
                late += 1
            else:
                accepted += 1
                if event.id is not None:
                    self._open_ids[event.id] = moment
                self._pending.append((moment, RANK[event.type], event.user or "", event.poll or ""))
                if self._newest is None or moment > self._newest:
                    self._newest = moment
                    self._close(closed_by_event(moment, self.lateness))
        return Added(accepted, duplicates, late)

    def advance(self, until: datetime | None = None) -> list[Reading]:
        """Return the readings whose windows have closed: by the newest event, or by the clock `until`."""
        if until is not None and self._newest is not None:
            self._close(closed_by_clock(to_microseconds(until), self._newest, self.lateness, self._room.patience))
        return self._rows()

    def finish(self, ended_at: datetime | None = None) -> list[Reading]:
        """Return the remaining readings: to the row of the newest event, or to the last one that `ended_at` fills."""
        if self._newest is not None:
            self._close(row_end(self._newest))
            if ended_at is not None:
                self._close(to_microseconds(ended_at) // ROW * ROW)
        return self._rows(is_over=True)

    def _close(self, closed: int | None) -> None:
        if closed is not None and (self._closed is None or closed > self._closed):
            self._closed = closed

    def _rows(self, is_over: bool = False) -> list[Reading]:
        if self._closed is None:
            return []
        closed = self._closed
        self._pending.sort()
        split = bisect_left(self._pending, (closed,))
        due, self._pending = self._pending[:split], self._pending[split:]
        self._open_ids = {key: moment for key, moment in self._open_ids.items() if moment >= closed}
        return self._room.advance(due, self._people, closed, is_over)
