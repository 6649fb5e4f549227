"""The list of an organizer's sessions: what each room looks like from afar, worst first."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from anomalies.models import Anomaly
from conductor.screens.charts import Moment, draw_spark
from conductor.screens.doubts import Doubt, find_doubt
from conductor.screens.facts import find_most_urgent, sort_worst_first
from conductor.screens.rows import Row, read_courses, read_rows_since
from conductor.screens.standing import MOST_ENDED, Choice, Section, choose_rooms
from engagement.models import ApiKey, Event, Role, Session, SessionQuerySet
from engagement.scoring import level

SPARK, STEP = timedelta(minutes=15), timedelta(seconds=15)
EPOCH = datetime(2000, 1, 3, tzinfo=UTC)  # where steps are counted from, also those of `read_courses`
NEWEST = timedelta(minutes=1)  # rows that say how a room is just now
MOST_CARDS = 12  # more rooms are lines
COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3}  # by the number of cards
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
class SparkMark:
    """Where on a sparkline an incident began, in per cent of its width; and how bad it is while it goes on."""

    place: float
    severity: str  # empty: it is over


@dataclass(frozen=True, slots=True)
class RoomCard:
    """A session as the list shows it."""

    kind: RoomKind
    session: Session
    audience: int | None  # people
    score: float | None  # 0..1
    spark: str  # a path in a box of 600 × 100, of a quarter of an hour
    marks: Sequence[SparkMark]  # oldest first
    going_on: Sequence[Anomaly]  # worst first, and last what was called a false alarm
    doubt: Doubt | None
    incident: Anomaly | None = None  # the worst open one that nobody is on, else the worst
    is_quiet: bool = False  # somebody is on each that is open, or asked for quiet

    @property
    def others(self) -> Sequence[Anomaly]:
        """What goes on beside an open incident."""
        return [each for each in self.going_on if each is not self.incident] if self.incident else []

    @property
    def level(self) -> str | None:
        return None if self.score is None else level(self.score)

    @property
    def mark(self) -> Hashable:
        """What of it is worth telling at once."""
        told = tuple((each.id, each.anomaly_type, each.severity, each.status) for each in self.going_on)
        return self.kind, told, self.doubt and self.doubt.kind, self.is_quiet


CALM: Hashable = (RoomKind.LIVE, (), None, False)  # the mark of a room that nobody has to look at


@dataclass(frozen=True, slots=True)
class RoomGroup:
    """The cards of one section that a page shows."""

    section: Section
    rooms: Sequence[RoomCard]


@dataclass(frozen=True, slots=True)
class SectionLink:
    """How many rooms a section has, and the address that shows them alone; None: all of them."""

    section: Section | None
    count: int
    query: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class RoomsScreen:
    """A page of the rooms, worst first."""

    choice: Choice
    groups: Sequence[RoomGroup]
    counts: Mapping[Section, int]
    page: int
    pages: int

    @property
    def rooms(self) -> list[RoomCard]:
        return [room for group in self.groups for room in group.rooms]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def is_many(self) -> bool:
        """Whether there are more than cards can show at a glance."""
        return self.total - self.counts[Section.OVER] > MOST_CARDS or self.choice.section is not None

    @property
    def is_narrowed(self) -> bool:
        return bool(self.choice.words or self.choice.section)

    @property
    def links(self) -> list[SectionLink]:
        links = [(None, self.total), *self.counts.items()]
        return [
            SectionLink(section, count, self.choice.of(section).query, self.choice.section == section)
            for section, count in links
        ]

    @property
    def left_out(self) -> int:
        """How many sessions that are over are on no page of this choice."""
        is_shown = self.choice.section is not None
        return 0 if is_shown else max(0, self.counts[Section.OVER] - MOST_ENDED)

    @property
    def over_query(self) -> str:
        return self.choice.of(Section.OVER).query

    @property
    def before_query(self) -> str | None:
        return self.choice.at(self.page - 1).query if self.page > 1 else None

    @property
    def after_query(self) -> str | None:
        return self.choice.at(self.page + 1).query if self.page < self.pages else None


@dataclass(frozen=True, slots=True)
class CardGroup:
    """Cards that stand together; `section` is None where their order says it all."""

    section: Section | None
    cards: Sequence[str]

    @property
    def columns(self) -> int | None:
        """How many columns fill a screen with so few cards; None: as many as have room."""
        return COLUMNS.get(len(self.cards)) if self.section is None else None


@dataclass(frozen=True, slots=True)
class Listing:
    """The list as it is written, and each room's card by itself.

    Lists of one `outline` have the same rooms at the same places. What `marks` say of a room, and how many stand in
    each section, is worth telling at once.
    """

    screen: RoomsScreen
    cards: Mapping[UUID, SafeString]
    lesson: "Lesson | None"  # where there is no room

    @property
    def is_many(self) -> bool:
        return self.screen.is_many

    @property
    def outline(self) -> Hashable:
        groups = ((group.section, *(room.session.id for room in group.rooms)) for group in self.screen.groups)
        return tuple(self.screen.counts.items()), tuple(groups)

    @property
    def marks(self) -> dict[UUID, Hashable]:
        return {room.session.id: room.mark for room in self.screen.rooms}

    @property
    def whole(self) -> SafeString:
        """The list with all its cards: the same bytes on the page, in a snapshot and in a push."""
        return self.write(self.cards)

    def write(self, cards: Mapping[UUID, str]) -> SafeString:
        """Return the list with these cards; a card that is not among them stays as it is where the list is shown."""
        groups = [
            CardGroup(
                group.section, [cards.get(id_) or _kept(id_) for id_ in (room.session.id for room in group.rooms)]
            )
            for group in self.screen.groups
        ]
        context = {
            "groups": groups if self.is_many else _together(groups),
            "screen": self.screen,
            "lesson": self.lesson,
        }
        return render_to_string("sessions/_session_list.html", context)

    def is_news_after(self, told: "Listing") -> bool:
        """Whether more than numbers has changed, or where calm rooms stand by them."""
        before = told.marks
        return self.screen.counts != told.screen.counts or any(
            mark != before.get(id_, CALM) for id_, mark in self.marks.items()
        )


@dataclass(frozen=True, slots=True)
class Lesson:
    """What it takes to make a first session."""

    event: Event | None  # None: they have to make one
    key: ApiKey | None  # None: the event has none that works
    base_url: str


def show_rooms(sessions: SessionQuerySet, choice: Choice, now: datetime) -> RoomsScreen:
    """Return the rooms of these sessions; eight queries at most, however many."""
    chosen = choose_rooms(sessions, choice, now)
    until = _ends(chosen.sessions, now)
    rows, courses = _last_rows(chosen.sessions), _courses(until)
    incidents = _incidents(chosen.sessions, min(until.values(), default=now) - SPARK)

    def show(session: Session) -> RoomCard:
        id_ = session.id
        spark = _Spark(until.get(id_, now), courses.get(id_, []), incidents.get(id_, []))
        return _room(session, rows.get(id_, []), spark, now)

    groups = [RoomGroup(section, [show(each) for each in found]) for section, found in chosen.sections.items()]
    return RoomsScreen(choice, groups, chosen.counts, chosen.page, chosen.pages)


def list_rooms(user: User, choice: Choice, now: datetime, base_url: str) -> Listing:
    """Return the list of a user; ten queries at most."""
    screen = show_rooms(Session.objects.for_organizer(user), choice, now)
    cards = {room.session.id: render_to_string("parts/room_card.html", {"room": room}) for room in screen.rooms}
    return Listing(screen, cards, None if screen.rooms or screen.is_narrowed else show_lesson(user, base_url))


def _kept(id_: UUID) -> SafeString:
    return format_html('<article class="room" id="room-{}" hx-preserve="true"></article>', id_)


def _together(groups: Sequence[CardGroup]) -> list[CardGroup]:
    """Return the cards of rooms that are not over as one group."""
    now = [card for group in groups if group.section != Section.OVER for card in group.cards]
    return [*([CardGroup(None, now)] if now else []), *(group for group in groups if group.section == Section.OVER)]


def show_lesson(user: User, base_url: str) -> Lesson:
    """Return what teaches a user without a session; two queries."""
    event = Event.objects.for_organizer(user, Role.ORGANIZER).first()
    key = ApiKey.objects.valid().filter(event=event).first() if event else None
    return Lesson(event, key, base_url)


def _last_rows(sessions: Iterable[Session]) -> dict[UUID, list[Row]]:
    """Return the newest rows of each session, oldest first: a few, or as many as say for how long nothing moved."""
    since = {each.id: each.judged_until - _reach(each) for each in sessions if each.judged_until is not None}
    if not since:
        return {}
    found = read_rows_since(since, MOST_ROWS)
    return {id_: [row for row in rows if not row.late and row.timestamp > since[id_]] for id_, rows in found.items()}


def _reach(session: Session) -> timedelta:
    return SPARK if session.detector_state == Session.DetectorState.UNKNOWN else NEWEST


def _ends(sessions: Iterable[Session], now: datetime) -> dict[UUID, datetime]:
    """Return where the sparkline of each session that the detector has seen ends: now, for all that are not over.

    Now is the end of the step that is under way, so that a room of which nothing comes is the same card until then.
    """
    shared = now + (EPOCH - now) % STEP
    seen = ((each, each.judged_until) for each in sessions if each.judged_until is not None)
    return {each.id: judged_until if each.is_ended else shared for each, judged_until in seen}


def _courses(until: Mapping[UUID, datetime]) -> dict[UUID, list[Moment]]:
    """Return the score's course of a quarter of an hour of each session."""
    return read_courses({id_: (end - SPARK, end) for id_, end in until.items()}, STEP) if until else {}


def _incidents(sessions: Iterable[Session], since: datetime) -> dict[UUID, list[Anomaly]]:
    """Return what goes on in each session, and what has begun since and was no false alarm."""
    found: dict[UUID, list[Anomaly]] = {}
    is_shown = Q(resolved_at=None) | Q(timestamp__gte=since) & ~Q(status=Anomaly.Status.DISMISSED)
    for anomaly in Anomaly.objects.filter(is_shown, session__in=list(sessions)):
        found.setdefault(anomaly.session_id, []).append(anomaly)
    return found


@dataclass(frozen=True, slots=True)
class _Spark:
    """What a sparkline is drawn of: the course until its right edge, and what happened."""

    until: datetime
    course: Sequence[Moment]
    incidents: Sequence[Anomaly]

    def draw(self) -> str:
        return draw_spark([*self.course, (self.until, None)], top=1.0, span=SPARK)

    def mark(self) -> list[SparkMark]:
        told = [each for each in self.incidents if each.status != Anomaly.Status.DISMISSED]
        places = [(1 - (self.until - each.timestamp) / SPARK, each) for each in reversed(told)]
        return [
            SparkMark(round(100 * place, 1), "" if each.is_resolved else each.severity)
            for place, each in places
            if 0 <= place <= 1
        ]


def _room(session: Session, rows: Sequence[Row], spark: _Spark, now: datetime) -> RoomCard:
    newest = rows[-1] if rows else None
    doubt = find_doubt(session, rows, now)
    going_on = sort_worst_first(each for each in spark.incidents if not each.is_resolved)
    incident = find_most_urgent(going_on, now)
    return RoomCard(
        kind=_kind(session, newest, incident, doubt),
        session=session,
        audience=None if newest is None else newest.total_users,
        score=None if newest is None else newest.engagement_score,
        spark=spark.draw(),
        marks=spark.mark(),
        going_on=going_on,
        doubt=doubt,
        incident=incident,
        is_quiet=incident is not None and incident.is_quiet(now),
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
