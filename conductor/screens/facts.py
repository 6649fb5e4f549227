"""What is stored of one session, as far as its page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Min

from anomalies import watch
from anomalies.detector.outlook import Outlook
from anomalies.models import Anomaly
from conductor.screens.charts import SPAN
from engagement.models import EngagementRow, EngagementRowQuerySet, Session

MOST_ROWS = 1800  # half an hour at one a second
MOST_ROWS_OF_ENDED = 20_000  # a day at one every five seconds
MOST_INCIDENTS = 20
MOST_INCIDENTS_OF_ENDED = 200


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The last half hour of a session while it goes on, and the whole of it once it has ended."""

    session: Session
    began_at: datetime | None  # its very first row
    rows: Sequence[EngagementRow]  # oldest first, those that came late among them
    incidents: Sequence[Anomaly]  # newest first
    outlook: Outlook

    @property
    def line(self) -> list[EngagementRow]:
        """The rows that the detector takes, oldest first."""
        return [row for row in self.rows if not row.late]

    @property
    def newest(self) -> EngagementRow | None:
        """How the room is now."""
        return next((row for row in reversed(self.rows) if not row.late), None)

    @property
    def open_incident(self) -> Anomaly | None:
        """The newest of the worst incidents that go on and that nobody called a false alarm."""
        going_on = [a for a in self.incidents if not a.is_resolved and a.status != Anomaly.Status.DISMISSED]
        return min(going_on, key=lambda a: a.severity != Anomaly.Severity.CRITICAL, default=None)


def read_facts(session: Session) -> SessionFacts:
    """Return the facts of a session; four queries."""
    rows = EngagementRow.objects.for_session(session)
    began_at, newest_at = rows.aggregate(first=Min("timestamp"), last=Max("timestamp")).values()
    most = MOST_INCIDENTS_OF_ENDED if session.is_ended else MOST_INCIDENTS
    return SessionFacts(
        session=session,
        began_at=began_at,
        rows=[] if newest_at is None else _shown_rows(session, rows, newest_at),
        incidents=list(Anomaly.objects.for_session(session)[:most]),
        outlook=watch.outlook(session.id),
    )


def _shown_rows(session: Session, rows: EngagementRowQuerySet, newest_at: datetime) -> list[EngagementRow]:
    if session.is_ended:
        newest_first = rows.order_by("-timestamp")[:MOST_ROWS_OF_ENDED]
    else:
        newest_first = rows.filter(timestamp__gte=newest_at - SPAN).order_by("-timestamp")[:MOST_ROWS]
    return list(newest_first)[::-1]
