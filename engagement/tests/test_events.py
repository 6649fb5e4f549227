"""Recording raw events: repeats are known, and `late` exactly where the window had closed."""

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event as Flag

import pytest
from django.db import transaction

from engagement import cursors
from engagement.aggregate import aggregate
from engagement.events import RefusedEvent, close_all, close_by_clock, record_events
from engagement.ingest import EARLIEST, MAX_AHEAD, OtherSource, Recorded, SessionEnded, record_rows
from engagement.models import EngagementRow, Presence, RawEventRow, Session
from engagement.readings import Reading
from engagement.tests.test_ingest import in_threads, new_session
from engagement.windows import RawEvent

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(days=1)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def chat(second: float, id: str | None = None, user: str | None = "ada") -> RawEvent:
    return RawEvent("chat", at(second), user, id)


@pytest.fixture
def session(db) -> Session:
    return new_session()


def test_record_events_keeps_what_was_told(session):
    events = [
        RawEvent("join", at(0), "ada", "e1"),
        RawEvent("poll_vote", at(1), None, None, "p"),
        RawEvent("chat", at(0.5)),
    ]

    assert record_events(session.id, events, NOW) == Recorded(accepted=3, duplicates=0, late=0)

    stored = RawEventRow.objects.order_by("id").values_list(
        "type", "timestamp", "user", "key", "poll", "late", "received_at"
    )
    assert list(stored) == [
        ("join", at(0), "ada", "e1", "", False, NOW),
        ("poll_vote", at(1), "", None, "p", False, NOW),
        ("chat", at(0.5), "", None, "", False, NOW),
    ]
    session.refresh_from_db()
    assert (session.status, session.source, session.newest_event_at) == ("live", "events", at(1))
    assert (session.closed_until, session.heard_at) == (at(-5), NOW)


def test_an_id_is_one_event_whatever_else_it_says(session):
    first = [chat(1, "a"), chat(1, "a"), chat(2, "b"), chat(3)]
    assert record_events(session.id, first, NOW) == Recorded(3, 1, 0)

    changed = [RawEvent("join", at(200), "bob", "a"), chat(2, "b"), chat(3)]
    assert record_events(session.id, changed, NOW) == Recorded(1, 2, 0)

    session.refresh_from_db()
    assert session.newest_event_at == at(3)
    assert record_events(new_session().id, [chat(1, "a")], NOW) == Recorded(1, 0, 0)


def test_an_event_is_late_once_its_window_has_closed(session):
    assert record_events(session.id, [chat(4), chat(6.999), chat(0)], NOW) == Recorded(3, 0, 0)
    assert record_events(session.id, [chat(7), chat(4.999, "late"), chat(5)], NOW) == Recorded(3, 0, 1)

    assert list(RawEventRow.objects.filter(late=True).values_list("timestamp", flat=True)) == [at(4.999)]
    assert record_events(session.id, [chat(4.999, "late")], NOW) == Recorded(0, 1, 0)


def test_lateness_is_the_sessions_own(db):
    patient, strict = new_session(lateness_seconds=60), new_session(lateness_seconds=0)

    assert record_events(patient.id, [chat(64.9), chat(0)], NOW).late == 0
    assert record_events(strict.id, [chat(5), chat(4.9)], NOW).late == 1


@pytest.mark.parametrize("moment", [NOW + MAX_AHEAD + timedelta(microseconds=1), EARLIEST - timedelta(microseconds=1)])
def test_record_events_takes_a_batch_whole_or_not_at_all(session, moment):
    with pytest.raises(RefusedEvent) as refused:
        record_events(session.id, [chat(0), RawEvent("chat", moment), chat(1)], NOW)

    assert (refused.value.index, refused.value.field) == (1, "timestamp")
    session.refresh_from_db()
    assert (RawEventRow.objects.count(), session.status, session.source) == (0, "scheduled", "")


def test_a_session_is_told_of_by_events_or_by_signals_whichever_came_first(session):
    other = new_session()
    record_events(session.id, [chat(0)], NOW)
    record_rows(other.id, [Reading(START, 1.0)], NOW)

    with pytest.raises(OtherSource, match="events"):
        record_rows(session.id, [Reading(START, 1.0)], NOW)
    with pytest.raises(OtherSource, match="signals"):
        record_events(other.id, [chat(0)], NOW)

    assert (RawEventRow.objects.count(), EngagementRow.objects.count()) == (1, 1)


def test_record_events_refuses_a_session_that_ended_or_never_was(session):
    Session.objects.update(status=Session.Status.ENDED)

    with pytest.raises(SessionEnded):
        record_events(session.id, [chat(0)], NOW)
    with pytest.raises(Session.DoesNotExist):
        record_events(uuid.uuid4(), [chat(0)], NOW)


def test_the_clock_closes_windows_of_live_sessions_with_a_fresh_event(db):
    live, recording, ended = new_session(), new_session(), new_session()
    for session in (live, recording, ended):
        record_events(session.id, [chat(1 if session is not recording else -300)], at(2))
    Session.objects.filter(id=ended.id).update(status=Session.Status.ENDED)

    close_by_clock(at(12))

    closed = dict(Session.objects.values_list("id", "closed_until"))
    assert closed == {live.id: at(10), recording.id: at(-305), ended.id: at(-5)}
    assert record_events(live.id, [chat(9.9), chat(10)], at(12)) == Recorded(2, 0, 1)
    close_by_clock(at(11))  # a worker with a slower clock opens nothing again
    live.refresh_from_db()
    assert live.closed_until == at(10)


def sweep(session: Session, **most: int) -> None:
    with transaction.atomic():
        locked = [Session.objects.select_for_update(no_key=True).get(id=session.id)]
        with cursors.sweeping(locked):
            aggregate(locked, NOW, 200, **most)


def test_aggregate_writes_the_people_that_changed_and_no_others(session, django_assert_num_queries):
    record_events(session.id, [RawEvent("join", at(0), f"u{n}") for n in range(50)], NOW)
    record_events(session.id, [RawEvent("leave", at(5), "u1"), RawEvent("focus", at(6), "u2"), chat(7)], NOW)
    sweep(session)
    versions = dict(Presence.objects.extra(select={"at": "xmin::text"}).values_list("user", "at"))
    assert len(versions) == 50

    record_events(session.id, [chat(14, user="u3")], NOW)
    with django_assert_num_queries(10):  # for 50 people or 3,000
        sweep(session)

    now = dict(Presence.objects.extra(select={"at": "xmin::text"}).values_list("user", "at"))
    assert {user for user in now if now[user] != versions.get(user)} == {"ada", "u1", "u2"}
    assert list(EngagementRow.objects.values_list("total_users", "active_users", "leave_count")) == [
        (50, None, 0),
        (49, 1, 1),
    ]


def test_aggregate_takes_many_events_a_few_at_a_time(session):
    moments = [*(n / 100 for n in range(35)), *range(5, 60)]
    record_events(session.id, [chat(moment) for moment in moments], NOW)
    session.refresh_from_db()
    close_all(session)
    counts = []
    while session.aggregated_until != session.closed_until:
        sweep(session, most_events=10)
        session.refresh_from_db()
        counts.append(EngagementRow.objects.count())

    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert list(EngagementRow.objects.values_list("chat_count", flat=True)) == [35, *[5] * 11]


def test_a_room_of_another_version_is_rebuilt_from_the_raw_events(session):
    twin = new_session()
    before = [RawEvent("join", at(n), f"u{n}") for n in range(9)] + [RawEvent("leave", at(30), "u3"), chat(40)]
    before += [RawEvent(kind, at(41), "u5") for kind in ("hand_raised", "mic_on", "talk_started")]
    after = [RawEvent("join", at(50), "u3"), RawEvent("leave", at(70), "u4"), RawEvent("talk_stopped", at(90), "u5")]
    after += [RawEvent("leave", at(93), "u5"), chat(100)]
    for one in (session, twin):
        record_events(one.id, before, NOW)
        sweep(one)
    session.room.version = 99
    session.room.save()
    Presence.objects.filter(session=session).update(is_present=False, signs="")
    for one in (session, twin):
        record_events(one.id, after, NOW)
        sweep(one)

    def rows(one: Session) -> list[Reading]:
        return [row.reading for row in EngagementRow.objects.for_session(one)]

    def people(one: Session) -> list[tuple]:
        fields = [field.attname for field in Presence._meta.concrete_fields if field.attname != "session_id"]
        return sorted(Presence.objects.filter(session=one).values_list(*fields))

    assert rows(session) == rows(twin)
    assert people(session) == people(twin)
    assert len(rows(session)) == 19
    assert [(row.hands_raised, row.speakers) for row in (rows(session)[10], rows(session)[18])] == [(1, 1), (0, 1)]


@pytest.mark.django_db(transaction=True)
def test_every_event_is_in_a_row_or_late_while_posts_and_sweeps_run_at_once():
    session = new_session()
    posters = [Flag() for _ in range(4)]

    def post(number: int) -> int:
        try:
            batches = ([chat(second), chat(second + 8 * (number % 2))] for second in range(number, 400, 4))
            return sum(record_events(session.id, batch, NOW).late for batch in batches)
        finally:
            posters[number].set()

    def sweep_on() -> int:
        is_last = False
        while not is_last:
            is_last = all(done.is_set() for done in posters)
            sweep(session)
        return 0

    late = sum(in_threads(*(partial(post, number) for number in range(4)), sweep_on))
    session.refresh_from_db()
    close_all(session)
    sweep(session)

    assert RawEventRow.objects.filter(late=True).count() == late
    assert sum(EngagementRow.objects.values_list("chat_count", flat=True)) == 800 - late
