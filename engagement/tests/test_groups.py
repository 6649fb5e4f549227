"""A group stores, and tells each of its posts, what one after the other would have; and waits for nobody."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engagement.groups import Group, NotTaken, Post, record_posts_of_events, record_posts_of_rows
from engagement.ingest import Recorded
from engagement.many import SessionName, record_events_of_many, record_rows_of_many
from engagement.models import EngagementRow, Event, RawEventRow, Session
from engagement.readings import Reading
from engagement.tests.test_ingest import in_threads
from engagement.windows import RawEvent

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(hours=1)
JUDGED = START + timedelta(seconds=2)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def row(second: float, chats: float = 12.0) -> Reading:
    return Reading(at(second), chats)


def live(event: Event, source: str = "signals", **fields) -> Session:
    return Session.objects.create(event=event, title="Keynote", status="live", source=source, **fields)


def post(session: Session, *items: Reading | RawEvent) -> Post:
    return Post(session.event_id, [session.id] * len(items), items)


@pytest.fixture
def event(db) -> Event:
    return Event.objects.create(name="Conference")


def in_groups(posts: Sequence, cuts: Sequence[bool]) -> list[list]:
    groups: list[list] = []
    for each, begins in zip(posts, cuts, strict=True):
        if begins or not groups:
            groups.append([])
        groups[-1].append(each)
    return groups


SESSIONS, SECONDS = st.integers(0, 2), st.integers(0, 4)
BY_ID = st.booleans()  # or by the platform's name
BOUNDED = {"max_examples": 40, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@st.composite
def posts_of(draw, items):
    """Return some posts, each a list of (session, by its id, item); and before which of them a group begins."""
    posts = draw(st.lists(st.lists(st.tuples(SESSIONS, BY_ID, items), min_size=1, max_size=4), max_size=8))
    return posts, draw(st.lists(st.booleans(), min_size=len(posts), max_size=len(posts)))


def make(source: str, **fields) -> list[Session]:
    event = Event.objects.create(name="Conference")
    return [live(event, source, external_id=f"room-{number}", **fields) for number in range(3)]


def as_post(sessions: Sequence[Session], items) -> Post:
    places = [sessions[number].id if by_id else f"room-{number}" for number, by_id, _ in items]
    return Post(sessions[0].event_id, places, [item for _, _, item in items])


def names(sessions: Sequence[Session], items) -> list[SessionName]:
    return [
        SessionName(sessions[number].id) if by_id else SessionName(None, f"room-{number}") for number, by_id, _ in items
    ]


@hypothesis_settings(**BOUNDED)
@given(posts_of(st.builds(row, SECONDS, st.integers(0, 9).map(float))))
def test_rows_in_any_groups_are_those_of_one_post_after_the_other(db, drawn):
    posts, cuts = drawn
    alone, together = make("signals", judged_until=JUDGED), make("signals", judged_until=JUDGED)

    one_by_one = [
        record_rows_of_many(alone[0].event_id, names(alone, items), [item for _, _, item in items], NOW)
        for items in posts
    ]
    groups = [
        record_posts_of_rows([as_post(together, items) for items in group], NOW) for group in in_groups(posts, cuts)
    ]

    assert [outcome for group in groups for outcome in group.outcomes] == [recorded for recorded, _ in one_by_one]
    assert stored_rows(together) == stored_rows(alone)


def stored_rows(sessions: Sequence[Session]) -> list:
    fields = [field.attname for field in EngagementRow._meta.concrete_fields if field.attname != "session_id"]
    return [list(EngagementRow.objects.for_session(session).values_list(*fields)) for session in sessions]


@hypothesis_settings(**BOUNDED)
@given(
    posts_of(
        st.builds(
            lambda second, key: RawEvent("chat", at(3 * second), "ada", key),
            st.integers(0, 9),
            st.sampled_from([None, "a", "b", "c"]),
        )
    )
)
def test_raw_events_in_any_groups_are_those_of_one_post_after_the_other(db, drawn):
    posts, cuts = drawn
    alone, together = make("events"), make("events")

    one_by_one = [
        record_events_of_many(alone[0].event_id, names(alone, items), [item for _, _, item in items], NOW)
        for items in posts
    ]
    groups = [
        record_posts_of_events([as_post(together, items) for items in group], NOW) for group in in_groups(posts, cuts)
    ]

    assert [outcome for group in groups for outcome in group.outcomes] == [recorded for recorded, _ in one_by_one]
    assert stored_events(together) == stored_events(alone)
    assert cursors_of(together) == cursors_of(alone)


def stored_events(sessions: Sequence[Session]) -> list:
    fields = ["timestamp", "type", "user", "key", "poll", "late", "received_at"]
    events = RawEventRow.objects.order_by("id")
    return [list(events.filter(session=session).values_list(*fields)) for session in sessions]


def cursors_of(sessions: Sequence[Session]) -> list:
    fields = ["newest_event_at", "closed_until", "heard_at"]
    return [Session.objects.values_list(*fields).get(id=session.id) for session in sessions]


def test_first_of_a_group_wins_and_only_what_was_stored_is_swept(event):
    first, other = live(event), live(event)
    record_posts_of_rows([post(other, row(0))], NOW)

    found = record_posts_of_rows([post(first, row(0, 1.0)), post(first, row(0, 2.0), row(5)), post(other, row(0))], NOW)

    assert found == Group([Recorded(1, 0, 0), Recorded(1, 1, 0), Recorded(0, 1, 0)], {first.id})
    assert [each.chat_msgs_per_min for each in EngagementRow.objects.for_session(first)] == [1.0, 12.0]


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "ended"},
        {"status": "scheduled", "source": ""},
        {"source": "events"},
        {"erased_at": NOW},
    ],
)
def test_session_that_does_not_take_rows_leaves_its_post_out_and_no_other(event, fields):
    good = live(event)
    odd = Session.objects.create(event=event, title="Keynote", **{"status": "live", "source": "signals"} | fields)
    both = Post(event.id, [good.id, odd.id], [row(5), row(5)])

    found = record_posts_of_rows([post(odd, row(0)), post(good, row(0)), both], NOW)

    assert found.outcomes == [NotTaken.OTHER, Recorded(1, 0, 0), NotTaken.OTHER]
    assert EngagementRow.objects.count() == 1, "a post is taken whole or not at all"


def test_session_of_another_event_is_none_of_its_own(event):
    others = live(Event.objects.create(name="Another"), external_id="theirs")
    by_id = Post(event.id, [others.id], [row(0)])
    by_name = Post(event.id, ["theirs"], [row(0)])
    unknown = Post(event.id, [uuid.uuid4()], [row(0)])

    assert record_posts_of_rows([by_id, by_name, unknown], NOW).outcomes == [NotTaken.OTHER] * 3
    assert not EngagementRow.objects.exists()


@pytest.mark.parametrize(
    ("source", "record", "item"),
    [("signals", record_posts_of_rows, row(0)), ("events", record_posts_of_events, RawEvent("chat", at(0), "ada"))],
)
def test_session_of_another_event_is_none_of_its_own_beside_a_post_that_may(event, source, record, item):
    """A group holds the session for the one, and not for the others."""
    session = live(event, source)
    stranger = Post(Event.objects.create(name="Another").id, [session.id], [item])

    group = record([stranger, post(session, item), stranger], NOW)

    assert group.outcomes == [NotTaken.OTHER, Recorded(1, 0, 0), NotTaken.OTHER]


@pytest.mark.parametrize(
    ("source", "record", "item", "lock"),
    [
        ("signals", record_posts_of_rows, row(0), "NO KEY UPDATE"),
        ("events", record_posts_of_events, RawEvent("chat", at(0), "ada"), "SHARE"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_session_that_is_held_holds_no_other(event, source, record, item, lock):
    held, free = live(event, source), live(event, source)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM engagement_session WHERE id = %s FOR {lock}", [held.id])

        [found] = in_threads(lambda: record([post(held, item), post(free, item), both(held, free, item)], NOW))

    assert found.outcomes == [NotTaken.HELD, Recorded(1, 0, 0), NotTaken.HELD]
    assert record([post(held, item), both(held, free, item)], NOW).outcomes[0] == Recorded(1, 0, 0)


def both(held: Session, free: Session, item: Reading | RawEvent) -> Post:
    return Post(held.event_id, [held.id, free.id], [item, item])


@pytest.mark.django_db(transaction=True)
def test_posts_of_rows_share_a_session_with_one_another(event):
    session = live(event)
    with transaction.atomic():
        record_posts_of_rows([post(session, row(0))], NOW)
        [found] = in_threads(lambda: record_posts_of_rows([post(session, row(5))], NOW))
    assert found.outcomes == [Recorded(1, 0, 0)]


def test_empty_group_stores_nothing(event):
    assert record_posts_of_rows([], NOW) == Group([], set())
    assert record_posts_of_events([], NOW) == Group([], set())


def test_events_move_a_session_when_a_window_closes(event):
    session, other = live(event, "events", lateness_seconds=2), live(event, "events", lateness_seconds=2)

    def moved(second: float) -> set:
        chats = [post(each, RawEvent("chat", at(second), "ada")) for each in (session, other)[: 1 + (second == 9)]]
        return record_posts_of_events(chats, NOW).moved

    assert moved(3) == {session.id}, "nothing was known of it before"
    assert moved(4) == moved(6) == set()
    assert moved(8) == {session.id}
    assert moved(9) == {other.id}
    assert moved(2) == set(), "it is late"
