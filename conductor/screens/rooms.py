"""The list of an organizer's sessions: what each room looks like from afar, worst first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from anomalies.models import Anomaly
from conductor.screens.charts import draw_spark
from conductor.screens.doubts import Doubt, find_doubt
from conductor.screens.rows import Row, read_rows_since
from engagement.models import ApiKey, Event, Session, SessionQuerySet
from engagement.scoring import level

SPARK = timedelta(minutes=15)
MOST_LISTENED = 100
MOST_ENDED = 12
MOST_ROWS = 900  # a quarter of an hour at one a second


class RoomKind(StrEnum):
    """What a card tells of, worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    DOUBTFUL = "doubtful"
    LIVE = "live"
    LEARNING = "learning"
    SILENT = "silent"
    SCHEDULED = "scheduled"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class RoomCard:
    """A session as the list shows it."""

    kind: RoomKind
    session: Session
    audience: int | None  # people
    score: float | None  # 0..1
    spark: str  # a path in a box of 100 × 100
    incident: Anomaly | None  # the worst that goes on
    doubt: Doubt | None

    @property
    def level(self) -> str | None:
        return None if self.score is None else level(self.score)


@dataclass(frozen=True, slots=True)
class RoomsScreen:
    """The rooms, worst first."""

    rooms: Sequence[RoomCard]
    left_out: int  # sessions that ended before those that are shown


@dataclass(frozen=True, slots=True)
class Lesson:
    """What it takes to make a first session."""

    event: Event | None  # None: somebody has to give them one
    key: ApiKey | None  # None: the event has none that works
    base_url: str


def show_rooms(sessions: SessionQuerySet, now: datetime, *, every_ended: bool = False) -> RoomsScreen:
    """Return the rooms of these sessions; five queries at most, however many."""
    shown, left_out = _choose(sessions.select_related("event"), every_ended)
    rows, incidents = _last_rows(shown), _open_incidents(shown)
    rooms = [_room(session, rows.get(session.id, []), incidents.get(session.id), now) for session in shown]
    return RoomsScreen(sorted(rooms, key=_urgency), left_out)


def show_list(user: User, now: datetime, base_url: str, *, every_ended: bool) -> dict[str, RoomsScreen | Lesson]:
    """Return what the template of the list is rendered with; seven queries at most, however many sessions."""
    screen = show_rooms(Session.objects.for_organizer(user), now, every_ended=every_ended)
    return {"screen": screen} if screen.rooms else {"screen": screen, "lesson": show_lesson(user, base_url)}


def render_rooms(user: User, now: datetime, base_url: str, *, every_ended: bool) -> SafeString:
    """Return the list: the same bytes on the page, in a snapshot and in a push."""
    return render_to_string("sessions/_session_list.html", show_list(user, now, base_url, every_ended=every_ended))


def show_lesson(user: User, base_url: str) -> Lesson:
    """Return what teaches a user without a session; two queries."""
    event = Event.objects.for_organizer(user).first()
    key = ApiKey.objects.valid().filter(event=event).first() if event else None
    return Lesson(event, key, base_url)


def _choose(sessions: SessionQuerySet, every_ended: bool) -> tuple[list[Session], int]:
    """Return the sessions that have a card, and how many ended ones have none."""
    listened = sessions.exclude(status=Session.Status.ENDED)[:MOST_LISTENED]
    ended = sessions.filter(status=Session.Status.ENDED).order_by("-ended_at")
    if every_ended:
        return [*listened, *ended], 0
    return [*listened, *ended[:MOST_ENDED]], max(0, ended.count() - MOST_ENDED)


def _last_rows(sessions: Iterable[Session]) -> dict[UUID, list[Row]]:
    """Return the newest rows of each session, oldest first, up to the last one that the detector has seen."""
    since = {each.id: each.judged_until - SPARK for each in sessions if each.judged_until is not None}
    if not since:
        return {}
    found = read_rows_since(since, MOST_ROWS)
    return {id_: [row for row in rows if not row.late and row.timestamp > since[id_]] for id_, rows in found.items()}


def _open_incidents(sessions: Iterable[Session]) -> dict[UUID, Anomaly]:
    """Return the worst open incident of each session that has one."""
    found: dict[UUID, Anomaly] = {}
    for anomaly in Anomaly.objects.open().filter(session__in=list(sessions)):
        if anomaly.severity == Anomaly.Severity.CRITICAL:
            found[anomaly.session_id] = anomaly
        else:
            found.setdefault(anomaly.session_id, anomaly)
    return found


def _room(session: Session, rows: Sequence[Row], incident: Anomaly | None, now: datetime) -> RoomCard:
    newest = rows[-1] if rows else None
    doubt = find_doubt(session, rows, now)
    return RoomCard(
        kind=_kind(session, newest, incident, doubt),
        session=session,
        audience=None if newest is None else newest.total_users,
        score=None if newest is None else newest.engagement_score,
        spark=draw_spark([(row.timestamp, row.engagement_score) for row in rows], top=1.0),
        incident=incident,
        doubt=doubt,
    )


def _kind(session: Session, newest: Row | None, incident: Anomaly | None, doubt: Doubt | None) -> RoomKind:
    if incident is not None:
        return RoomKind(incident.severity.lower())
    if session.is_ended:
        return RoomKind.ENDED
    if newest is None:
        return RoomKind.SCHEDULED
    if doubt is not None:
        return RoomKind(doubt.state)
    is_learning = session.detector_state == Session.DetectorState.INSUFFICIENT_DATA
    return RoomKind.LEARNING if is_learning else RoomKind.LIVE


def _urgency(room: RoomCard) -> tuple[int, float]:
    # Live and learning rooms are one group, lowest score first; the others keep the order of the query.
    if room.kind in (RoomKind.LIVE, RoomKind.LEARNING):
        return list(RoomKind).index(RoomKind.LIVE), 1.0 if room.score is None else room.score
    return list(RoomKind).index(room.kind), 0.0
