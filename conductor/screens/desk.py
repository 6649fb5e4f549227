"""The review desk: one alert after the other with all that settles it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from anomalies.admin import Evidence, show_evidence
from anomalies.life import Action
from anomalies.models import Anomaly
from conductor.screens.charts import Chart, Span, draw_chart, hold_counts
from conductor.screens.rows import read_rows_since
from conductor.screens.verdicts import UNJUDGED, reviewable
from engagement.models import Session

AROUND = timedelta(minutes=15)
MOST_ROWS = 3_600  # half an hour at two a second


@dataclass(frozen=True, slots=True)
class Picture:
    """What the chart's template asks for."""

    session: Session
    chart: Chart | None
    range: str = "30min"
    doubt: None = None
    score: None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One alert on the desk."""

    anomaly: Anomaly
    evidence: Evidence
    picture: Picture
    neighbours: Sequence[Anomaly]  # of the same session, within a quarter of an hour, in the order of time


@dataclass(frozen=True, slots=True)
class Desk:
    """What waits: the case that is next, how many there are with it, and the one that was settled last."""

    case: Case | None
    left: int
    event_id: UUID | None  # of which alone they are
    settled: Anomaly | None = None
    verdicts: Sequence[tuple[Action, str, str]] = (
        (Action.CONFIRM, "r", "Real"),
        (Action.DISMISS, "f", "False alarm"),
    )  # with the key and the words of each


def show_desk(event_id: UUID | None, passed: Sequence[UUID] = (), settled: Anomaly | None = None) -> Desk:
    """Return the desk with the newest alert that nobody has settled, but for those that were passed over."""
    waiting = reviewable(event_id).filter(UNJUDGED)
    first = waiting.exclude(id__in=passed).select_related("session__event").order_by("-timestamp", "-id").first()
    return Desk(None if first is None else show_case(first), waiting.count(), event_id, settled)


def show_case(anomaly: Anomaly) -> Case:
    """Return all that settles one alert."""
    since, until = anomaly.timestamp - AROUND, (anomaly.resolved_at or anomaly.timestamp) + AROUND
    rows = [
        row
        for row in read_rows_since({anomaly.session_id: since}, MOST_ROWS).get(anomaly.session_id, [])
        if row.timestamp <= until and not row.late
    ]
    near = Anomaly.objects.for_session(anomaly.session_id).filter(timestamp__gte=since, timestamp__lte=until)
    incidents = list(near.order_by("timestamp", "id"))
    chart = draw_chart(
        [(row.timestamp, row.engagement_score) for row in rows],
        people=hold_counts((row.timestamp, row.total_users) for row in rows),
        incidents=[Span(each.timestamp, each.resolved_at, each) for each in incidents],
        breaks=[Span(start, end) for start, end in anomaly.session.planned_breaks],
        span=None,
    )
    neighbours = [each for each in incidents if each.id != anomaly.id]
    return Case(anomaly, show_evidence(anomaly), Picture(anomaly.session, chart), neighbours)
