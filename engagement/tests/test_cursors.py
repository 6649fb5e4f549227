"""What waits behind a session's cursors; that each moves under its lock is seen in the tests of who moves it."""

import re
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction

from engagement import arrays, cursors
from engagement.models import EngagementRow, Event, RawEventRow, Session

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CURSORS = ("newest_event_at", "closed_until", *cursors.SWEPT)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def new_session(*row_seconds: float, place: int = 0, **fields) -> Session:
    """A live session with rows; `place` is its place in the order of ids."""
    event, _ = Event.objects.get_or_create(name="Conference")
    session = Session.objects.create(
        id=UUID(int=place + 1), event=event, title="Keynote", **{"status": "live"} | fields
    )
    for second in row_seconds:
        EngagementRow.objects.create(session=session, timestamp=at(second), received_at=at(second), total_users=5)
    return session


def read_cursors(session: Session) -> dict[str, object]:
    return Session.objects.values(*CURSORS).get(id=session.id)


@pytest.mark.parametrize(
    ("fields", "row_seconds", "expected"),
    [
        ({}, (), False),
        ({}, (0,), True),
        ({"judged_until": at(0)}, (0,), False),
        ({"judged_until": at(0)}, (0, 5), True),
        ({"closed_until": at(5)}, (), True),
        ({"closed_until": at(5), "aggregated_until": at(0)}, (), True),
        ({"closed_until": at(5), "aggregated_until": at(5)}, (), False),
    ],
)
def test_a_session_is_behind_its_rows_and_its_closed_windows(fields, row_seconds, expected):
    session = new_session(*row_seconds, **fields)

    assert cursors.find_due(10) == ([session.id] if expected else [], [])


def lock_due(*sessions: Session, most: int = 10, **options) -> list[Session]:
    return list(cursors.lock_due([session.id for session in sessions], most, **options))


def test_an_ended_session_waits_until_it_is_settled():
    session = new_session(status="ended")

    assert cursors.find_due(10) == ([session.id], [])
    assert lock_due(session) == [session]
    Session.objects.update(settled_at=at(0))
    assert (cursors.find_due(10), lock_due(session)) == (([], []), [])


def test_nothing_waits_for_a_session_that_was_never_heard():
    new_session(status="scheduled")

    assert cursors.find_due(10) == ([], [])


def test_who_has_waited_longest_is_found_first():
    second, first = (new_session(0, place=place, heard_at=at(10 - 5 * place)) for place in (0, 1))

    assert cursors.find_due(10) == ([first.id, second.id], [])
    assert cursors.find_due(1) == ([first.id], [])


def test_lock_due_takes_so_many_of_those_that_are_named_first():
    third, second, first, _ = (new_session(0, place=place) for place in range(4))

    assert lock_due(first, second, third, most=2) == [second, first]
    assert lock_due(third, first, most=1) == [third]


def test_what_a_sweep_left_is_due_for_who_catches_up():
    left, new = new_session(0), new_session(0, place=1)
    sweep(left, is_behind=True)

    assert cursors.find_due(10) == ([new.id], [left.id])
    assert lock_due(left, new, with_behind=False) == [new]
    assert lock_due(left, new) == [left, new]
    sweep(left, is_behind=False)
    assert lock_due(left, new, with_behind=False) == [left, new]


def test_lock_due_gives_each_event_its_turn_and_what_is_over_the_last():
    many = [new_session(0, place=place) for place in range(4)]
    over = new_session(0, place=4, status="ended")
    one = new_session(0, place=5)
    one.event = Event.objects.create(name="Another conference")
    one.save()
    waiting = [over, *many, one]

    assert lock_due(*waiting, most=2) == [many[0], one]
    assert lock_due(*waiting, most=5) == [*many, one]
    assert lock_due(*waiting, most=6) == [*many, over, one]


def test_lock_due_leaves_what_somebody_holds():
    held, free = new_session(0), new_session(0, place=1)
    holding, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            cursors.lock_alone(held.id)
            holding.set()
            done.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(30)
    try:
        with transaction.atomic():
            assert lock_due(held, free) == [free]
    finally:
        done.set()
        holder.join(30)
    with transaction.atomic():
        assert lock_due(held, free) == [held, free]


def test_waiting_is_limited_only_for_so_long():
    def timeout():
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            return cursor.fetchone()[0]

    before = timeout()
    with transaction.atomic():
        with cursors.limited_waiting(0.3):
            assert timeout() == "300ms"
        assert timeout() == before


def test_load_unjudged_rows_gives_the_oldest_of_each():
    some, all_judged = new_session(10, 0, 5, 15, judged_until=at(0)), new_session(0, place=1, judged_until=at(0))

    rows = cursors.load_unjudged_rows([some.id, all_judged.id], most=2)

    assert [[row.timestamp for row in found] for found in rows] == [[at(5), at(10)], []]
    assert rows[0][0] == EngagementRow.objects.get(session=some, timestamp=at(5))


def test_measure_backlog_tells_how_long_the_oldest_waits():
    new_session(0, 5, judged_until=at(0))
    new_session(0, place=1)

    rows, seconds = cursors.measure_backlog()

    assert rows == 2
    assert seconds == pytest.approx((datetime.now(UTC) - at(0)).total_seconds(), abs=60)


def test_each_move_writes_its_own_cursors_of_its_own_sessions():
    session, other = new_session(), new_session(place=1)
    untouched = read_cursors(other)
    moves = [
        (lambda: cursors.move_heard([session.id], [at(7)], [at(5)], at(9)),
         {"newest_event_at": at(7), "closed_until": at(5), "heard_at": at(9)}),
        (lambda: cursors.move_heard([session.id], [at(8)], [at(5)], at(10)), {"newest_event_at": at(8)}),
        (lambda: cursors.move_closed({session.id: at(10)}), {"closed_until": at(10)}),
        (lambda: cursors.mark_unknown([session.id]), {"detector_state": "UNKNOWN"}),
    ]  # fmt: skip
    expected = read_cursors(session)
    for move, changes in moves:
        move()
        expected |= changes
        assert read_cursors(session) == expected
    assert read_cursors(other) == untouched


def sweep(*sessions: Session, **moved: object) -> None:
    with cursors.sweeping(sessions):
        for session in sessions:
            for name, value in moved.items():
                setattr(session, name, value)


def test_sweeping_writes_what_was_moved_once_and_only_that(django_assert_num_queries):
    session, other, still = new_session(), new_session(place=1), new_session(place=2)
    untouched, expected = read_cursors(still), read_cursors(session)
    for moved in (
        {"judged_until": at(10), "detector_state": "WATCHING", "heard_at": at(12)},
        {"aggregated_until": at(10), "patience_seconds": 8.0},
        {"polling": {"is_open": True, "newest": {"share": 1e-7, "weight": 1.0}}, "patience_seconds": None},
        {"polling": None, "is_behind": True},
        {"is_behind": False, "settled_at": at(15), "forgotten_until": at(14)},
    ):
        with django_assert_num_queries(1):
            sweep(session, other, **moved)
        expected |= moved
        assert read_cursors(session) == read_cursors(other) == expected
    with django_assert_num_queries(0):
        sweep(session, still)
    assert read_cursors(still) == untouched


def test_sweep_that_fails_writes_nothing(django_assert_num_queries):
    session = new_session()
    with django_assert_num_queries(0), pytest.raises(ZeroDivisionError), cursors.sweeping([session]):
        session.judged_until = at(1 / 0)


def test_no_session_has_no_lock():
    for lock in (cursors.lock_shared, cursors.lock_alone):
        with pytest.raises(Session.DoesNotExist):
            lock(UUID(int=1))


def test_neglect_is_how_long_a_session_with_something_to_judge_was_not_looked_at():
    now = datetime.now(UTC)
    session = new_session()
    assert cursors.measure_neglect() == 0
    EngagementRow.objects.create(session=session, timestamp=at(0), received_at=now - timedelta(seconds=90))
    assert cursors.measure_neglect() == pytest.approx(90, abs=30)
    sweep(session, judged_until=at(-5), heard_at=now - timedelta(seconds=40))
    assert cursors.measure_neglect() == pytest.approx(40, abs=30), "it was looked at since, and there is more"
    sweep(session, judged_until=at(0), heard_at=now - timedelta(seconds=40))
    assert cursors.measure_neglect() == 0


def test_a_backlog_is_not_neglected():
    session = new_session()
    EngagementRow.objects.create(session=session, timestamp=at(0), received_at=datetime.now(UTC) - timedelta(hours=1))
    assert cursors.measure_neglect() > 3_000
    sweep(session, is_behind=True)
    assert cursors.measure_neglect() == 0


def test_neglect_counts_closed_windows_that_nobody_looks_at():
    now = datetime.now(UTC)
    session = new_session(source="events", closed_until=at(5), aggregated_until=at(0))
    RawEventRow.objects.create(session=session, timestamp=at(3), type="chat", received_at=now - timedelta(seconds=90))
    RawEventRow.objects.create(session=session, timestamp=at(7), type="chat", received_at=now - timedelta(seconds=900))
    assert cursors.measure_neglect() == pytest.approx(90, abs=30)


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (cursors.FIND_DUE, [10]),
        (cursors.BACKLOG, []),
        (cursors.NEGLECT, []),
        (cursors.SILENT_SINCE, [START, 10]),
        (cursors.UNJUDGED_ROWS.replace("%b", "%s"), [10, [UUID(int=1)]]),
    ],
    ids=["due", "backlog", "neglect", "silent", "rows"],
)
def test_what_waits_is_found_by_an_index_however_many_rows_there_are(query, parameters):
    new_session(0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # which a table of one row is worth
        cursor.execute(f"EXPLAIN {query}", parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert re.search(r"engagement_pkey\b.*\n +Index Cond: \(\(?session_id = ", plan), plan  # plain or by a bitmap
    assert "Seq Scan on engagement e" not in plan
    assert "Seq Scan on raw_events" not in plan


@pytest.mark.django_db
def test_wanted_sessions_are_looked_up_by_their_ids_before_the_table_is_analyzed():
    event = Event.objects.create(name="Conference")
    fields = {"event": event, "title": "Room", "status": "live", "source": "signals"}
    wanted = {(each.id, event.id) for each in Session.objects.bulk_create([Session(**fields) for _ in range(1_000)])}
    with transaction.atomic():
        assert cursors.lock_free(wanted, Session.Source.SIGNALS, alone=False).keys() == {id_ for id_, _ in wanted}
    query = cursors.FIND_FREE.format(lock="FOR SHARE SKIP LOCKED")
    plan = arrays.execute(f"EXPLAIN {query}", *map(list, zip(*wanted, strict=True)), "signals")
    assert not [step for (step,) in plan if "Seq Scan" in step]


@pytest.mark.parametrize(("statement", "most"), [(cursors.LOCK_DUE, ()), (cursors.LOCK_DUE_OF_MANY, (100,))])
def test_sessions_that_are_due_are_found_by_their_ids(statement, most):
    """Of all sessions none is read that does not wait, however many there are."""
    event = Event.objects.create(name="Conference")
    sessions = Session.objects.bulk_create(Session(event=event, title="Talk", status="live") for _ in range(4_000))
    due = [session.id for session in sessions[:200]], False
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ANALYZE engagement_session")
        found = arrays.execute(f"EXPLAIN {statement}", *due, *most)
    plan = "\n".join(line for (line,) in found)
    assert "Index Scan" in plan
    assert "Seq Scan" not in plan
