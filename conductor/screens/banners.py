"""Which banner a session's page shows, and what it must know; the words are in its template. No database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from operator import itemgetter

from anomalies.detector.changes import Reason
from anomalies.life import Action
from anomalies.models import Anomaly, AnomalyAction
from anomalies.remedies import Effect
from conductor.screens.doubts import Doubt
from conductor.screens.facts import SessionFacts, find_most_urgent
from conductor.screens.rows import Row
from engagement.models import Session

NOTICE = timedelta(seconds=10)  # how long a screen says that an incident is over
BEFORE = timedelta(seconds=90)  # in which those who left were still there
REMAINS = timedelta(minutes=20)  # then a room is what it has become
SETTLED = (Reason.STAYING, Reason.SETTLED)


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
class Remainder:
    """What is left of an incident that is over: since when the room counts as it now is, and who has not come back."""

    incident: Anomaly
    since: datetime
    people_gone: int | None  # None where nobody knows, or it is not about people


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody tried to win the audience back, and how the room was then."""

    action: AnomalyAction
    score_then: float | None


@dataclass(frozen=True, slots=True)
class Banner:
    """A banner of any kind; what another kind tells of is left out."""

    kind: BannerKind
    incident: Anomaly | None = None  # resolved, or the worst of those that are open
    others: Sequence[Anomaly] = ()  # open: what else goes on, worst first, and last what was called a false alarm
    fall: float | None = None  # open: the part of the expected score that is gone now, up to 1; None where none is
    is_quiet: bool = False  # open: somebody is on it, or asked for quiet
    attempts: Sequence[Attempt] = ()  # open: what was tried
    effects: Sequence[Effect] = ()  # open: of what was tried in this event before, what helped most first
    break_until: datetime | None = None
    learning_seconds_left: int = 0  # 0 where nobody can say how long it takes
    remainder: Remainder | None = None  # calm or resolved: of an incident after which the audience did not come back
    dismissed: Anomaly | None = None  # calm: goes on, and somebody called it a false alarm
    is_below: bool = False  # calm or resolved: the score is under what is expected


def show_banner(facts: SessionFacts, doubt: Doubt | None, now: datetime) -> Banner:
    """Return the banner of a session; `doubt` is why what is known of it may not hold."""
    session, newest = facts.session, facts.newest
    if incident := find_most_urgent(facts.going_on, now):
        return Banner(
            BannerKind.OPEN,
            incident,
            tuple(each for each in facts.going_on if each is not incident),
            fall=_fall(incident, newest),
            is_quiet=incident.is_quiet(now),
            attempts=_attempts(facts, incident),
            effects=facts.effects,
        )
    if session.is_ended:
        return Banner(BannerKind.ENDED)
    if newest is None:
        return Banner(BannerKind.WAITING)
    if over := _just_over(facts, newest, now):
        return Banner(BannerKind.RESOLVED, over, remainder=_remainder(facts), is_below=_is_below(facts))
    if doubt is not None:
        return Banner(BannerKind(doubt.state))
    if break_until := _break_until(session, newest.timestamp):
        return Banner(BannerKind.BREAK, break_until=break_until)
    if session.detector_state == Session.DetectorState.INSUFFICIENT_DATA:
        return Banner(BannerKind.LEARNING, learning_seconds_left=facts.outlook.learning_seconds_left)
    dismissed = next(iter(facts.going_on), None)  # an open one would be shown
    return Banner(BannerKind.CALM, remainder=_remainder(facts), dismissed=dismissed, is_below=_is_below(facts))


def _attempts(facts: SessionFacts, incident: Anomaly) -> tuple[Attempt, ...]:
    """Return what was tried, oldest first, with the score of the row before it."""
    tried = [each for each in incident.standing_actions if each.action == Action.TRIED]
    scores = [(row.timestamp, row.engagement_score) for row in facts.line if row.engagement_score is not None]
    return tuple(Attempt(each, next((s for at, s in reversed(scores) if at <= each.at), None)) for each in tried)


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


def _remainder(facts: SessionFacts) -> Remainder | None:
    """Return what is left of the incident that ended last, where the room settled without those who had gone."""
    over = [(a.resolved_at, a) for a in facts.incidents if a.resolved_at and a.status != Anomaly.Status.DISMISSED]
    if not over or facts.newest is None:
        return None
    since, last = max(over, key=itemgetter(0))
    has_settled = last.metadata.get("history", [{}])[-1].get("reason") in SETTLED
    is_recent = facts.newest.timestamp - since < REMAINS
    return Remainder(last, since, _people_gone(facts, last)) if has_settled and is_recent else None


def _people_gone(facts: SessionFacts, incident: Anomaly) -> int | None:
    """Return how many fewer there are than just before an exit."""
    counted = [row for row in facts.line if row.total_users is not None]
    before = [row.total_users or 0 for row in counted if -BEFORE <= row.timestamp - incident.timestamp < timedelta(0)]
    if incident.anomaly_type != Anomaly.Type.MASS_EXIT or not before:
        return None
    return max(0, max(before) - (counted[-1].total_users or 0)) or None


def _is_below(facts: SessionFacts) -> bool:
    newest, band = facts.newest, facts.outlook.band
    return (
        bool(band)
        and newest is not None
        and newest.engagement_score is not None
        and (newest.engagement_score < band[-1][1])
    )
