"""Turn raw events into one reading every 5 s of event time, over an exact rolling 60 s window. Pure."""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from engagement.readings import Reading

EVENT_TYPES = ("poll_opened", "leave", "join", "blur", "focus", "chat", "reaction", "poll_vote", "poll_closed")
ROW_SECONDS = 5
WINDOW_SECONDS = 60
LATENESS_SECONDS = 2.0
GRACE_SECONDS = 120.0
MAX_SILENCE_SECONDS = 4 * 3600  # after it a session counts as over, so two far-off events make no endless rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
ROW = ROW_SECONDS * SECOND
WINDOW = WINDOW_SECONDS * SECOND
MAX_SILENCE = MAX_SILENCE_SECONDS * SECOND

# Of one moment: a leave before a join (a reconnect, the person is here), a poll's votes before its close.
RANK = {name: rank for rank, name in enumerate(EVENT_TYPES)}


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


@dataclass(slots=True)
class _Poll:
    could_vote: set[str]  # who was here at any time since it opened
    unnamed: int  # how many of them have no name
    voters: set[str]


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
    not activity, so a page that reconnects over and over does not look engaged. Where a session has no joins,
    its audience is unknown (None), and with it the shares of it. Chat and reactions are counts: silence is 0.

    All attributes are plain values, so a session's windows can be pickled, stored and taken up again. Ids are
    remembered while their window is open; later a repeat is late in any case.

    >>> windows = Windows()
    >>> nine = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> _ = windows.add([RawEvent("join", nine, "ada"), RawEvent("chat", nine + timedelta(seconds=3), "ada")])
    >>> [reading] = windows.advance(nine + timedelta(seconds=7))
    >>> reading.timestamp.second, reading.total_users, reading.active_users, reading.chat_msgs_per_min
    (5, 1, 1, 1.0)
    """

    def __init__(self, lateness_seconds: float = LATENESS_SECONDS, grace_seconds: float = GRACE_SECONDS):
        self.lateness = round(lateness_seconds * SECOND)
        self.grace = round(grace_seconds * SECOND)
        self._pending: list[tuple[int, int, str, str, str]] = []  # moment, rank, user, poll, id
        self._open_ids: dict[str, int] = {}
        self._newest: int | None = None
        self._closed: int | None = None  # the end of the newest row that has closed, read or not
        self._next: int | None = None  # the end of the next row to give
        self._heard = 0  # the newest event that a row holds

        self._present: set[str] = set()
        self._unnamed_present = 0
        self._focused: set[str] = set()
        self._has_joins = False
        self._has_focus = False
        self._chats: deque[int] = deque()
        self._reactions: deque[int] = deque()
        self._acted: OrderedDict[str, int] = OrderedDict()  # who → when last, oldest first
        self._leaves: OrderedDict[tuple[str, int], None] = OrderedDict()  # oldest first
        self._left_at: dict[str, int] = {}
        self._polls: dict[str, _Poll] = {}  # the open ones, in the order in which they opened

    def add(self, events: Iterable[RawEvent]) -> Added:
        """Take events in the order in which they came. Raises ValueError for an unknown type."""
        accepted = duplicates = late = 0
        for event in events:
            moment = _moment(event.timestamp)
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
                entry = (moment, RANK[event.type], event.user or "", event.poll or "", event.id or "")
                self._pending.append(entry)
                if self._newest is None or moment > self._newest:
                    self._newest = moment
                    self._close_before(moment)
        return Added(accepted, duplicates, late)

    def advance(self, until: datetime | None = None) -> list[Reading]:
        """Return the readings whose windows have closed: by the newest event, or by the clock `until`."""
        if until is not None and self._newest is not None:
            self._close_before(_moment(until))
        return self._rows()

    def finish(self, ended_at: datetime | None = None) -> list[Reading]:
        """Return the remaining readings: to the row of the newest event, or to the last one that `ended_at` fills."""
        if self._newest is not None:
            last = _row_end(self._newest)
            if ended_at is not None:
                last = max(last, _moment(ended_at) // ROW * ROW)
            self._closed = last if self._closed is None else max(self._closed, last)
        return self._rows()

    def _close_before(self, moment: int) -> None:
        closed = (moment - self.lateness) // ROW * ROW
        if self._closed is None or closed > self._closed:
            self._closed = closed

    def _rows(self) -> list[Reading]:
        rows: list[Reading] = []
        if self._closed is None:
            return rows
        self._pending.sort(reverse=True)  # the next one is at the end
        while True:
            if self._next is None:
                if not self._pending:
                    break
                self._next = _row_end(self._pending[-1][0])
            if self._next > self._closed:
                break
            while self._pending and self._pending[-1][0] < self._next:
                self._apply(*self._pending.pop()[:4])
            if self._next - self._heard > MAX_SILENCE:
                self._next = None  # go on at the row of the next event, once there is one
                if not self._pending:
                    break
                continue
            rows.append(self._row(self._next))
            self._next += ROW
        closed = self._closed
        self._open_ids = {key: moment for key, moment in self._open_ids.items() if moment >= closed}
        return rows

    def _apply(self, moment: int, rank: int, user: str, poll: str) -> None:
        self._heard = moment
        match EVENT_TYPES[rank]:
            case "join":
                self._join(moment, user)
            case "leave":
                self._leave(moment, user)
            case "chat":
                self._chats.append(moment)
                self._act(moment, user)
            case "reaction":
                self._reactions.append(moment)
                self._act(moment, user)
            case "poll_vote":
                self._vote(user, poll)
                self._act(moment, user)
            case "poll_opened":
                self._polls.setdefault(poll, _Poll(set(self._present), self._unnamed_present, set()))
            case "poll_closed":
                self._polls.pop(poll, None)
            case "focus" if user:
                self._has_focus = True
                self._focused.add(user)
            case "blur" if user:
                self._has_focus = True
                self._focused.discard(user)

    def _join(self, moment: int, user: str) -> None:
        self._has_joins = True
        if not user:
            self._unnamed_present += 1
            for poll in self._polls.values():
                poll.unnamed += 1
            return
        self._present.add(user)
        for poll in self._polls.values():
            poll.could_vote.add(user)
        left_at = self._left_at.pop(user, None)
        if left_at is not None and moment - left_at <= self.grace:
            self._leaves.pop((user, left_at), None)

    def _leave(self, moment: int, user: str) -> None:
        # Only who is here can leave: a doubled leave, or one whose join was never seen, is no exit.
        if user in self._present:
            self._present.remove(user)
            self._left_at[user] = moment
            self._focused.discard(user)
            self._acted.pop(user, None)
        elif not user and self._unnamed_present:
            self._unnamed_present -= 1
        else:
            return
        self._leaves[user, moment] = None

    def _act(self, moment: int, user: str) -> None:
        if user:
            self._acted[user] = moment
            self._acted.move_to_end(user)

    def _vote(self, user: str, name: str) -> None:
        """Count a voter; a vote that names no poll is for the newest."""
        poll = self._polls.get(name) if name else self._newest_poll()
        if user and poll:
            poll.could_vote.add(user)
            poll.voters.add(user)

    def _newest_poll(self) -> _Poll | None:
        return next(reversed(self._polls.values()), None)

    def _row(self, end: int) -> Reading:
        since = end - WINDOW
        for moments in (self._chats, self._reactions):
            while moments and moments[0] < since:
                moments.popleft()
        while self._acted and next(iter(self._acted.values())) < since:
            self._acted.popitem(last=False)
        while self._leaves and next(iter(self._leaves))[1] < since:
            self._leaves.popitem(last=False)
        present = len(self._present) + self._unnamed_present
        left = len(self._leaves)
        active = len(self._focused & self._present) if self._has_focus else len(self._acted)
        if self._has_joins:
            active = min(active, present)
        return Reading(
            timestamp=EPOCH + timedelta(microseconds=end),
            chat_msgs_per_min=float(len(self._chats)),
            poll_participation=self._participation(),
            active_users=active,
            total_users=present if self._has_joins else None,
            reactions_per_min=float(len(self._reactions)),
            user_leave_rate=(left / (present + left) if left else 0.0) if self._has_joins else None,
        )

    def _participation(self) -> float | None:
        """Return the share of those who could vote in the newest open poll that did; None where there is none.

        Those who could are all who were here since it opened, also who left: else an exit would raise the share.
        """
        poll = self._newest_poll()
        if poll is None or not self._has_joins:
            return None
        could_vote = len(poll.could_vote) + poll.unnamed
        return len(poll.voters) / could_vote if could_vote else None


def _moment(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def _row_end(moment: int) -> int:
    return moment // ROW * ROW + ROW
