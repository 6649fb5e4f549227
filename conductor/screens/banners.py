"""Which banner a session's page shows, and what it must know; the words are in its template. No database."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from anomalies.models import Anomaly
from conductor.screens.doubts import Doubt
from conductor.screens.facts import SessionFacts
from conductor.screens.rows import Row
from engagement.models import Session

NOTICE = timedelta(seconds=10)  # how long a screen says that an incident is over


class BannerKind(StrEnum):
    """What a banner tells of; but for an incident's, its icon has the same name."""

    OPEN = "open"  # an incident that goes on
    ENDED = "ended"
    WAITING = "waiting"  # for the first row
    RESOLVED = "resolved"  # an incident that has just ended
    SILENT = "silent"  # this and the next are a doubt's
    DOUBTFUL = "doubtful"
    BREAK = "break"
    LEARNING = "learning"
    CALM = "calm"


@dataclass(frozen=True, slots=True)
class Banner:
    """A banner of any kind; what another kind tells of is left out."""

    kind: BannerKind
    incident: Anomaly | None = None  # open or resolved
    fall: float | None = None  # open: the part of the expected score that is gone now, up to 1; None where none is
    break_until: datetime | None = None
    learning_seconds_left: int = 0  # 0 where nobody can say how long it takes


def show_banner(facts: SessionFacts, doubt: Doubt | None, now: datetime) -> Banner:
    """Return the banner of a session; `doubt` is why what is known of it may not hold."""
    session, newest = facts.session, facts.newest
    if incident := facts.open_incident:
        return Banner(BannerKind.OPEN, incident, fall=_fall(incident, newest))
    if session.is_ended:
        return Banner(BannerKind.ENDED)
    if newest is None:
        return Banner(BannerKind.WAITING)
    if over := _just_over(facts, newest, now):
        return Banner(BannerKind.RESOLVED, over)
    if doubt is not None:
        return Banner(BannerKind(doubt.state))
    if break_until := _break_until(session, newest.timestamp):
        return Banner(BannerKind.BREAK, break_until=break_until)
    if session.detector_state == Session.DetectorState.INSUFFICIENT_DATA:
        return Banner(BannerKind.LEARNING, learning_seconds_left=facts.outlook.learning_seconds_left)
    return Banner(BannerKind.CALM)


def _fall(incident: Anomaly, newest: Row | None) -> float | None:
    now = None if newest is None else newest.engagement_score
    expected = incident.expected_engagement
    return None if now is None or not expected or now >= expected else 1 - now / expected


def _just_over(facts: SessionFacts, newest: Row, now: datetime) -> Anomaly | None:
    """Return the incident that ended in the last ten seconds, by the rows' time and by the clock."""
    heard_at = facts.session.heard_at
    if heard_at is None or now - heard_at > NOTICE:
        return None
    resolved = (a for a in facts.incidents if a.status == Anomaly.Status.RESOLVED)
    return next((a for a in resolved if a.resolved_at is not None and newest.timestamp - a.resolved_at < NOTICE), None)


def _break_until(session: Session, at: datetime) -> datetime | None:
    return next((until for since, until in session.planned_breaks if since <= at < until), None)
