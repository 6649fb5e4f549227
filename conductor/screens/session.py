"""What the page of one session shows just now."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Max, Min
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from anomalies import watch
from anomalies.models import Anomaly
from conductor.screens.cards import signal_cards
from conductor.screens.charts import SPAN, Chart, Span, draw_chart
from conductor.screens.doubts import Doubt, find_doubt
from engagement.models import EngagementRow, EngagementRowQuerySet, Session
from engagement.scoring import Score, score

MOST_ROWS = 1800  # half an hour at one a second
MOST_ROWS_OF_ENDED = 20_000  # a day at one every five seconds
MOST_INCIDENTS = 20
MOST_INCIDENTS_OF_ENDED = 200
NOTICE = timedelta(seconds=10)  # how long a screen says that an incident is over
LAST_MINUTE = timedelta(seconds=60)
NEAR_ENOUGH = timedelta(seconds=20)
STEADY = 0.03  # a smaller change of the score in a minute gets no arrow


def live_context(session: Session, now: datetime) -> dict[str, object]:
    """Return all that the live part of a session's page shows; four queries, and one more for a bare session.

    While it goes on that is the last half hour, and the whole session once it has ended.
    """
    rows = EngagementRow.objects.for_session(session)
    began, ended = rows.aggregate(began=Min("timestamp"), ended=Max("timestamp")).values()
    recent = [] if ended is None else _shown_rows(session, rows, ended)
    line = [row for row in recent if not row.late]
    newest = line[-1] if line else None
    most = MOST_INCIDENTS_OF_ENDED if session.is_ended else MOST_INCIDENTS
    incidents = list(Anomaly.objects.for_session(session)[:most])
    outlook = watch.outlook(session.id)
    current = None if newest is None else score(newest.reading)
    banner = _banner(session, incidents, outlook.learning_seconds_left, newest, find_doubt(session, line, now), now)
    return {
        "session": session,
        "newest": newest,
        "elapsed": _elapsed(session, began, newest),
        "audience": next((row.total_users for row in reversed(line) if row.total_users is not None), None),
        "banner": banner,
        "score": current,
        "parts": [] if current is None else _parts(current),
        "trend": _trend(line),
        "expected": outlook.expected,
        "chart": _chart(session, recent, outlook.band, incidents),
        "cards": signal_cards(line, outlook.usual, banner["incident"] if banner["is_open"] else None),
        "incidents": incidents,
    }


def _shown_rows(session: Session, rows: EngagementRowQuerySet, ended: datetime) -> list[EngagementRow]:
    """Return the rows of the chart, oldest first."""
    if session.is_ended:
        newest_first = rows.order_by("-timestamp")[:MOST_ROWS_OF_ENDED]
    else:
        newest_first = rows.filter(timestamp__gte=ended - SPAN).order_by("-timestamp")[:MOST_ROWS]
    return list(newest_first)[::-1]


def render_live(context: dict[str, object]) -> SafeString:
    """Return the live part of a page: the same bytes for the first page, a snapshot and a push."""
    return render_to_string("sessions/_live.html", context)


def _banner(
    session: Session,
    incidents: Sequence[Anomaly],
    learning_seconds_left: int,
    newest: EngagementRow | None,
    doubt: Doubt | None,
    now: datetime,
) -> dict[str, object]:
    """Return what the banner slot says; what needs a person comes first."""
    going_on = [a for a in incidents if not a.is_resolved and a.status != Anomaly.Status.DISMISSED]
    going_on.sort(key=lambda a: a.severity != Anomaly.Severity.CRITICAL)  # stable: the newest of each first
    banner = {
        "is_open": bool(going_on),
        "incident": going_on[0] if going_on else None,
        "learning_seconds_left": learning_seconds_left,
        "doubt": doubt,
        "fall": _fall(going_on[0], newest) if going_on else None,
    }
    if going_on:
        kind = "open"
    elif session.is_ended:
        kind = "ended"
    elif newest is None:
        kind = "waiting"
    elif over := _just_over(incidents, newest, session.heard_at, now):
        kind, banner["incident"] = "resolved", over
    elif doubt is not None:
        kind = doubt.state
    elif break_until := _break_until(session, newest.timestamp):
        kind, banner["break_until"] = "break", break_until
    elif session.detector_state == Session.DetectorState.INSUFFICIENT_DATA:
        kind = "learning"
    else:
        kind = "calm"
    return {**banner, "kind": kind}


def _break_until(session: Session, at: datetime) -> datetime | None:
    return next((until for since, until in session.planned_breaks if since <= at < until), None)


def _fall(incident: Anomaly, newest: EngagementRow | None) -> float | None:
    """Return the part of the expected score that is gone now; None where none is."""
    now = None if newest is None else newest.engagement_score
    expected = incident.expected_engagement
    return None if now is None or not expected or now >= expected else 1 - now / expected


def _just_over(
    incidents: Sequence[Anomaly], newest: EngagementRow, heard_at: datetime | None, now: datetime
) -> Anomaly | None:
    """Return the incident that ended in the last ten seconds, by the rows' time and by the clock."""
    if heard_at is None or now - heard_at > NOTICE:
        return None
    return next(
        (a for a in incidents if a.status == Anomaly.Status.RESOLVED and newest.timestamp - a.resolved_at < NOTICE),
        None,
    )


def _elapsed(session: Session, began: datetime | None, newest: EngagementRow | None) -> timedelta | None:
    if newest is None or began is None:
        return None
    planned = session.starts_at
    return newest.timestamp - (planned if planned is not None and planned <= newest.timestamp else began)


def _trend(line: Sequence[EngagementRow]) -> dict[str, object] | None:
    """Return how the score changed in the last minute."""
    if not line or line[-1].engagement_score is None:
        return None
    then = line[-1].timestamp - LAST_MINUTE
    before = [row for row in line if abs(row.timestamp - then) <= NEAR_ENOUGH and row.engagement_score is not None]
    if not before:
        return None
    nearest = min(before, key=lambda row: abs(row.timestamp - then))
    change = line[-1].engagement_score - nearest.engagement_score
    return {"change": change, "way": "steady" if abs(change) < STEADY else "up" if change > 0 else "down"}


def _parts(current: Score) -> list[dict[str, object]]:
    """Return the pieces of the stacked bar, in per cent of a full score; what leaves take off ends it."""
    pieces, x = [], 0.0
    for name, value in current.parts.items():
        if name == "user_leave_rate" and not value:
            continue
        width = 100 * abs(value)
        start = x if value >= 0 else x - width
        pieces.append(
            {"name": name, "value": value, "x": round(start, 2), "width": round(width, 2), "takes_off": value < 0}
        )
        x += 100 * value
    return pieces


def _chart(
    session: Session,
    recent: Sequence[EngagementRow],
    band: Sequence[tuple[datetime, float, float]],
    incidents: Sequence[Anomaly],
) -> Chart | None:
    if recent and recent[-1].timestamp - recent[0].timestamp > SPAN:
        band = ()  # it is kept of the last half hour only: beside the rest it would look like a difference
    return draw_chart(
        [(row.timestamp, row.engagement_score) for row in recent if not row.late],
        late=[(row.timestamp, row.engagement_score) for row in recent if row.late],
        band=band,
        incidents=[Span(a.timestamp, a.resolved_at, a) for a in incidents if a.status != Anomaly.Status.DISMISSED],
        breaks=[Span(since, until) for since, until in session.planned_breaks],
        span=None if session.is_ended else SPAN,
    )
