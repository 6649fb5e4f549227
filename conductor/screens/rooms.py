"""The list of an organizer's sessions: what each room looks like from afar, worst first."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F

from anomalies.models import Anomaly
from conductor.screens.charts import draw_spark
from conductor.screens.doubts import Doubt, find_doubt
from engagement.models import EngagementRow, Session, SessionQuerySet
from engagement.readings import MEASURED
from engagement.scoring import level

SPARK = timedelta(minutes=15)
MOST_LISTENED = 100
MOST_ENDED = 12


@dataclass(frozen=True, slots=True)
class RoomCard:
    """A session as the list shows it; `state` names its card."""

    session: Session
    state: str
    score: float | None
    audience: int | None
    incident: Anomaly | None
    doubt: Doubt | None
    spark: str

    @property
    def level(self) -> str | None:
        return None if self.score is None else level(self.score)


STATES = ("critical", "warning", "doubtful", "live", "learning", "silent", "scheduled", "ended")


def worst_first(sessions: SessionQuerySet, now: datetime, *, every_ended: bool = False) -> tuple[list[RoomCard], int]:
    """Return the rooms of these sessions, and how many ended ones are left out; five queries, however many."""
    sessions = sessions.select_related("event")
    ended = sessions.filter(status=Session.Status.ENDED).order_by("-ended_at")
    listened = list(sessions.exclude(status=Session.Status.ENDED)[:MOST_LISTENED])
    left_out = 0 if every_ended else max(0, ended.count() - MOST_ENDED)
    chosen = [*listened, *(ended if every_ended else ended[:MOST_ENDED])]
    rows = _last_rows(session.id for session in chosen)
    incidents = _open_incidents(session.id for session in chosen)
    rooms = [_room(session, rows[session.id], incidents.get(session.id), now) for session in chosen]
    rooms.sort(key=_urgency)
    return rooms, left_out


def _urgency(room: RoomCard) -> tuple[int, float]:
    # Live and learning rooms are one group, lowest score first; the others keep the order of the query.
    if room.state in ("live", "learning"):
        return STATES.index("live"), 1.0 if room.score is None else room.score
    return STATES.index(room.state), 0.0


def _last_rows(session_ids: Iterable[UUID]) -> dict[UUID, list[EngagementRow]]:
    """Return the newest rows of each session, oldest first, up to the last one that the detector has seen."""
    rows = EngagementRow.objects.filter(
        session__in=list(session_ids), late=False, timestamp__gt=F("session__judged_until") - SPARK
    )
    found = defaultdict(list)
    for row in rows.only("session_id", "timestamp", "engagement_score", *MEASURED):
        found[row.session_id].append(row)
    return found


def _open_incidents(session_ids: Iterable[UUID]) -> dict[UUID, Anomaly]:
    """Return the worst open incident of each session that has one."""
    found: dict[UUID, Anomaly] = {}
    for anomaly in Anomaly.objects.open().filter(session__in=list(session_ids)):
        if anomaly.severity == Anomaly.Severity.CRITICAL:
            found[anomaly.session_id] = anomaly
        else:
            found.setdefault(anomaly.session_id, anomaly)
    return found


def _room(session: Session, rows: list[EngagementRow], incident: Anomaly | None, now: datetime) -> RoomCard:
    newest = rows[-1] if rows else None
    doubt = find_doubt(session, rows, now)
    if incident is not None:
        state = incident.severity.lower()
    elif session.is_ended:
        state = "ended"
    elif newest is None:
        state = "scheduled"
    elif doubt is not None:
        state = doubt.state
    else:
        is_learning = session.detector_state == Session.DetectorState.INSUFFICIENT_DATA
        state = "learning" if is_learning else "live"
    return RoomCard(
        session=session,
        state=state,
        score=None if newest is None else newest.engagement_score,
        audience=None if newest is None else newest.total_users,
        incident=incident,
        doubt=doubt,
        spark=draw_spark([(row.timestamp, row.engagement_score) for row in rows], top=1.0),
    )
