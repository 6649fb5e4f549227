"""What tabs report becomes raw events, from which the rows follow as from any others."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engagement import cursors
from engagement.aggregate import aggregate, forget_people
from engagement.events import close_all, record_events
from engagement.groups import NotTaken, Post, record_posts_of_reports
from engagement.ingest import OtherSource, Recorded, SessionEnded, record_rows
from engagement.models import EngagementRow, Event, Presence, RawEventRow, Session, Visitor
from engagement.readings import STORED, Reading
from engagement.visitors import leave_unheard, record_report
from engagement.visits import UNHEARD_SECONDS, UNHEARD_UNSEEN_SECONDS, Activity, Report, VisitState
from engagement.windows import RawEvent, Windows

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ALWAYS = NOW - timedelta(days=1)
FOCUS, BLUR, HERE, LEFT = VisitState
ADA, BOB = "a" * 32, "b" * 32


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def session() -> Session:
    return Session.objects.create(event=Event.objects.create(name="Spring summit"), title="Keynote")


def told(session: Session) -> list[tuple[str, str]]:
    """Return the raw events in the order in which a room takes them, each with whose it is."""
    rows = RawEventRow.objects.filter(session=session, late=False).values_list("timestamp", "type", "user")
    rank = {"leave": 1, "join": 2, "blur": 3, "focus": 4}
    return [(kind, user[7:8]) for _, kind, user in sorted(rows, key=lambda row: (row[0], rank.get(row[1], 5), row[2]))]


def present(session: Session) -> tuple[int | None, int | None]:
    """Return how many are there and how many look, after all that was told is aggregated."""
    session.refresh_from_db()
    close_all(session)
    session.refresh_from_db()
    while session.has_closed_windows:
        with cursors.sweeping([session]):
            aggregate([session], NOW, 1_000)
        session.refresh_from_db()
    row = EngagementRow.objects.for_session(session).order_by("timestamp").last()
    return (row.total_users, row.active_users) if row else (None, None)


def test_report_tells_what_has_changed_and_nothing_twice(session):
    assert record_report(session.id, Report(ADA, 1, FOCUS), NOW) == Recorded(2, 0, 0)
    assert record_report(session.id, Report(ADA, 2, FOCUS), after(1)) == Recorded(0, 0, 0)
    assert record_report(session.id, Report(ADA, 3, BLUR), after(2)) == Recorded(1, 0, 0)
    assert record_report(session.id, Report(ADA, 4, LEFT), after(3)) == Recorded(1, 0, 0)

    assert told(session) == [("join", "a"), ("focus", "a"), ("blur", "a"), ("leave", "a")]
    assert present(session) == (0, 0)


def test_report_that_comes_late_says_nothing(session):
    record_report(session.id, Report(ADA, 2, LEFT), NOW)
    assert record_report(session.id, Report(ADA, 1, FOCUS), after(1)) == Recorded(0, 0, 0)
    assert told(session) == []


def test_who_is_private_is_there_and_nothing_more(session):
    record_report(session.id, Report(ADA, 1, HERE), NOW)
    record_report(session.id, Report(BOB, 1, FOCUS), NOW)
    record_report(session.id, Report(BOB, 2, HERE), after(1))

    assert [kind for kind, who in told(session) if who == "a"] == ["join"]
    assert present(session) == (2, 0), "who looked before is not left looking"
    assert Report(ADA, 1, FOCUS, [Activity(1, "chat")]).made_private() == Report(ADA, 1, HERE)
    assert Report(ADA, 1, LEFT, [Activity(1, "chat")]).made_private() == Report(ADA, 1, LEFT)


def test_activity_counts_once_however_often_it_is_sent(session):
    acts = [Activity(1, "reaction", 0.5), Activity(2, "chat", 0.25)]
    assert record_report(session.id, Report(ADA, 1, FOCUS, acts), NOW) == Recorded(4, 0, 0)
    assert record_report(session.id, Report(ADA, 2, FOCUS, [*acts, Activity(3, "chat")]), after(1)) == Recorded(1, 2, 0)
    assert record_report(session.id, Report(BOB, 1, FOCUS, acts), after(1)) == Recorded(4, 0, 0), "his are his own"


def test_activity_of_just_now_counts_where_its_window_has_closed(session):
    record_events(session.id, [RawEvent("chat", after(60), "u-1")], after(60))
    assert record_report(session.id, Report(ADA, 1, FOCUS, [Activity(1, "chat", 20)]), after(61)).late == 0
    assert record_report(session.id, Report(ADA, 2, FOCUS, [Activity(2, "chat", 40)]), after(62)).late == 1


def test_how_a_tab_is_counts_whatever_the_clock_of_the_platform_says(session):
    record_events(session.id, [RawEvent("chat", after(200), "u-1")], NOW)
    for number, state in enumerate([FOCUS, BLUR, FOCUS, LEFT], start=1):
        assert record_report(session.id, Report(ADA, number, state), after(number)).late == 0
    assert present(session) == (0, 0)


def test_changes_of_one_moment_keep_their_order(session):
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    post = [Post(session.event_id, [session.id], [Report(ADA, 2 + place, state)]) for place, state in
            enumerate([BLUR, FOCUS, BLUR, LEFT, FOCUS, LEFT])]  # fmt: skip
    group = record_posts_of_reports(post, NOW)

    assert [outcome.accepted for outcome in group.outcomes] == [1, 1, 1, 1, 2, 1]
    assert told(session)[-3:] == [("join", "a"), ("focus", "a"), ("leave", "a")]
    assert present(session) == (0, 0)


def test_quiet_room_is_known_to_be_watched(session):
    """Or its silence would be taken for a source that has gone, and after five minutes for no session at all."""
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    for number in range(2, 40):
        record_report(session.id, Report(ADA, number, FOCUS), after(20 * number))
    session.refresh_from_db()
    assert session.newest_event_at == after(780)
    assert present(session) == (1, 1)


@pytest.mark.parametrize(("state", "seconds"), [(FOCUS, UNHEARD_SECONDS), (BLUR, UNHEARD_UNSEEN_SECONDS),
                                                (HERE, UNHEARD_UNSEEN_SECONDS)])  # fmt: skip
def test_who_is_not_heard_has_left(session, state, seconds):
    record_report(session.id, Report(ADA, 1, state), NOW)
    assert leave_unheard(after(seconds), ALWAYS) == set()
    assert leave_unheard(after(seconds + 1), ALWAYS) == {session.id}
    assert leave_unheard(after(seconds + 6), ALWAYS) == set(), "once"
    leaves = RawEventRow.objects.filter(session=session, type="leave")
    assert [(each.timestamp, each.late) for each in leaves] == [(after(seconds + 1), False)]
    assert present(session)[0] == 0


def test_who_speaks_again_is_there_again(session):
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    leave_unheard(after(70), ALWAYS)
    record_report(session.id, Report(ADA, 2, FOCUS), after(75))
    assert told(session)[-3:] == [("leave", "a"), ("join", "a"), ("focus", "a")]
    assert present(session) == (1, 1)


def test_silence_while_nobody_listened_means_nothing(session):
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    record_report(session.id, Report(BOB, 1, BLUR), NOW)
    back = after(600)  # the server was away
    assert leave_unheard(back, back) == set()
    assert leave_unheard(back + timedelta(seconds=UNHEARD_SECONDS - 1), back) == set()
    assert leave_unheard(back + timedelta(seconds=UNHEARD_SECONDS), back) == {session.id}
    assert [who for kind, who in told(session) if kind == "leave"] == ["a"], "Bob has longer"
    leave_unheard(back + timedelta(seconds=UNHEARD_UNSEEN_SECONDS), back)
    assert present(session)[0] == 0


def test_session_that_is_held_is_left_to_the_next_tick(session, monkeypatch):
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    with monkeypatch.context() as patch:
        patch.setattr("engagement.cursors.lock_free", lambda *_, **__: {})
        assert leave_unheard(after(70), ALWAYS) == set()
    assert leave_unheard(after(75), ALWAYS) == {session.id}


def test_who_speaks_while_the_tick_looks_has_not_left(session, monkeypatch):
    """Nor does the tick fail, which has more to do than this."""
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    lock_free = cursors.lock_free

    def lock_after_a_word(*args, **kwargs):
        record_report(session.id, Report(ADA, 2, FOCUS), after(61))
        return lock_free(*args, **kwargs)

    monkeypatch.setattr("engagement.cursors.lock_free", lock_after_a_word)
    assert leave_unheard(after(61), ALWAYS) == set()
    assert Visitor.objects.get().state == FOCUS


def test_nothing_that_is_kept_tells_who_did_what(session):
    """Once nobody is known any more, neither by the name of an event."""
    record_report(session.id, Report(ADA, 1, FOCUS, [Activity(1, "chat"), Activity(2, "reaction")]), NOW)
    Session.objects.filter(id=session.id).update(status="ended")
    session.refresh_from_db()
    assert forget_people(session)
    kept = [str(value) for row in RawEventRow.objects.values_list() for value in row]
    assert len(kept) == 4 * len(RawEventRow._meta.concrete_fields)
    assert not [value for value in kept if ADA in value]


def test_ended_session_takes_no_report_and_forgets_its_visitors(session):
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    Session.objects.filter(id=session.id).update(status="ended")
    with pytest.raises(SessionEnded):
        record_report(session.id, Report(ADA, 2, BLUR), after(1))
    assert leave_unheard(after(500), ALWAYS) == set()
    session.refresh_from_db()
    assert forget_people(session)
    assert (Visitor.objects.count(), Presence.objects.count()) == (0, 0)
    assert not RawEventRow.objects.exclude(user="").exists()


def test_session_that_is_told_of_by_signals_takes_no_report(session):
    record_rows(session.id, [Reading(NOW, 1.0)], NOW)
    with pytest.raises(OtherSource):
        record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    with pytest.raises(Session.DoesNotExist):
        record_report(uuid.uuid4(), Report(ADA, 1, FOCUS), NOW)


def test_group_leaves_out_what_waits_or_is_not_there(session):
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    other = Session.objects.create(event=session.event, title="Not begun")
    group = record_posts_of_reports(
        [
            Post(session.event_id, [other.id], [Report(ADA, 1, FOCUS)]),
            Post(session.event_id, [session.id], [Report(BOB, 1, FOCUS)]),
            Post(uuid.uuid4(), [session.id], [Report(BOB, 2, BLUR)]),
        ],
        after(30),
    )
    assert group.outcomes == [NotTaken.OTHER, Recorded(2, 0, 0), NotTaken.OTHER]
    assert group.moved == {session.id}


def test_heartbeats_are_a_handful_of_queries_however_many_there_are(session, django_assert_num_queries):
    people = [f"{place:032}" for place in range(50)]
    posts = [Post(session.event_id, [session.id], [Report(person, 1, FOCUS)]) for person in people]
    record_report(session.id, Report(ADA, 1, FOCUS), NOW)
    record_posts_of_reports(posts, NOW)
    beats = [Post(session.event_id, [session.id], [Report(person, 2, FOCUS)]) for person in people]
    with django_assert_num_queries(5):  # a savepoint and its release, the lock, who they are, that they were heard
        group = record_posts_of_reports(beats, after(1))
    assert {outcome.accepted for outcome in group.outcomes} == {0}


steps = st.lists(
    st.tuples(
        st.sampled_from([ADA, BOB, "c" * 32]),
        st.sampled_from([*VisitState, None]),  # None: nothing is said
        st.floats(0, 70),
        st.lists(st.tuples(st.sampled_from(["chat", "reaction"]), st.floats(0, 60)), max_size=2),
    ),
    max_size=30,
)


@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_rows_are_those_of_a_replay_of_the_raw_events(session, steps):
    session = Session.objects.create(event=session.event, title="Another")
    now, number, said = NOW, 0, {}
    for person, state, seconds, acts in steps:
        now += timedelta(seconds=seconds)
        leave_unheard(now, ALWAYS)
        if state is not None:
            number += 1
            activities = [] if state is HERE else [Activity(10 * number + n, *act) for n, act in enumerate(acts)]
            record_report(session.id, Report(person, number, state, activities), now)
            said[person] = state
        if number % 4 == 0:
            session.refresh_from_db()
            with cursors.sweeping([session]):
                aggregate([session], now, 1_000)
    before = present(session)

    events = RawEventRow.objects.filter(session=session).order_by("id")
    windows = Windows()
    windows.add(RawEvent(each.type, each.timestamp, each.user, each.key) for each in events)
    expected = windows.finish()
    stored = EngagementRow.objects.for_session(session).order_by("timestamp")
    rows = [{name: getattr(row, name) for name in ("timestamp", *STORED)} for row in stored]
    assert rows == [
        {name: getattr(row, name) for name in ("timestamp", *STORED)} for row in expected if not row.is_empty
    ]
    here = {visitor.user: visitor.state for visitor in Visitor.objects.filter(session=session).exclude(state="left")}
    if before[0] is not None:
        assert before[0] == len(here)
