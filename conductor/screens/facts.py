"""What is stored of one session, as far as its page shows it."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import OuterRef, Subquery

from anomalies import watch
from anomalies.detector.outlook import Outlook
from anomalies.models import Anomaly
from anomalies.precision import Tally
from anomalies.remedies import Effect
from conductor.screens.charts import COLUMNS, LONGEST_HOLD, SPAN, Moment, Span, tear, trace_extremes
from conductor.screens.effects import read_effects
from conductor.screens.polls import find_polls
from conductor.screens.rows import Row, read_rows_since
from conductor.screens.verdicts import read_tallies
from engagement.buckets import WIDTH, read_extremes, read_means
from engagement.models import EngagementRow, Session

NOTHING_SETTLED = Tally()
MOST_ROWS = 1800  # half an hour at one a second
FINE = timedelta(hours=2, minutes=30)  # of the whole of a session that is no longer, every row is drawn: 1,800 are
MOST_ROWS_OF_WHOLE = 9_000  # that long at one a second
MOST_LATE = 1_000
MOST_INCIDENTS = 20
MOST_INCIDENTS_OF_WHOLE = 200

Extents = Mapping[UUID, tuple[datetime, datetime]]  # when the first and the newest row of a session was

NEWEST_INCIDENTS = """
    SELECT a.* FROM unnest(%s::uuid[], %s::int[]) AS wanted (id, most) CROSS JOIN LATERAL (
        (SELECT * FROM anomalies WHERE session_id = wanted.id ORDER BY timestamp DESC LIMIT wanted.most)
        UNION
        SELECT * FROM anomalies WHERE session_id = wanted.id AND resolved_at IS NULL
    ) a ORDER BY a.timestamp DESC
"""


@dataclass(frozen=True, slots=True)
class Course:
    """A long session from its first row to its last: as much as a chart has columns for, and what came late."""

    moments: Sequence[Moment]  # oldest first, one without a score where the line is torn
    late: Sequence[Moment]
    means: Sequence[Moment]  # the mean scores of short stretches
    people: Sequence[Moment]  # how many were there in the mean, one that is None where rows are missing
    polls: Sequence[Span]


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The last half hour of a session; the whole of it once it has ended, or where that is asked for.

    The whole of a long one is its course.
    """

    session: Session
    began_at: datetime | None  # its very first row
    rows: Sequence[Row]  # oldest first, those that came late among them
    incidents: Sequence[Anomaly]  # newest first
    outlook: Outlook
    verdicts: Tally = NOTHING_SETTLED  # of the alerts of its event, at the sensitivity of now
    effects: Sequence[Effect] = ()  # of what was tried in its event, where an incident goes on
    course: Course | None = None  # of a long session, as a whole; its rows are those of the last half hour then

    @property
    def line(self) -> list[Row]:
        """The rows that the detector takes, oldest first."""
        return [row for row in self.rows if not row.late]

    @property
    def polls(self) -> Sequence[Span]:
        """When polls were open, oldest first: as long as the rows, or the course, know of."""
        if self.course is not None:
            return self.course.polls
        return find_polls([(row.timestamp, row.poll_participation, row.poll_age_seconds) for row in self.line])

    @property
    def newest(self) -> Row | None:
        """How the room is now."""
        return next((row for row in reversed(self.rows) if not row.late), None)

    @property
    def going_on(self) -> list[Anomaly]:
        """The incidents that go on, worst first."""
        return sort_worst_first(incident for incident in self.incidents if not incident.is_resolved)

    @property
    def open_incident(self) -> Anomaly | None:
        """The newest of the worst incidents that go on and that nobody called a false alarm."""
        return next(iter(_open_ones(self.going_on)), None)


def sort_worst_first(incidents: Iterable[Anomaly]) -> list[Anomaly]:
    """Return the critical ones before the others, the newest of each first, and behind all what is no alarm to people.

    An incident that somebody called a false alarm may go on, and another open beside it; one that was called so by
    mistake and is confirmed then is a second open one.
    """
    newest_first = sorted(incidents, key=lambda a: a.timestamp, reverse=True)
    return sorted(
        newest_first,
        key=lambda a: (a.status == Anomaly.Status.DISMISSED, a.severity != Anomaly.Severity.CRITICAL),
    )


def find_most_urgent(going_on: Sequence[Anomaly], now: datetime) -> Anomaly | None:
    """Return the worst open incident that nobody is on, else the worst open one; they are given worst first."""
    open_ones = _open_ones(going_on)
    return next((each for each in open_ones if not each.is_quiet(now)), next(iter(open_ones), None))


def _open_ones(going_on: Sequence[Anomaly]) -> list[Anomaly]:
    return [each for each in going_on if each.status != Anomaly.Status.DISMISSED]


def read_facts(session: Session, is_whole: bool = False) -> SessionFacts:
    """Return the facts of a session, of all of it where that is wanted; five queries."""
    (facts,) = read_many([session], is_whole)
    return facts


def read_many(sessions: Sequence[Session], is_whole: bool = False) -> list[SessionFacts]:
    """Return the facts of each session; five queries, or six where some have ended and others not.

    Incidents cost one more, for what people did with them, and those that go on two more for each event.

    The course of each long session that has ended, or is wanted as a whole, takes a handful more.
    """
    extents = _find_extents(sessions)
    whole = {session.id for session in sessions if is_whole or session.is_ended}
    long = {id_ for id_ in whole & extents.keys() if extents[id_][1] - extents[id_][0] > FINE}
    rows, incidents = _shown_rows(extents, whole - long), _newest_incidents(sessions, whole)
    outlooks = watch.read_outlooks([session.id for session in sessions])
    verdicts = read_tallies({session.event_id for session in sessions})
    troubled = {each.id: each.event_id for each in sessions if any(not a.is_resolved for a in incidents[each.id])}
    effects = read_effects(set(troubled.values()))
    return [
        SessionFacts(
            session=session,
            began_at=extents[session.id][0] if session.id in extents else None,
            rows=rows.get(session.id, []),
            incidents=incidents[session.id],
            outlook=outlooks[session.id],
            verdicts=verdicts[session.event_id],
            effects=effects[session.event_id] if session.id in troubled else (),
            course=_read_course(session.id, *extents[session.id]) if session.id in long else None,
        )
        for session in sessions
    ]


def _find_extents(sessions: Sequence[Session]) -> Extents:
    """Return when the first and the newest row of each session was; a session without rows has none."""
    of_session = EngagementRow.objects.filter(session_id=OuterRef("id")).values("timestamp")
    found = Session._base_manager.filter(id__in=[session.id for session in sessions]).annotate(
        first=Subquery(of_session.order_by("timestamp")[:1]), last=Subquery(of_session.order_by("-timestamp")[:1])
    )
    return {id_: (first, last) for id_, first, last in found.values_list("id", "first", "last") if last is not None}


def _shown_rows(extents: Extents, whole: Container[UUID]) -> dict[UUID, list[Row]]:
    """Return all rows of some sessions, and those of the last half hour of the others."""
    firsts = {id_: first for id_, (first, _) in extents.items() if id_ in whole}
    since = {id_: last - SPAN for id_, (_, last) in extents.items() if id_ not in whole}
    rows = read_rows_since(since, MOST_ROWS) if since else {}
    return rows | read_rows_since(firsts, MOST_ROWS_OF_WHOLE) if firsts else rows


def _read_course(session_id: UUID, first: datetime, last: datetime) -> Course:
    width = (last - first) / COLUMNS
    if width > WIDTH / 2:  # two columns and less: buckets that are kept do
        width = -(-width // WIDTH) * WIDTH
    extremes = read_extremes(session_id, first, last + timedelta.resolution, width)
    buckets = read_means(session_id, first, last + timedelta.resolution, width, 2 * COLUMNS)
    late = EngagementRow.objects.for_session(session_id).filter(late=True).order_by("-timestamp")[:MOST_LATE]

    def means(name: str) -> list[Moment]:
        return [(max(first, each["bucket"]), each[f"mean_{name}"]) for each in buckets]

    counts = means("total_users")
    counts += [(last, count) for _, count in counts[-1:]]  # until the last row
    return Course(
        moments=trace_extremes(extremes),
        late=list(late.values_list("timestamp", "engagement_score"))[::-1],
        means=means("engagement_score"),
        people=list(tear(counts, width + LONGEST_HOLD)),
        polls=find_polls([(at, participation, None) for at, participation in means("poll_participation")]),
    )


def _newest_incidents(sessions: Sequence[Session], whole: Container[UUID]) -> dict[UUID, list[Anomaly]]:
    """Return the newest incidents of each session, newest first, and whatever goes on, however old."""
    most = [MOST_INCIDENTS_OF_WHOLE if session.id in whole else MOST_INCIDENTS for session in sessions]
    found: dict[UUID, list[Anomaly]] = {session.id: [] for session in sessions}
    wanted = [[session.id for session in sessions], most]
    for anomaly in Anomaly.objects.raw(NEWEST_INCIDENTS, wanted).prefetch_related("actions"):
        found[anomaly.session_id].append(anomaly)
    return found
