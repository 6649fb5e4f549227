"""What a recording is once read: events under pseudonyms, or rows, and what could not be used. Pure."""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from operator import attrgetter, itemgetter

from engagement.limits import FIRST_YEAR, LAST_YEAR
from engagement.readings import Reading
from engagement.room import EVENT_TYPES, RANK
from engagement.windows import RawEvent, Windows

MAX_EVENTS = 1_000_000
MAX_SPAN = timedelta(hours=24)


class BadRecording(Exception):
    """The file is no recording; the message names the file and, where there is one, the line.

    It never quotes what the file holds: that may be a name or somebody's words.
    """


@dataclass(frozen=True, slots=True)
class Recording:
    """A session as its platform recorded it: `events` or `rows`, in time order, the other is empty.

    `unused` counts by reason what the file holds and we cannot use, `notes` say how it was read where that was a
    choice; both are words for people. `ended_at` is when the platform says that the session was ended.
    """

    format: str
    events: list[RawEvent]
    rows: list[Reading]
    unused: dict[str, int]
    notes: tuple[str, ...] = ()
    people: int = 0
    ended_at: datetime | None = None

    def readings(self) -> list[Reading]:
        """Return its rows; events are windowed, as a session's own are."""
        if self.rows:
            return self.rows
        windows = Windows()
        windows.add(self.events)
        return [row for row in windows.finish() if not row.is_empty]


class Gathering:
    """What the readers gather from the files of one session.

    People become u1, u2, ... and polls p1, p2, ... by their first appearance. What a platform calls them is known
    here only while the files are read, and goes with this object.
    """

    def __init__(self, starts_at: datetime | None = None, zone: tzinfo = UTC):
        self.starts_at = starts_at
        self.zone = zone
        self.ended_at: datetime | None = None
        self.rows: list[Reading] = []
        self._events: list[tuple[datetime, int, str | None, str | None]] = []
        self._people: dict[Hashable, str] = {}
        self._last_person = 0
        self._polls: dict[str, str] = {}
        self._connections: dict[str, set[Hashable]] = {}
        self._ids: set[str] = set()
        self._unused: Counter[str] = Counter()
        self._notes: dict[str, None] = {}

    @property
    def anchor(self) -> datetime | None:
        """Where on the calendar it lies: the planned start, or else the first thing that a file dates."""
        if self.starts_at is not None or not self._events:
            return self.starts_at
        return min(at for at, *_ in self._events)

    def person(self, key: Hashable, *aliases: Hashable) -> str:
        """Return the pseudonym of whoever goes by `key`; an alias is another name of theirs, if nobody has it yet."""
        pseudonym = self._people.get(key)
        if pseudonym is None:
            self._last_person += 1
            pseudonym = self._people[key] = f"u{self._last_person}"
        for alias in aliases:
            self._people.setdefault(alias, pseudonym)
        return pseudonym

    def poll(self, key: str) -> str:
        """Return what a poll is called here."""
        return self._polls.setdefault(key, f"p{len(self._polls) + 1}")

    def is_repeat(self, event_id: str | None) -> bool:
        """Tell whether an event of this id was there before, and count it as unused if so."""
        if event_id is None:
            return False
        if event_id in self._ids:
            self.skip("repeats of an event")
            return True
        self._ids.add(event_id)
        return False

    def add(self, kind: str, at: datetime, user: str | None = None, poll: str | None = None) -> None:
        """Take one event. Raises ValueError for a moment that no session of ours has, or one event too many."""
        check_year(at)
        if len(self._events) >= MAX_EVENTS:
            raise ValueError(f"more than {MAX_EVENTS:,} events: split the recording")
        self._events.append((at, RANK[kind], user, poll))

    def connect(self, user: str, connection: Hashable, at: datetime) -> None:
        """Take a connection of a person, who joins with the first of them."""
        connections = self._connections.setdefault(user, set())
        if not connections:
            self.add("join", at, user)
        connections.add(connection)

    def disconnect(self, user: str, connection: Hashable, at: datetime) -> None:
        """Take the end of a connection of a person, who leaves with the last of them."""
        connections = self._connections.get(user, set())
        if connection not in connections:
            self.skip("leaves of somebody who was not there")
            return
        connections.remove(connection)
        if not connections:
            self.add("leave", at, user)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count what cannot be used."""
        self._unused[reason] += count

    def note_zone(self) -> None:
        """Say which zone was taken, where a file names none."""
        self.note(f"Times that name no zone were read as {self.zone}.")

    def note(self, text: str) -> None:
        """Say, once, how something was read that could have been read otherwise."""
        self._notes[text] = None

    def finish(self, name: str, formats: Mapping[str, None], fingerprint: str) -> Recording:
        """Return the recording. Raises `BadRecording` where nothing can be used, or it is more than we take.

        The id of an event is its place, after a fingerprint of the files: the same files give the same ids, so a
        recording that is posted twice is there once, and two recordings of one session do not collide.
        """
        moments = [at for at, *_ in self._events] or [row.timestamp for row in self.rows]
        if not moments:
            counted = ", ".join(f"{count:,} {reason}" for reason, count in self._unused.most_common(3))
            raise BadRecording(f"{name} is empty: nothing in it can be used{f' ({counted})' if counted else ''}")
        if self._events and self.rows:
            raise BadRecording(f"{name}: raw events and signals objects are mixed")
        if max(moments) - min(moments) > MAX_SPAN:
            raise BadRecording(f"{name}: spans more than 24 hours, so it is more than one session")
        self._events.sort(key=itemgetter(0, 1))
        events = [
            RawEvent(EVENT_TYPES[rank], at, user, f"{fingerprint}.{place}", poll)
            for place, (at, rank, user, poll) in enumerate(self._events)
        ]
        rows = sorted(self.rows, key=attrgetter("timestamp"))
        people = len({user for _, _, user, _ in self._events if user is not None})
        return Recording(
            format=" and ".join(formats),
            events=events,
            rows=rows,
            unused=dict(self._unused.most_common()),
            notes=tuple(self._notes),
            people=people,
            ended_at=self.ended_at,
        )


def check_year(at: datetime) -> None:
    """Raise ValueError for a moment of another century: a clock is broken, or it is no time at all."""
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"the time does not lie between {FIRST_YEAR} and {LAST_YEAR}")
