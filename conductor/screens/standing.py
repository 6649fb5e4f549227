"""Which rooms a list shows, and in which order: decided in the database, so that none is lost, however many."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import reduce
from operator import or_
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Case, Count, F, FloatField, IntegerField, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce, Floor

from anomalies.models import Anomaly
from engagement.models import EngagementRow, Session, SessionQuerySet
from engagement.scoring import LEVELS

ROOMS_A_PAGE = 100
MOST_ENDED = 12  # behind all others, where nobody asks for those that are over
MOST_WORDS = 8
STATUS, STATE = Session.Status, Session.DetectorState


class Section(StrEnum):
    """Where a room stands, the most urgent first."""

    NEEDS_YOU = "needs-you"  # an incident, or nothing that could be trusted
    LIVE = "live"
    STARTING = "starting"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants to see of their rooms."""

    words: str = ""  # each is in the title of the session or of its event
    section: Section | None = None  # None: all, and of those that are over the newest
    page: int = 1

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Choice":
        """Return what an address asks for; what it cannot ask for is not asked for."""
        section, page = query.get("section", ""), query.get("page", "")
        return cls(
            words=" ".join(query.get("q", "").split()[:MOST_WORDS]),
            section=Section(section) if section in list(Section) else None,
            page=int(page) if page.isascii() and page.isdecimal() and 0 < len(page) < 7 else 1,
        )

    @property
    def query(self) -> str:
        """Return the address that asks for it, from its question mark on, or nothing."""
        asked = {"q": self.words, "section": self.section or "", "page": "" if self.page <= 1 else str(self.page)}
        found = urlencode({name: value for name, value in asked.items() if value})
        return f"?{found}" if found else ""

    def at(self, page: int) -> "Choice":
        return replace(self, page=page)

    def of(self, section: Section | None) -> "Choice":
        return replace(self, section=section, page=1)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The sessions of one page, in order, and how many there are in all."""

    sections: Mapping[Section, Sequence[Session]]
    counts: Mapping[Section, int]
    page: int  # from 1; the last one where more was asked for
    pages: int

    @property
    def sessions(self) -> list[Session]:
        return [session for sessions in self.sections.values() for session in sessions]


def choose_rooms(sessions: SessionQuerySet, choice: Choice, now: datetime) -> Chosen:
    """Return which of these sessions a page shows; three queries, and one more on the last page, however many."""
    for word in choice.words.split():
        sessions = sessions.filter(Q(title__icontains=word) | Q(event__name__icontains=word))
    incidents = _find_open(sessions, now)
    sections = _sections(incidents)
    counts = sessions.aggregate(**{section.name: Count("pk", filter=which) for section, which in sections.items()})
    ordered = _ordered(sessions.select_related("event"), incidents, sections)
    shown = [choice.section] if choice.section else [section for section in Section if section != Section.OVER]
    total = sum(counts[section.name] for section in shown)
    pages = max(1, -(-total // ROOMS_A_PAGE))
    page = min(choice.page, pages)
    among = reduce(or_, [sections[section] for section in shown])
    found = list(ordered.filter(among)[(page - 1) * ROOMS_A_PAGE : page * ROOMS_A_PAGE])
    if choice.section is None and page == pages:
        found += ordered.filter(sections[Section.OVER])[:MOST_ENDED]
    by_section: dict[Section, list[Session]] = {}
    for session in found:
        by_section.setdefault(_section_of(session, incidents), []).append(session)
    return Chosen(by_section, {section: counts[section.name] for section in Section}, page, pages)


class Urgency(IntEnum):
    """How much a room with an incident needs somebody, most first."""

    CRITICAL = 0
    WARNING = 1
    ATTENDED = 3  # somebody is on each; rooms of which nothing can be said come before


def _find_open(sessions: SessionQuerySet, now: datetime) -> dict[UUID, Urgency]:
    """Return the sessions in which an incident goes on, and how urgent the most urgent is."""
    found: dict[UUID, Urgency] = {}
    open_ones = Anomaly.objects.open().filter(session__in=sessions.values("id"))
    for anomaly in open_ones.only("session_id", "severity", "metadata", "acknowledged_at", "snoozed_until"):
        urgency = Urgency.ATTENDED if anomaly.is_quiet(now) else Urgency[anomaly.severity]
        found[anomaly.session_id] = min(urgency, found.get(anomaly.session_id, urgency))
    return found


def _sections(incidents: Collection[UUID]) -> dict[Section, Q]:
    """Return which sessions each section has; `_section_of` says the same of one."""
    needs_you = Q(id__in=list(incidents)) | Q(status=STATUS.LIVE, detector_state=STATE.UNKNOWN)
    return {
        Section.NEEDS_YOU: needs_you,
        Section.LIVE: Q(status=STATUS.LIVE) & ~needs_you,
        Section.STARTING: Q(status=STATUS.SCHEDULED) & ~needs_you,
        Section.OVER: Q(status=STATUS.ENDED) & ~needs_you,
    }


def _section_of(session: Session, incidents: Collection[UUID]) -> Section:
    if session.id in incidents or (session.status == STATUS.LIVE and session.detector_state == STATE.UNKNOWN):
        return Section.NEEDS_YOU
    return {STATUS.LIVE: Section.LIVE, STATUS.SCHEDULED: Section.STARTING}.get(STATUS(session.status), Section.OVER)


def _ordered(
    sessions: SessionQuerySet, incidents: Mapping[UUID, Urgency], sections: Mapping[Section, Q]
) -> SessionQuerySet:
    """Return the sessions, worst first. Calm rooms stand by level and title, so that they keep still."""
    newest = EngagementRow.objects.filter(session_id=OuterRef("pk"), timestamp=OuterRef("judged_until"))
    score = Subquery(newest.values("engagement_score")[:1], output_field=FloatField())
    return sessions.order_by(
        Case(
            *(When(id__in=[id_ for id_, found in incidents.items() if found == each], then=each) for each in Urgency),
            When(sections[Section.NEEDS_YOU], then=2),
            When(status=STATUS.LIVE, then=4),
            When(status=STATUS.SCHEDULED, then=5),
            default=6,
            output_field=IntegerField(),
        ),
        Case(When(sections[Section.LIVE], then=Floor(Coalesce(score, 1.0) * len(LEVELS)))),
        Case(When(status=STATUS.SCHEDULED, then=F("starts_at"))).asc(nulls_last=True),
        F("ended_at").desc(nulls_last=True),
        "title",
        "pk",
    )
