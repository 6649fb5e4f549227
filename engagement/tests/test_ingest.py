"""Recording engagement rows: idempotent, whole or not at all, and `late` exactly where the detector had gone on."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from threading import Event as Flag
from typing import TypeVar

import pytest
from django.db import connection, transaction

from engagement.ingest import EARLIEST, MAX_AHEAD, Recorded, RefusedReading, SessionEnded, record_rows
from engagement.models import EngagementRow, Event, Session
from engagement.readings import Reading
from engagement.scoring import score

T = TypeVar("T")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(hours=1)


def reading(second: int, **values) -> Reading:
    return Reading(START + timedelta(seconds=second), **{"chat_msgs_per_min": 12.0, **values})


def stored(session: Session) -> list[Reading]:
    return [row.reading for row in EngagementRow.objects.for_session(session)]


@pytest.fixture
def session(db) -> Session:
    return new_session()


def new_session(**fields) -> Session:
    return Session.objects.create(event=Event.objects.create(name="Conference"), title="Keynote", **fields)


def test_record_rows_stores_readings_with_their_score(session):
    full = Reading(START, 12.0, 0.5, 40, 50, 3.0, 0.02)
    scoreless = Reading(START + timedelta(seconds=5), total_users=50)

    assert record_rows(session.id, [full, scoreless], NOW) == Recorded(accepted=2, duplicates=0, late=0)

    rows = list(EngagementRow.objects.for_session(session))
    assert [row.reading for row in rows] == [full, scoreless]
    assert [row.engagement_score for row in rows] == [score(full).value, None]
    assert {row.received_at for row in rows} == {NOW}


def test_rows_that_know_unlike_signals_are_stored_together(session):
    usual = reading(0)
    told = reading(5, hands_raised=2, talk_share=0.5)
    other = reading(10, hands_raised=0, chatters=3, questions_per_min=1.0)

    assert record_rows(session.id, [other, usual, told], NOW).accepted == 3

    assert stored(session) == [usual, told, other]
    scores = EngagementRow.objects.for_session(session).values_list("engagement_score", flat=True)
    assert set(scores) == {score(usual).value}


def test_record_rows_makes_a_scheduled_session_live(session):
    record_rows(session.id, [reading(0)], NOW)

    session.refresh_from_db()
    assert session.status == Session.Status.LIVE


def test_record_rows_twice_changes_nothing(session):
    batch = [reading(second) for second in (0, 5, 10)]
    record_rows(session.id, batch, NOW)

    changed = [reading(second, chat_msgs_per_min=99.0) for second in (0, 5, 10)]
    assert record_rows(session.id, changed, NOW + timedelta(seconds=1)) == Recorded(0, 3, 0)

    assert stored(session) == batch
    assert set(EngagementRow.objects.values_list("received_at", flat=True)) == {NOW}


def test_record_rows_keeps_the_first_of_a_batch(session):
    batch = [reading(5, chat_msgs_per_min=1.0), reading(0), reading(5, chat_msgs_per_min=2.0)]

    assert record_rows(session.id, batch, NOW) == Recorded(2, 1, 0)

    assert stored(session) == [reading(0), reading(5, chat_msgs_per_min=1.0)]


def test_record_rows_knows_one_moment_in_two_zones(session):
    tokyo = datetime.fromisoformat("2026-03-02T18:00:00+09:00")

    assert record_rows(session.id, [reading(0), Reading(tokyo, chat_msgs_per_min=1.0)], NOW) == Recorded(1, 1, 0)


def test_record_rows_keeps_sessions_apart(session):
    other = new_session()
    record_rows(session.id, [reading(0)], NOW)

    assert record_rows(other.id, [reading(0)], NOW) == Recorded(1, 0, 0)


def test_record_rows_marks_what_the_detector_will_not_see(session):
    Session.objects.update(judged_until=START + timedelta(seconds=5))

    assert record_rows(session.id, [reading(second) for second in (0, 5, 10)], NOW) == Recorded(3, 0, 2)

    assert [row.late for row in EngagementRow.objects.for_session(session)] == [True, True, False]


def test_a_late_row_stays_late_and_counts_once(session):
    Session.objects.update(judged_until=START)

    assert record_rows(session.id, [reading(0)], NOW) == Recorded(1, 0, 1)
    assert record_rows(session.id, [reading(0)], NOW) == Recorded(0, 1, 0)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Reading(START), ""),
        (Reading(NOW + MAX_AHEAD + timedelta(microseconds=1), 1.0), "timestamp"),
        (Reading(EARLIEST - timedelta(microseconds=1), 1.0), "timestamp"),
    ],
    ids=["nothing known", "too far ahead", "before 2000"],
)
def test_record_rows_takes_a_batch_whole_or_not_at_all(session, wrong, field):
    with pytest.raises(RefusedReading) as refused:
        record_rows(session.id, [reading(0), reading(5), wrong, reading(10)], NOW)

    assert (refused.value.index, refused.value.field) == (2, field)
    assert stored(session) == []
    session.refresh_from_db()
    assert session.status == Session.Status.SCHEDULED


def test_record_rows_takes_the_clocks_bounds_themselves(session):
    batch = [Reading(NOW + MAX_AHEAD, 1.0), Reading(EARLIEST, 1.0)]

    assert record_rows(session.id, batch, NOW).accepted == 2


def test_record_rows_refuses_an_ended_session(session):
    Session.objects.update(status=Session.Status.ENDED)

    with pytest.raises(SessionEnded):
        record_rows(session.id, [reading(0)], NOW)

    assert stored(session) == []


def test_record_rows_refuses_an_unknown_session(db):
    with pytest.raises(Session.DoesNotExist):
        record_rows(uuid.uuid4(), [reading(0)], NOW)


def in_threads(*jobs: Callable[[], T]) -> list[T]:
    """Run the jobs at once, each on a database connection of its own; return what they return."""
    barrier = Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        try:
            barrier.wait(timeout=10)
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return [done.result(timeout=60) for done in [threads.submit(run, job) for job in jobs]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(10))
def test_first_posts_at_once_neither_block_one_another_nor_store_twice(attempt):
    session = new_session()
    batch = [reading(second) for second in range(50)]

    found = in_threads(
        lambda: record_rows(session.id, batch, NOW),
        lambda: record_rows(session.id, batch[::-1], NOW),
        lambda: record_rows(session.id, batch[10:40], NOW),
        lambda: record_rows(session.id, batch[40:] + batch[:10], NOW),
    )

    assert sum(recorded.accepted for recorded in found) == 50
    assert sum(recorded.duplicates for recorded in found) == 50 + 30 + 20
    assert stored(session) == batch


@pytest.mark.django_db(transaction=True)
def test_late_is_exact_while_the_cursor_moves():
    """Every row is either fed to the detector or marked late, and never both."""
    session = new_session(status=Session.Status.LIVE)
    posters = [Flag() for _ in range(4)]
    fed: set[datetime] = set()

    def post(number: int) -> int:
        try:
            return sum(record_rows(session.id, [reading(second)], NOW).late for second in range(number, 400, 4))
        finally:
            posters[number].set()

    def sweep() -> int:
        is_last = False
        while not is_last:
            is_last = all(done.is_set() for done in posters)
            with transaction.atomic():
                locked = Session.objects.select_for_update(no_key=True).get(id=session.id)
                rows = EngagementRow.objects.for_session(session)
                if locked.judged_until:
                    rows = rows.filter(timestamp__gt=locked.judged_until)
                new = set(rows.values_list("timestamp", flat=True))
                fed.update(new)
                Session.objects.filter(id=session.id).update(judged_until=max(new, default=locked.judged_until))
        return 0

    late = sum(in_threads(*(partial(post, number) for number in range(4)), sweep))

    marked = set(EngagementRow.objects.filter(late=True).values_list("timestamp", flat=True))
    assert len(marked) == late
    assert fed & marked == set()
    assert len(fed) + len(marked) == EngagementRow.objects.count() == 400
