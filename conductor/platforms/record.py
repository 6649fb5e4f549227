"""Record what a platform told: meetings become sessions, people pseudonyms, and a repeat changes nothing.

All of one meeting's is one transaction under its session's lock, as posts of raw events are. What a platform cannot
know it says in any order: who has several connections, as a reload of the page gives, is away when all have ended.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction

from conductor import metrics, pipeline
from conductor.models import Connection, Platform
from conductor.platforms.heard import count_heard
from conductor.platforms.pseudonyms import pseudonym
from conductor.platforms.told import OPENING, Act, Told
from engagement import cursors
from engagement.classroom import HAND, NO_REACTION
from engagement.events import store_events
from engagement.ingest import OtherSource, SessionEnded, check_source, claim_sessions, refuse_moment
from engagement.limits import MAX_TEXT
from engagement.models import RawEventRow, Session
from engagement.room import RANK
from engagement.sessions import create_session
from engagement.windows import RawEvent

# How far behind an event's own time it may be told: Zoom sends each as a request of its own, in no order.
LATENESS_SECONDS = {Platform.Kind.ZOOM: 15, Platform.Kind.BIG_BLUE_BUTTON: 5}
AFTER = timedelta(microseconds=1)
BY_EMOJI = "emoji."  # how the ids of hands begin that went up by one


def record_told(platform: Platform, told: Sequence[Told], now: datetime) -> tuple[Counter[str], set[UUID]]:
    """Record all that one request tells; return what of it was ignored, by name, and the sessions to wake."""
    ignored: Counter[str] = Counter(each.name for each in told if not each.act or not each.meeting)
    woken: set[UUID] = set()
    for meeting in dict.fromkeys(each.meeting for each in told if each.act and each.meeting):
        those = [each for each in told if each.act and each.meeting == meeting]
        session_id, unused = _record_meeting(platform, meeting, those, now)
        ignored.update(each.name for each in unused)
        woken |= {session_id} if session_id else set()
    count_heard(platform, Counter(each.name for each in told), ignored, now)
    return ignored, woken


def _record_meeting(
    platform: Platform, meeting: str, told: Sequence[Told], now: datetime
) -> tuple[UUID | None, list[Told]]:
    """Record what was told of one meeting; return its session, if there is one, and what could not be used."""
    timely = [each for each in told if _is_timely(each, now)]
    unused = [each for each in told if not _is_timely(each, now)]
    session = _find_session(platform, meeting, timely)
    if session is None:
        return None, [*unused, *timely]
    happened = [each for each in timely if each.act not in (Act.BEGIN, Act.END)]
    try:
        unused += _record_happened(platform, session.id, happened, now) if happened else []
    except (SessionEnded, OtherSource, Session.DoesNotExist):
        unused += happened
    for each in timely:
        if each.act == Act.END:
            assert each.at is not None, "it is timely"
            _end(session.id, min(each.at, now))
    return session.id, unused


def _name(platform: Platform, *named: str) -> str:
    return pseudonym(bytes.fromhex(platform.pepper), *named)


def _is_timely(told: Told, now: datetime) -> bool:
    return told.at is not None and not refuse_moment(told.at, now)


def _find_session(platform: Platform, meeting: str, told: Sequence[Told]) -> Session | None:
    """Return the session of a meeting, a new one where the first thing is heard of it.

    That somebody leaves, or all is over, makes none: it may be told again when the session was deleted.
    """
    external_id = f"{platform.kind}:{meeting}"
    if len(external_id) > MAX_TEXT:
        external_id = f"{platform.kind}:{_name(platform, 'meeting', meeting)}"
    found = Session.objects.filter(event_id=platform.event_id, external_id=external_id).first()
    if found is not None or not any(each.act in OPENING for each in told):
        return found
    title = next((each.title.strip() for each in told if each.title.strip()), platform.name)
    lateness = LATENESS_SECONDS[Platform.Kind(platform.kind)]
    try:
        return create_session(
            platform.event_id, external_id=external_id, title=title[:MAX_TEXT], lateness_seconds=lateness
        )[0]
    except IntegrityError:  # the event was erased just now
        return None


def _end(session_id: UUID, at: datetime) -> None:
    try:
        pipeline.end_session(session_id, at, heard_until=at)
    except Session.DoesNotExist:  # it was deleted just now
        return


def _record_happened(platform: Platform, session_id: UUID, told: Sequence[Told], now: datetime) -> list[Told]:
    """Store what happened in a meeting; return what was of no use."""
    with transaction.atomic():
        claim_sessions([session_id], Session.Source.EVENTS)
        session = cursors.lock_alone(session_id)
        check_source(session, Session.Source.EVENTS)
        meeting = _Meeting(platform, session_id)
        unused = [each for each in told if not meeting.take(each)]
        if meeting.events:
            metrics.count_events(store_events({session_id: session}, {session_id: meeting.events}, now))
    return unused


@dataclass
class _Meeting:
    """A meeting while what was told of it becomes raw events; its session is locked."""

    platform: Platform
    session_id: UUID
    events: list[RawEvent] = field(default_factory=list)

    def take(self, told: Told) -> bool:
        """Take one thing; return whether it is of any use."""
        if told.act == "join":
            self._join(told)
        elif told.act == "leave":
            self._leave(told)
        elif told.act == Act.EMOJI:
            return self._take_emoji(told)
        elif told.act in RANK:
            self._add(told, told.act, self._person(told))
        else:
            return False
        return True

    def _name(self, *named: str) -> str:
        return _name(self.platform, *named)

    def _add(self, told: Told, kind: str, user: str | None, at: datetime | None = None, id_: str = "") -> None:
        """Add a raw event, whose id tells nothing of the person."""
        moment = at or told.at
        assert moment is not None, "what has no time was not taken"
        poll = self._name("poll", told.poll) if told.poll else None
        self.events.append(RawEvent(kind, moment, user, id_ or self._name("event", told.id, kind), poll))

    def _connection(self, told: Told) -> Connection | None:
        if not told.connection:
            return None
        return Connection.objects.filter(session_id=self.session_id, connection=self._digest(told)).first()

    def _digest(self, told: Told) -> str:
        return self._name("connection", told.connection)

    def _person(self, told: Told) -> str | None:
        """Return whose it is: whoever has the connection, as only that may be told; None of nobody."""
        known = self._connection(told)
        return self._stranger(told) if known is None else known.user

    def _stranger(self, told: Told) -> str | None:
        """Return whose it is where the connection is not known.

        Where only that is told, as it was told before its join, it is somebody of its own.
        """
        if told.person:
            return self._name("person", told.person)
        return self._name("guest", told.connection) if told.connection else None

    def _claim(self, told: Told) -> Connection:
        """Return the row of a connection, a new one where it is not known yet."""
        if (known := self._connection(told)) is not None:
            return known
        user = self._stranger(told)
        assert user is not None, "a join or leave has a connection"
        return Connection(session_id=self.session_id, connection=self._digest(told), user=user)

    def _all_of(self, row: Connection) -> list[Connection]:
        """Return all connections of a person, this one as it is now."""
        others = Connection.objects.filter(session_id=self.session_id, user=row.user)
        return [row, *others.exclude(connection=row.connection)]

    def _join(self, told: Told) -> None:
        """Take a connection: a person is here from the first one on, and still is where a leave was told before it."""
        row, at = self._claim(told), told.at
        assert at is not None, "what has no time was not taken"
        self._add(told, "join", row.user)
        if row.joined_at is not None and row.joined_at >= at:
            return
        row.joined_at = at
        row.save()
        left_at = max((each.left_at for each in self._all_of(row) if each.left_at is not None), default=None)
        if row.is_open and left_at is not None and left_at >= at:
            self._add(told, "join", row.user, left_at + AFTER, self._name("return", told.id, str(left_at)))

    def _leave(self, told: Told) -> None:
        """Take the end of a connection: the person leaves with the last one that ends."""
        row, at = self._claim(told), told.at
        assert at is not None, "what has no time was not taken"
        row.left_at = max(row.left_at or at, at)
        row.save()
        theirs = self._all_of(row)
        if not any(each.is_open for each in theirs):
            left_at, last = max((each.left_at, each.connection) for each in theirs if each.left_at is not None)
            self._add(told, "leave", row.user, left_at, self._name("leave", last, str(left_at)))

    def _take_emoji(self, told: Told) -> bool:
        """Take an emoji: a hand that goes up, or else a reaction, and the end of a hand that an emoji raised."""
        user = self._person(told)
        if told.emoji == HAND:
            self._add(told, "hand_raised", user, id_=BY_EMOJI + self._name("event", told.id))
            return True
        is_lowered = user is not None and self._has_hand_up(user)
        if is_lowered:
            self._add(told, "hand_lowered", user)
        if told.emoji not in NO_REACTION:
            self._add(told, "reaction", user)
        return is_lowered or told.emoji not in NO_REACTION

    def _has_hand_up(self, user: str) -> bool:
        """Tell whether the last thing of somebody's hand was that an emoji raised it, also within this request."""
        for event in reversed(self.events):
            if event.user == user and event.type in ("hand_raised", "hand_lowered"):
                return (event.id or "").startswith(BY_EMOJI)
        hands = RawEventRow.objects.filter(
            session_id=self.session_id, user=user, type__in=["hand_raised", "hand_lowered"]
        )
        last = hands.order_by("-timestamp", "-id").values_list("type", "key").first()
        return last is not None and last[0] == "hand_raised" and (last[1] or "").startswith(BY_EMOJI)
