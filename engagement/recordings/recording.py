"""What a recording is once read: events under pseudonyms, or rows, and what could not be used. Pure."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from operator import attrgetter, itemgetter

from engagement.limits import FIRST_YEAR, LAST_YEAR
from engagement.readings import Reading
from engagement.recordings.date_order import DateOrder, DatesRead
from engagement.recordings.endings import find_end
from engagement.room import EVENT_TYPES, RANK
from engagement.windows import RawEvent, Windows

MAX_EVENTS = 1_000_000
MAX_SPAN = timedelta(hours=24)


class BadRecording(Exception):
    """The file is no recording; the message names the file and, where there is one, the line.

    It never quotes what the file holds: that may be a name or somebody's words.
    """


class UnknownColumns(BadRecording):
    """A table of people and moments in a language that nobody knows: somebody has to say what its columns hold.

    What these are called is for the page on which that is asked, and not in the message.
    """

    def __init__(self, name: str, columns: Sequence[str]):
        super().__init__(
            f"{name} is a table of who joined and left, and what its columns are is not known: "
            "say which one holds the name, the time of joining and the time of leaving"
        )
        self.columns = list(columns)


@dataclass(frozen=True, slots=True)
class Recording:
    """A session as its platform recorded it: `events` or `rows`, in time order, the other is empty.

    `unused` counts by reason what the file holds and we cannot use, `notes` say how it was read where that was a
    choice; both are words for people. `ended_at` is when the platform says that the session was ended, or when all who
    were still there left together. `dates` says how dates such as 03/04 were read, where there were any.
    """

    format: str
    events: list[RawEvent]
    rows: list[Reading]
    unused: dict[str, int]
    notes: tuple[str, ...] = ()
    people: int = 0
    ended_at: datetime | None = None
    dates: DatesRead | None = None

    def readings(self) -> list[Reading]:
        """Return its rows; events are windowed, as a session's own are."""
        if self.rows:
            return self.rows
        windows = Windows()
        windows.add(self.events)
        rows = [row for row in windows.finish() if not row.is_empty]
        # Of messages by nobody it is unknown how many wrote them.
        return rows if self.people else [replace(row, active_users=None) for row in rows]


@dataclass(frozen=True, slots=True)
class Hints:
    """What whoever has a recording knows of it, and its files may not say.

    `starts_at` dates what has only times of the day or since the start; times that name no zone are of `zone`, and
    `date_order` says which of 03/04 is the day. `columns` are the names of a table's columns by what they hold: "name",
    "joined", "left". Nothing is later than `now`.
    """

    starts_at: datetime | None = None
    zone: tzinfo = UTC
    date_order: DateOrder | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    now: datetime | None = None


class Gathering:
    """What the readers gather from the files of one session.

    People become u1, u2, ... and polls p1, p2, ... by their first appearance. What a platform calls them is known
    here only while the files are read, and goes with this object.
    """

    def __init__(self, hints: Hints):
        self.starts_at = hints.starts_at
        self.zone = hints.zone
        self.date_order = hints.date_order
        self.columns = hints.columns
        self.now = hints.now
        self.ended_at: datetime | None = None
        self.dates: DatesRead | None = None
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

    def take_dates(self, found: DatesRead) -> None:
        """Take how dates were read, and say it where that was a choice."""
        self.dates = found
        if found.month_first and found.day_first and found.month_first != found.day_first:
            how = "the month first" if found.order is DateOrder.MONTH_FIRST else "the day first"
            self.note(f"Dates such as 03/04 were read with {how}.")

    def note_zone(self) -> None:
        """Say which zone was taken, where a file names none."""
        self.note(f"Times that name no zone were read as {self.zone}.")

    def note(self, text: str) -> None:
        """Say, once, how something was read that could have been read otherwise."""
        self._notes[text] = None

    def end_with_the_last(self) -> None:
        """Take the moment at which all who were still there left together for the end, where none is told."""
        here: dict[str | None, datetime] = {}
        spans = []
        for at, rank, user, _ in sorted(self._events, key=itemgetter(0, 1)):
            if EVENT_TYPES[rank] == "join":
                here.setdefault(user, at)
            elif EVENT_TYPES[rank] == "leave" and user in here:
                spans.append((here.pop(user), at))
        end = find_end(spans)
        if self.ended_at is None and not here and len(spans) > 1 and end is not None:
            self.ended_at = end
            self.note("No end is told: it was when those who were still there left together.")

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
            dates=self.dates,
        )


def check_year(at: datetime) -> None:
    """Raise ValueError for a moment of another century: a clock is broken, or it is no time at all."""
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"the time does not lie between {FIRST_YEAR} and {LAST_YEAR}")
