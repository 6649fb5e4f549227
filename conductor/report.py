"""The report of a session: what it came to, what moved the audience, and what people did about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, Q

from anomalies.models import Anomaly
from engagement.buckets import read_means
from engagement.course import MINUTE, Course, Minute, find_course
from engagement.models import Event, Session

SESSIONS_A_PAGE = 25
MOST_MINUTES = 7 * 24 * 60  # of a session that nobody ended; what comes after is not in its report

Means = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    session: Session
    means: Means  # of each minute, as `engagement.buckets.read_means` gives them
    course: Course
    incidents: Sequence[Anomaly]  # oldest first, with what people did

    @property
    def began_at(self) -> datetime | None:
        """When its first minute began; None where nothing came."""
        return _extent(self.means)[0]

    @property
    def lasted(self) -> timedelta:
        """From its first minute to the end of its last."""
        return _extent(self.means)[1]


def write_report(session: Session) -> Report:
    """Return the report of a session, so far where it goes on."""
    means = _read_minutes(session)
    incidents = Anomaly.objects.for_session(session).with_actions().order_by("timestamp", "id")
    return Report(session, means, _find(means), list(incidents))


def _read_minutes(session: Session) -> Means:
    return read_means(session.id, None, None, MINUTE, MOST_MINUTES)


def _extent(means: Means) -> tuple[datetime | None, timedelta]:
    return (means[0]["bucket"], means[-1]["bucket"] + MINUTE - means[0]["bucket"]) if means else (None, timedelta())


def _find(means: Means) -> Course:
    return find_course(
        [Minute(each["bucket"], each["mean_engagement_score"], each["mean_total_users"]) for each in means]
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A session beside others of its event."""

    session: Session
    began_at: datetime | None
    lasted: timedelta
    course: Course
    incidents: int  # but for false alarms
    critical: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A page of the sessions of an event that were heard of, newest first."""

    page: Page[Session]
    lines: Sequence[Line]


def compare_sessions(event: Event, wishes: Mapping[str, str]) -> Comparison:
    """Return the page of an event's sessions that an address wishes for."""
    real = ~Q(anomalies__review=Anomaly.Review.FALSE_ALARM)
    sessions = (
        Session.objects.filter(event=event, judged_until__isnull=False)
        .annotate(
            n_incidents=Count("anomalies", filter=real),
            n_critical=Count("anomalies", filter=real & Q(anomalies__severity=Anomaly.Severity.CRITICAL)),
        )
        .order_by("-created_at", "-id")
    )
    page = Paginator(sessions, SESSIONS_A_PAGE).get_page(wishes.get("page"))
    return Comparison(page, [_compare(session) for session in page])


def _compare(session: Any) -> Line:
    means = _read_minutes(session)
    began_at, lasted = _extent(means)
    return Line(session, began_at, lasted, _find(means), session.n_incidents, session.n_critical)
