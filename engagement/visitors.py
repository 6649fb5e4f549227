"""Record what beacons report, as raw events; and that somebody left who was not heard of any more.

All that a room is told of visitors are raw events, those of the clock too, so its rows follow from them as ever.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from engagement import arrays, cursors
from engagement.events import count_outcomes, store_each
from engagement.ingest import Recorded, check_source, claim_sessions
from engagement.models import Session
from engagement.moments import from_microseconds, to_microseconds
from engagement.slots import ROW, SECOND
from engagement.visits import (
    UNHEARD_SECONDS,
    UNHEARD_UNSEEN_SECONDS,
    Activity,
    Report,
    VisitState,
    find_changes,
    sign_of_life,
)
from engagement.windows import RawEvent, closed_by_event

SESSIONS_AT_ONCE = 200
LEAVES_AT_ONCE = 5_000
MOMENT = timedelta(microseconds=1)
QUIET = timedelta(microseconds=ROW)  # with no event for so long, a heartbeat becomes one
BROUGHT_FORWARD = timedelta(seconds=30)  # what is no older than this counts, in the first window that is open

LOAD_VISITORS = """
    SELECT v.session_id, v."user", v.state, v.number, v.changed_at
    FROM UNNEST(%b::uuid[], %b::varchar[]) AS named (session_id, "user")
    JOIN beacon_visitors v ON v.session_id = named.session_id AND v."user" = named."user"
"""
SAVE_VISITORS = """
    INSERT INTO beacon_visitors (heard_at, session_id, "user", state, number, changed_at)
    SELECT %b, * FROM UNNEST(%b::uuid[], %b::varchar[], %b::varchar[], %b::int[], %b::timestamptz[])
    ON CONFLICT (session_id, "user") DO UPDATE
    SET state = EXCLUDED.state, number = EXCLUDED.number, changed_at = EXCLUDED.changed_at,
        heard_at = EXCLUDED.heard_at
"""
IS_UNHEARD = """
    v.state <> 'left' AND v.heard_at < CASE v.state WHEN 'focus' THEN %b::timestamptz ELSE %b::timestamptz END
"""
FIND_UNHEARD = f"""
    SELECT DISTINCT s.id, s.event_id FROM beacon_visitors v JOIN engagement_session s ON s.id = v.session_id
    WHERE s.status = 'live' AND {IS_UNHEARD} LIMIT {SESSIONS_AT_ONCE}
"""
UNHEARD_OF = f"""
    SELECT v.session_id, v."user", v.changed_at FROM beacon_visitors v
    WHERE {IS_UNHEARD} AND v.session_id = ANY(%b::uuid[]) LIMIT {LEAVES_AT_ONCE}
"""
SAY_LEFT = """
    UPDATE beacon_visitors v SET state = 'left', changed_at = gone.changed_at
    FROM UNNEST(%b::uuid[], %b::varchar[], %b::timestamptz[]) AS gone (session_id, "user", changed_at)
    WHERE v.session_id = gone.session_id AND v."user" = gone."user"
"""

Key = tuple[uuid.UUID, str]


@dataclass(slots=True)
class _Visit:
    """How a tab is, and until when a room was told of it."""

    state: VisitState = VisitState.LEFT
    number: int = -1
    changed_at: datetime | None = None


def record_report(session_id: uuid.UUID, report: Report, now: datetime) -> Recorded:
    """Store what one tab reports, in one transaction.

    Raises `Session.DoesNotExist`, `SessionEnded` or `OtherSource`; nothing is stored then.
    """
    with transaction.atomic():
        claim_sessions([session_id], Session.Source.EVENTS)
        session = cursors.lock_alone(session_id)
        check_source(session, Session.Source.EVENTS)
        [recorded] = store_reports({session_id: session}, {session_id: [report]}, now)[session_id]
    return recorded


def store_reports(
    sessions: Mapping[uuid.UUID, Session], reports: Mapping[uuid.UUID, Sequence[Report]], now: datetime
) -> dict[uuid.UUID, list[Recorded]]:
    """Store what is new in each session's reports, and return what became of each; the caller holds the locks."""
    visits = _load({(id_, report.user) for id_, those in reports.items() for report in those})
    events: dict[uuid.UUID, list[RawEvent]] = {}
    numbers: dict[uuid.UUID, list[int]] = {}
    heard: dict[Key, _Visit] = {}
    for id_, those in reports.items():
        clock = _Clock(sessions[id_], now)
        events[id_], numbers[id_] = [], []
        for report in those:
            key = (id_, report.user)
            visit = visits.setdefault(key, _Visit())
            told = clock.activities(report)
            if report.number > visit.number:
                told += clock.presence(report, visit)
                heard[key] = visit
            events[id_] += told
            numbers[id_].append(len(told))
    stored = store_each(sessions, events, now)
    _save(heard, now)
    return {id_: list(_count(stored[id_], numbers[id_])) for id_ in reports}


class _Clock:
    """Says when it happened what reports of a session tell, by the server's clock: tabs know no right time.

    How a tab is counts from now on, and never late: a leave that changed no row would keep somebody here for ever. Of
    two changes of one tab the later one is later, were it by a microsecond, as events of one moment have an order of
    their own.
    """

    def __init__(self, session: Session, now: datetime):
        closed = session.closed_until or now
        self._now, self._moment = now, max(now, closed)
        self._newest = session.newest_event_at
        next_closed = from_microseconds(closed_by_event(to_microseconds(now), session.lateness_seconds * SECOND))
        self._open_from = max(closed, next_closed) if session.closed_until else next_closed

    def activities(self, report: Report) -> list[RawEvent]:
        return [RawEvent(each.type, self._when(each), report.user, report.key(each)) for each in report.activities]

    def _when(self, activity: Activity) -> datetime:
        ago = timedelta(seconds=activity.seconds_ago)
        return self._now - ago if ago > BROUGHT_FORWARD else max(self._now - ago, self._open_from)

    def presence(self, report: Report, visit: _Visit) -> list[RawEvent]:
        """Return what a report says of a tab that is new, and note it."""
        types = find_changes(visit.state, report.state)
        if not types and report.state is not VisitState.LEFT and self._is_quiet:
            types = (sign_of_life(report.state),)
        visit.state, visit.number = report.state, report.number
        if visit.changed_at is None or types:
            visit.changed_at = self._advance(visit.changed_at)
        return [RawEvent(kind, visit.changed_at, report.user) for kind in types]

    @property
    def _is_quiet(self) -> bool:
        return self._newest is None or self._moment - self._newest >= QUIET

    def _advance(self, after: datetime | None) -> datetime:
        self._moment = self._newest = self._moment if after is None else max(self._moment, after + MOMENT)
        return self._moment


def leave_unheard(now: datetime, heard_since: datetime) -> set[uuid.UUID]:
    """Say of whoever was not heard for too long that they left, and return the sessions.

    Silence counts since `heard_since`, from when on somebody listened without a pause. Of the sessions that somebody
    holds just now the next tick does.
    """
    if (seen := now - timedelta(seconds=UNHEARD_SECONDS)) < heard_since:
        return set()
    unseen = now - timedelta(seconds=UNHEARD_UNSEEN_SECONDS)
    # Who was heard before somebody listened again had no chance since.
    limits = seen, (unseen if unseen >= heard_since else datetime.min.replace(tzinfo=now.tzinfo))
    with transaction.atomic():
        wanted = arrays.execute(FIND_UNHEARD, *limits)
        sessions = cursors.lock_free(set(wanted), Session.Source.EVENTS, alone=True) if wanted else {}
        # Looked at again, now that nobody can be heard: who spoke meanwhile is here.
        unheard = arrays.execute(UNHEARD_OF, *limits, list(sessions)) if sessions else []
        if unheard:
            _leave(sessions, unheard, now)
    return {id_ for id_, _, _ in unheard}


def _leave(
    sessions: Mapping[uuid.UUID, Session], unheard: Iterable[tuple[uuid.UUID, str, datetime]], now: datetime
) -> None:
    gone: list[tuple[uuid.UUID, str, datetime]] = []
    for id_, user, changed_at in unheard:
        gone.append((id_, user, max(now, sessions[id_].closed_until or now, changed_at + MOMENT)))
    # In the order of time, as each may close the windows before it.
    gone.sort(key=lambda each: each[2])
    events: dict[uuid.UUID, list[RawEvent]] = {}
    for id_, user, at in gone:
        events.setdefault(id_, []).append(RawEvent("leave", at, user))
    store_each(sessions, events, now)
    arrays.execute(SAY_LEFT, *map(list, zip(*gone, strict=True)))


def _load(keys: set[Key]) -> dict[Key, _Visit]:
    ids, users = [id_ for id_, _ in keys], [user for _, user in keys]
    return {
        (id_, user): _Visit(VisitState(state), number, changed_at)
        for id_, user, state, number, changed_at in arrays.execute(LOAD_VISITORS, ids, users)
    }


def _save(visits: Mapping[Key, _Visit], now: datetime) -> None:
    if visits:
        columns = [
            [id_ for id_, _ in visits],
            [user for _, user in visits],
            [visit.state.value for visit in visits.values()],
            [visit.number for visit in visits.values()],
            [visit.changed_at for visit in visits.values()],
        ]
        arrays.execute(SAVE_VISITORS, now, *columns)


def _count(outcomes: Sequence[bool | None], numbers: Iterable[int]) -> Iterable[Recorded]:
    """Return what became of each report's events, which stand one report after the other."""
    start = 0
    for number in numbers:
        yield count_outcomes(outcomes[start : start + number])
        start += number
