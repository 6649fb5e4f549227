"""What the page of one session shows just now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.template.loader import render_to_string
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from anomalies.life import Tried
from anomalies.models import Anomaly
from anomalies.precision import Tally
from conductor.screens.banners import Banner, show_banner
from conductor.screens.cards import SignalCard, signal_cards
from conductor.screens.charts import LEAST_SPAN, LONGEST_BRIDGE, SPAN, Chart, Moment, Span, draw_chart, hold_counts
from conductor.screens.doubts import Doubt, find_doubt
from conductor.screens.facts import SessionFacts, read_facts, read_many
from conductor.screens.minutes import Line, tabulate
from conductor.screens.rows import Row
from conductor.screens.scores import Part, Trend, find_trend, stack_parts
from engagement.models import Session
from engagement.scoring import Score, score
from engagement.turnout import Polling, Turnout


class Range(StrEnum):
    """How much of a session its chart shows."""

    FIVE_MINUTES = "5min"
    HALF_HOUR = "30min"
    WHOLE = "whole"

    @classmethod
    def read(cls, text: str | None) -> "Range | None":
        """Return the range that an address asks for, None where it asks for none that there is."""
        return cls(text) if text in list(cls) else None


# From top to bottom; each template has one root, and shares its name with that one's id.
PARTS = (
    "session_line",
    "anomaly_banner",
    "engagement_score",
    "engagement_chart",
    "signal_cards",
    "incident_timeline",
    "event_sensitivity",
)

SNOOZE_MINUTES = (5, 15, 30)
SPANS = {Range.FIVE_MINUTES: LEAST_SPAN, Range.HALF_HOUR: SPAN, Range.WHOLE: None}


@dataclass(frozen=True, slots=True)
class SessionScreen:
    """The live part of a session's page, from its first line to its last."""

    session: Session
    doubt: Doubt | None  # why what is below may be old or wrong
    elapsed: timedelta | None  # since it began; None before the first row
    audience: int | None  # people, when they were last counted
    banner: Banner
    newest: Row | None  # the row that the score is of
    score: Score | None  # None where no signal of that row says it
    trend: Trend | None
    parts: Sequence[Part]
    chart: Chart | None  # None before the first row
    range: Range  # of the chart
    cards: Sequence[SignalCard]
    incidents: Sequence[Anomaly]  # newest first
    verdicts: Tally  # of the alerts of its event, at the sensitivity of now


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A session's page: its live part, and what the chart shows as a table, which no push repeats."""

    live: SafeString
    lines: Sequence[Line]


def show_page(session: Session, now: datetime, wanted: Range | None = None) -> SessionPage:
    """Return what the page of a session shows when it is opened; as many queries as its screen."""
    facts = read_facts(session)
    return SessionPage(render_session(_in_range(compose_screen(facts, now), facts, wanted)), _lines(facts))


def show_session(session: Session, now: datetime) -> SessionScreen:
    """Return the screen of a session; five queries, and one more for the event where it is not at hand."""
    return compose_screen(read_facts(session), now)


def render_chart(session: Session, now: datetime, wanted: Range) -> SafeString:
    """Return the chart alone, of as much of a session as is wanted; one that has ended is always whole."""
    facts = read_facts(session)
    screen = _in_range(compose_screen(facts, now), facts, wanted)
    return render_to_string("sessions/_engagement_chart.html", {"screen": screen})


def _in_range(screen: SessionScreen, facts: SessionFacts, wanted: Range | None) -> SessionScreen:
    if wanted is None or wanted == screen.range or facts.session.is_ended:
        return screen
    drawn = read_facts(facts.session, is_whole=True) if wanted == Range.WHOLE else facts
    return replace(screen, chart=_chart(drawn, wanted), range=wanted)


def render_many(sessions: Sequence[Session], now: datetime) -> dict[UUID, list[SafeString]]:
    """Return the live part of each session's page, part by part; a handful of queries, however many."""
    return {facts.session.id: render_parts(compose_screen(facts, now)) for facts in read_many(sessions)}


def render_session(screen: SessionScreen) -> SafeString:
    """Return the live part of a page: the same bytes for the first page, a snapshot and a push."""
    return format_html_join("", "{}", ((part,) for part in render_parts(screen)))


def render_parts(screen: SessionScreen) -> list[SafeString]:
    """Return the live part of a page, part by part. They know no request and no user."""
    known = {"screen": screen, "tried_choices": tuple(Tried), "snooze_minutes": SNOOZE_MINUTES}
    return [render_to_string(f"sessions/_{name}.html", known) for name in PARTS]


def compose_screen(facts: SessionFacts, now: datetime) -> SessionScreen:
    """Return the screen that tells of these facts."""
    line, newest = facts.line, facts.newest
    doubt = find_doubt(facts.session, line, now)
    current = None if newest is None else score(newest.reading, _newest_turnout(line))
    usual = Range.WHOLE if facts.session.is_ended else Range.HALF_HOUR
    return SessionScreen(
        session=facts.session,
        doubt=doubt,
        elapsed=_elapsed(facts),
        audience=next((row.total_users for row in reversed(line) if row.total_users is not None), None),
        banner=show_banner(facts, doubt, now),
        newest=newest,
        score=current,
        trend=find_trend(line),
        parts=[] if current is None else stack_parts(current),
        chart=_chart(facts, usual),
        range=usual,
        cards=signal_cards(line, facts.outlook.usual, facts.open_incident),
        incidents=facts.incidents,
        verdicts=facts.verdicts,
    )


def _newest_turnout(line: Sequence[Row]) -> Turnout | None:
    """Return what polls say in the newest of the rows; None where there was none."""
    polling, turnout = Polling(), None
    for row in line if any(row.poll_participation is not None for row in line) else ():
        turnout = polling.hear(row.timestamp.timestamp(), row.poll_participation, row.poll_age_seconds)
    return turnout


def _elapsed(facts: SessionFacts) -> timedelta | None:
    """Return how long the session has gone on by its rows' time: from its planned start, if that was before now."""
    newest, planned_at = facts.newest, facts.session.starts_at
    if newest is None or facts.began_at is None:
        return None
    now: datetime = newest.timestamp
    return now - (planned_at if planned_at is not None and planned_at <= now else facts.began_at)


def _chart(facts: SessionFacts, wanted: Range) -> Chart | None:
    rows, session, course = facts.rows, facts.session, facts.course
    return draw_chart(
        _moments(facts.line) if course is None else [*course.moments, *_moments(facts.line[-1:])],
        people=_counts(facts.line) if course is None else course.people,
        late=_moments(row for row in rows if row.late) if course is None else course.late,
        band=_band(facts),
        incidents=_incidents(facts),
        breaks=_breaks(session),
        polls=facts.polls,
        span=SPANS[wanted],
        bridge=LONGEST_BRIDGE if course is None else timedelta.max,  # a course says where it is torn
    )


def _lines(facts: SessionFacts) -> Sequence[Line]:
    course = facts.course
    return tabulate(
        _moments(facts.line) if course is None else course.means,
        people=_counts(facts.line) if course is None else course.people,
        band=_band(facts),
        incidents=_incidents(facts),
        breaks=_breaks(facts.session),
        polls=facts.polls,
    )


def _band(facts: SessionFacts) -> Sequence[tuple[datetime, float, float]]:
    """Return what was expected; it is kept of the last half hour only: beside the rest it would look like a change."""
    rows = facts.rows
    is_longer = facts.course is not None or (bool(rows) and rows[-1].timestamp - rows[0].timestamp > SPAN)
    return () if is_longer else facts.outlook.band


def _incidents(facts: SessionFacts) -> list[Span]:
    return [Span(incident.timestamp, incident.resolved_at, incident) for incident in facts.incidents]


def _breaks(session: Session) -> list[Span]:
    return [Span(since, until) for since, until in session.planned_breaks]


def _moments(rows: Iterable[Row]) -> list[Moment]:
    return [(row.timestamp, row.engagement_score) for row in rows]


def _counts(rows: Iterable[Row]) -> Iterable[Moment]:
    return hold_counts((row.timestamp, row.total_users) for row in rows)
