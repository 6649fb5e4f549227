"""The sweep and the tick: whatever is delivered, doubled, lost or killed, the anomalies are the same."""

import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction

from anomalies.detector.state import VERSION
from anomalies.models import Anomaly, DetectorMemory
from anomalies.tests.rooms import at_minute, collapse, healthy_room, silence
from conductor import carrier, pipeline, tasks, wakeups
from conductor.tests import sweeping
from conductor.tests.sweeping import sweep_all, tick
from engagement import cursors
from engagement.ingest import SessionEnded, record_rows
from engagement.models import Event, Session
from engagement.sessions import ENDS_AFTER, find_long_silent

pytestmark = pytest.mark.django_db(transaction=True)

NOW = at_minute(60)


@pytest.fixture
def event():
    return Event.objects.create(name="Conference")


@pytest.fixture(autouse=True)
def flags_down(monkeypatch):
    sweeping.begin_anew()
    monkeypatch.setattr(tasks, "STAY_SECONDS", tasks.ADVANCE_SECONDS)  # nothing more comes


def new_session(event, **fields):
    return Session.objects.create(event=event, title="Keynote", **fields)


def kept(session):
    fields = ("timestamp", "anomaly_type", "severity", "anomaly_score", "metadata", "resolved_at", "description")
    return list(Anomaly.objects.for_session(session).values(*fields))


def rows_of_a_story():
    return collapse(silence(healthy_room(minutes=22), at_minute(8), at_minute(11)), at_minute(18))


@pytest.fixture
def undisturbed(event):
    """What one sweep over all rows at once keeps."""
    session = new_session(event)
    record_rows(session.id, rows_of_a_story(), NOW)
    sweep_all(NOW)
    assert len(kept(session)) == 2
    return kept(session)


def test_tasks_delivered_twice_or_in_any_order_keep_the_same_anomalies(event, undisturbed):
    session, rows = new_session(event), rows_of_a_story()
    for first in range(0, len(rows), 50):
        record_rows(session.id, rows[first : first + 50], NOW)
        for task in (tasks.advance, tasks.advance, tasks.catch_up, tasks.advance, tasks.catch_up):
            wakeups.DUE.add([session.id])
            task()
    sweep_all(NOW)
    assert kept(session) == undisturbed


def test_two_workers_at_once_keep_the_same_anomalies(event, undisturbed):
    session, rows = new_session(event), rows_of_a_story()
    recorded = threading.Event()
    errors = []

    def work():
        try:
            while not recorded.is_set() or Session.objects.get(id=session.id).judged_until != rows[-1].timestamp:
                sweeping.sweep_all(NOW)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for first in range(0, len(rows), 5):
        record_rows(session.id, rows[first : first + 5], NOW)
    recorded.set()
    for worker in workers:
        worker.join(timeout=60)
    assert not any(worker.is_alive() for worker in workers)
    assert errors == []
    assert kept(session) == undisturbed


def test_sweep_that_fails_in_the_middle_leaves_the_state_before(event, undisturbed, monkeypatch):
    session = new_session(event)
    record_rows(session.id, rows_of_a_story(), NOW)
    with monkeypatch.context() as patch:
        patch.setattr(Anomaly.objects, "bulk_create", lambda rows: 1 / 0)
        sweeping.sweep_all(NOW)
    session.refresh_from_db()
    assert session.judged_until < at_minute(8), "up to where the sweep began that found something"
    assert kept(session) == []
    sweeping.begin_anew()
    sweeping.sweep_all(NOW)
    assert kept(session) == undisturbed


def test_sweep_leaves_a_session_that_somebody_holds_and_comes_back_to_it(event):
    held, free = new_session(event), new_session(event)
    for session in (held, free):
        record_rows(session.id, healthy_room(minutes=1), NOW)
    holding, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            cursors.lock_alone(held.id)
            holding.set()
            done.wait(30)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(30)
    wakeups.DUE.add([held.id, free.id])
    assert pipeline.advance(NOW)
    assert Session.objects.get(id=free.id).judged_until is not None
    assert Session.objects.get(id=held.id).judged_until is None
    assert wakeups.DUE.peek(10) == [held.id]
    done.set()
    holder.join(30)
    assert pipeline.advance(NOW)
    assert Session.objects.get(id=held.id).judged_until is not None
    assert not pipeline.advance(NOW)


def test_rows_that_arrive_during_a_sweep_are_due_after_it(event, monkeypatch):
    session, rows = new_session(event), healthy_room(minutes=4)
    record_rows(session.id, rows[:10], NOW)
    wakeups.DUE.add([session.id])
    announce = pipeline.live.announce

    def late_post(changes, now):
        record_rows(session.id, rows[10:20], NOW)
        wakeups.DUE.add([session.id])
        announce(changes, now)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.live, "announce", late_post)
        pipeline.advance(NOW)
    session.refresh_from_db()
    assert session.judged_until == rows[9].timestamp
    assert wakeups.DUE.peek(10) == [session.id]
    pipeline.advance(NOW)
    session.refresh_from_db()
    assert session.judged_until == rows[19].timestamp


@pytest.mark.parametrize("gone", ["erased", "settled", "unknown"])
def test_whom_nothing_waits_for_any_more_leaves_the_queue(event, gone):
    session = new_session(event)
    record_rows(session.id, healthy_room(minutes=1), NOW)
    wakeups.DUE.add([session.id])
    if gone == "erased":
        Session.objects.filter(id=session.id).update(erased_at=NOW, settled_at=NOW, status="ended")
    elif gone == "settled":
        Session.objects.filter(id=session.id).update(settled_at=NOW, status="ended")
    else:
        session.delete()

    assert pipeline.advance(NOW)
    assert wakeups.DUE.peek(10) == []


def test_worker_rests_between_two_sweeps_and_not_before_the_first(event, monkeypatch):
    rests = []
    monkeypatch.setattr(tasks.time, "sleep", rests.append)
    monkeypatch.setattr(tasks, "_swept_at", [float("-inf")])
    monkeypatch.setattr(tasks, "REST_SECONDS", 600.0)
    session = new_session(event)
    record_rows(session.id, healthy_room(minutes=1), NOW)
    wakeups.DUE.add([session.id])
    tasks.advance()
    assert rests[0] == 0.0
    assert all(500 < rest <= 600 for rest in rests[1:])
    tasks.advance()
    assert len(rests) > 1


@pytest.fixture
def sent(monkeypatch):
    """The tasks that are sent, in their order, each with whether a transaction was open."""
    sent = []
    for task in (tasks.advance, tasks.catch_up):
        send = lambda args, task=task, **options: sent.append((task, connection.in_atomic_block))  # noqa: E731
        monkeypatch.setattr(task, "apply_async", send)
    return sent


def test_wake_sends_one_task_for_many_posts_of_many_sessions(event, sent):
    sessions = [new_session(event) for _ in range(3)]
    for session in sessions * 3:
        record_rows(session.id, healthy_room(minutes=1), NOW)
        tasks.wake([session.id])
    assert sent == [(tasks.advance, False)]
    assert wakeups.DUE.peek(10) == [session.id for session in sessions]
    tasks.advance()
    assert [session.judged_until is None for session in Session.objects.all()] == [False] * 3
    tasks.wake([sessions[0].id])
    assert len(sent) == 2


def test_where_one_worker_cannot_do_it_all_the_next_is_called_and_no_more_than_one_waits(event, sent, monkeypatch):
    monkeypatch.setattr(tasks, "MANY", 3)
    monkeypatch.setattr(tasks.pipeline, "advance", lambda now: False)  # nothing gets done
    wakeups.DUE.add([new_session(event).id for _ in range(3)])
    for number in range(1, 4):
        tasks.advance()
        assert len(sent) == number, "whoever begins has sent for one, and whoever ends for none beside it"


def test_where_one_worker_is_enough_none_is_called_before_it_ends(event, sent, monkeypatch):
    session = new_session(event)
    wakeups.DUE.add([session.id])
    monkeypatch.setattr(tasks.pipeline, "advance", lambda now: tasks.wake([session.id]))
    tasks.advance()
    assert sent == [(tasks.advance, False)]


def test_whoever_sweeps_alone_sees_what_comes_meanwhile_and_nobody_else_is_sent_for(event, sent, monkeypatch):
    session, swept = new_session(event), []

    def sweep(now):
        wakeups.DUE.remove(swept)
        swept.append(session.id)
        if len(swept) < 4:
            tasks.wake([session.id])  # right after it has looked
        return False

    monkeypatch.setattr(tasks, "REST_SECONDS", 0.0)
    monkeypatch.setattr(tasks, "STAY_SECONDS", 60.0)
    monkeypatch.setattr(tasks, "ADVANCE_SECONDS", 60.0)
    monkeypatch.setattr(wakeups, "MOST_WAITING_SECONDS", 0.05)
    monkeypatch.setattr(tasks.pipeline, "advance", sweep)
    tasks.advance()
    assert (len(swept), sent) == (4, [])
    tasks.wake([session.id])
    assert sent == [(tasks.advance, False)], "whoever has gone sees nothing"


def test_who_waits_is_told_of_what_is_there_and_takes_nothing_out_of_its_turn():
    first, second = uuid.uuid4(), uuid.uuid4()
    wakeups.DUE.add([first])
    wakeups.DUE.add([second])
    assert wakeups.DUE.await_some(2.0, b"ours")
    assert wakeups.DUE.peek(10) == [first, second]
    wakeups.DUE.remove([first, second])
    assert not wakeups.DUE.await_some(0.0001, b"ours"), "Redis would take that for no limit"


def test_who_is_killed_while_waiting_is_soon_replaced(monkeypatch):
    monkeypatch.setattr(carrier, "WAIT_SECONDS", 4.0)
    assert wakeups.DUE.hold(b"ours")
    assert not wakeups.DUE.await_some(0.01, b"ours")
    with carrier.reach() as client:
        assert 0 < client.pttl("conductor:due:sent") <= 4_010


def test_who_finds_another_at_work_sweeps_and_leaves_without_a_trace(event, sent, monkeypatch):
    monkeypatch.setattr(tasks, "STAY_SECONDS", 60.0)
    session = new_session(event)
    record_rows(session.id, healthy_room(minutes=1), NOW)
    wakeups.DUE.add([session.id])
    assert wakeups.DUE.hold(b"another")
    tasks.advance()
    session.refresh_from_db()
    assert session.judged_until is not None
    tasks.wake([session.id])
    assert sent == [], "the other one sees what comes"
    wakeups.DUE.release(b"another")
    tasks.wake([session.id])
    assert sent == [(tasks.advance, False)]


def test_a_task_that_is_delivered_again_is_the_same_one():
    assert wakeups.DUE.hold(b"ours")
    assert wakeups.DUE.hold(b"ours")
    assert not wakeups.DUE.hold(b"another")


def test_who_has_left_something_does_not_wait_for_more(event, sent, monkeypatch):
    monkeypatch.setattr(tasks, "STAY_SECONDS", 60.0)
    monkeypatch.setattr(tasks, "ADVANCE_SECONDS", 60.0)
    session = new_session(event)
    record_rows(session.id, healthy_room(minutes=5), NOW)
    wakeups.DUE.add([session.id])
    tasks.advance()
    assert sent == [(tasks.catch_up, False)]


def test_a_sweep_settles_some_of_the_sessions_that_ended_together(event, monkeypatch):
    monkeypatch.setattr(pipeline, "SETTLED_A_SWEEP", 2)
    sessions = [new_session(event, status="live", source="signals") for _ in range(5)]
    for session in sessions:
        pipeline.end_session(session.id, NOW)
    wakeups.DUE.add([session.id for session in sessions])
    settled = []
    for _ in range(3):
        assert pipeline.advance(NOW) or pipeline.catch_up(NOW)
        settled.append(Session.objects.exclude(settled_at=None).count())
    assert settled == [2, 4, 5]


def test_wake_waits_for_the_commit(event, sent):
    session = new_session(event)
    with transaction.atomic():
        tasks.wake([session.id])
        assert (sent, wakeups.DUE.peek(1)) == ([], [])
    assert sent == [(tasks.advance, False)]


def test_wake_survives_a_redis_that_is_away(event, settings):
    there, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    session = new_session(event)
    record_rows(session.id, healthy_room(minutes=2), NOW)
    tasks.wake([session.id])
    settings.REDIS_URL = there
    assert wakeups.DUE.peek(1) == []
    sweeping.sweep_all(NOW)
    session.refresh_from_db()
    assert session.judged_until is not None


def test_tick_sweeps_what_was_never_woken(event, undisturbed):
    session = new_session(event)
    record_rows(session.id, rows_of_a_story(), NOW)
    tick(NOW)
    assert kept(session) == undisturbed


def test_tick_notices_silence_and_rows_end_it(event):
    session, rows = new_session(event), healthy_room(minutes=10)
    record_rows(session.id, rows[:60], NOW)
    tick(NOW)
    tick(NOW + timedelta(seconds=59))
    session.refresh_from_db()
    assert session.detector_state == "WATCHING"
    tick(NOW + timedelta(seconds=61))
    session.refresh_from_db()
    assert session.detector_state == "UNKNOWN"
    record_rows(session.id, rows[60:], NOW + timedelta(seconds=70))
    tick(NOW + timedelta(seconds=70))
    session.refresh_from_db()
    assert session.detector_state == "WATCHING"


def test_tick_tells_of_a_known_silence_where_somebody_looks_and_asks_nothing_of_the_others(event, monkeypatch):
    sessions = [new_session(event) for _ in range(3)]
    for session in sessions:
        record_rows(session.id, healthy_room(minutes=1), NOW)
    tick(NOW)
    told = []
    monkeypatch.setattr(pipeline.live, "announce", lambda changes, now: told.append({c.session_id for c in changes}))
    later = NOW + timedelta(seconds=61)
    tick(later)
    assert told == [{session.id for session in sessions}]
    tick(later + timedelta(seconds=5))
    assert len(told) == 1
    monkeypatch.setattr(pipeline.live, "find_watched", lambda: {sessions[1].id})
    tick(later + timedelta(seconds=10))
    assert told[1:] == [{sessions[1].id}]


def test_tick_ends_a_session_after_four_hours_of_silence(event):
    session = new_session(event)
    record_rows(session.id, collapse(healthy_room(minutes=12), at_minute(10)), NOW)
    tick(NOW)
    tick(NOW + timedelta(hours=3, minutes=59))
    session.refresh_from_db()
    assert session.status == "live"
    tick(NOW + timedelta(hours=4, minutes=1))
    session.refresh_from_db()
    assert session.status == "ended"
    assert kept(session)[0]["resolved_at"] is not None


def test_end_session_judges_what_is_new_and_takes_no_more(event, undisturbed):
    session = new_session(event)
    record_rows(session.id, rows_of_a_story(), NOW)
    ended = pipeline.end_session(session.id, NOW)
    assert (ended.status, kept(session)) == ("ended", [])
    sweep_all(NOW)
    assert [a["timestamp"] for a in kept(session)] == [a["timestamp"] for a in undisturbed]
    assert all(a["resolved_at"] for a in kept(session))
    with pytest.raises(SessionEnded):
        record_rows(session.id, healthy_room(minutes=1), NOW)
    assert pipeline.end_session(session.id, NOW + timedelta(hours=1)).ended_at == NOW


def test_end_takes_no_more_time_for_more_rows(event, django_assert_num_queries):
    short, long = new_session(event), new_session(event)
    record_rows(short.id, healthy_room(minutes=1), NOW)
    record_rows(long.id, healthy_room(minutes=40), NOW)
    with django_assert_num_queries(5):
        pipeline.end_session(short.id, NOW)
    with django_assert_num_queries(5):
        pipeline.end_session(long.id, NOW)


def test_an_ended_session_is_settled_once_it_is_judged_to_its_end(event):
    session = new_session(event)
    record_rows(session.id, healthy_room(minutes=12), NOW)
    pipeline.end_session(session.id, NOW)
    session.refresh_from_db()
    assert session.is_settling
    while session.settled_at is None:
        wakeups.LEFT.add([session.id])
        assert pipeline.catch_up(NOW)
        session.refresh_from_db()
        assert wakeups.LEFT.peek(1) == ([] if session.settled_at else [session.id])
    assert session.judged_until == healthy_room(minutes=12)[-1].timestamp
    assert not session.is_settling


def test_what_a_sweep_leaves_is_sent_for_behind_all_others(event, undisturbed, sent, monkeypatch, settings):
    monkeypatch.setattr(tasks, "CATCH_UP_SECONDS", 1e-9)  # one sweep, and then it is another's turn
    monkeypatch.setattr(pipeline, "ROWS_LEFT_A_SWEEP", 0)  # as where many have left some
    session = new_session(event)
    record_rows(session.id, rows_of_a_story(), NOW)
    tasks.wake([session.id])
    sweeps = []
    while sent:
        task, _ = sent.pop(0)
        sweeps.append(settings.CELERY_TASK_ROUTES[task.name]["priority"])
        task()
    assert sweeps == [3] + [6] * ((len(rows_of_a_story()) - pipeline.FEW_ROWS) // pipeline.MANY_ROWS + 1)
    assert kept(session) == undisturbed


def test_what_few_sessions_have_left_is_judged_in_larger_steps(event, undisturbed, monkeypatch):
    sessions = [new_session(event) for _ in range(2)]
    for session in sessions:
        record_rows(session.id, rows_of_a_story(), NOW)
    monkeypatch.setattr(pipeline, "ROWS_LEFT_A_SWEEP", 2 * (pipeline.MANY_ROWS + 5))
    wakeups.LEFT.add([session.id for session in sessions])
    assert pipeline.catch_up(NOW)
    for session in sessions:
        session.refresh_from_db()
        assert session.judged_until == rows_of_a_story()[pipeline.MANY_ROWS + 4].timestamp
    sweep_all(NOW)
    assert kept(sessions[0]) == undisturbed


@pytest.mark.parametrize(("waiting", "swept"), [(2, 2), (7, 2), (12, 3), (40, 4)])
def test_where_more_wait_a_sweep_takes_more_of_them(event, monkeypatch, waiting, swept):
    monkeypatch.setattr(pipeline, "SESSIONS_A_SWEEP", 2)
    monkeypatch.setattr(pipeline, "MOST_SESSIONS_A_SWEEP", 4)
    sessions = [new_session(event) for _ in range(waiting)]
    for session in sessions:
        record_rows(session.id, healthy_room(minutes=1)[:1], NOW)
    wakeups.DUE.add([session.id for session in sessions])
    assert pipeline.advance(NOW)
    assert Session.objects.exclude(judged_until=None).count() == swept
    while pipeline.advance(NOW):
        pass
    assert not Session.objects.filter(judged_until=None).exists()


def test_who_sends_little_is_judged_before_the_rest_of_who_sends_much(event):
    """In one sweep, however much of another event waits before it."""
    floods = [new_session(event) for _ in range(250)]
    for flood in floods:
        record_rows(flood.id, healthy_room(minutes=4), NOW)
    session = new_session(Event.objects.create(name="Another"))
    [row] = healthy_room(minutes=1)[:1]
    record_rows(session.id, [row], NOW)
    wakeups.DUE.add([flood.id for flood in floods])
    wakeups.DUE.add([session.id])

    pipeline.advance(NOW)

    session.refresh_from_db()
    assert session.judged_until == row.timestamp
    judged = Session.objects.filter(event=event, judged_until__isnull=False)
    assert judged.count() == pipeline.SESSIONS_A_SWEEP - 1
    assert {each.judged_until for each in judged} == {healthy_room(minutes=4)[pipeline.FEW_ROWS - 1].timestamp}

    # From now on they wait behind all others, whatever else they send.
    left = set(Session.objects.filter(is_behind=True).values_list("id", flat=True))
    assert set(wakeups.LEFT.peek(300)) == left == {each.id for each in judged}
    sweeping.empty(wakeups.LEFT)
    due, found_left = pipeline.tick(NOW)
    assert set(found_left) == left
    assert set(due) == {flood.id for flood in floods} - left
    wakeups.DUE.add([*left, *due])
    while pipeline.advance(NOW):
        pass
    assert {each.judged_until for each in judged.all()} == {healthy_room(minutes=4)[pipeline.FEW_ROWS - 1].timestamp}
    assert set(wakeups.LEFT.peek(300)) == {flood.id for flood in floods}
    sweep_all(NOW)
    assert not Session.objects.filter(is_behind=True).exists()


def test_a_session_that_cannot_be_judged_stops_no_other(event, undisturbed, caplog):
    broken = new_session(event)
    session = new_session(event)
    for each in (broken, session):
        record_rows(each.id, rows_of_a_story(), NOW)
    DetectorMemory.objects.create(session=broken, version=VERSION, state=b"nonsense", updated_at=NOW)

    sweeping.sweep_all(NOW)

    assert (kept(session), kept(broken)) == (undisturbed, [])
    assert caplog.text.count(f"Session {broken.id} cannot be judged") == 1
    DetectorMemory.objects.filter(session=broken).delete()
    assert pipeline._set_aside[broken.id] > time.monotonic() + pipeline.SET_ASIDE_SECONDS / 2
    pipeline._set_aside[broken.id] = time.monotonic()  # a while later
    sweeping.sweep_all(NOW)
    assert kept(broken) == undisturbed


def test_ticks_that_have_piled_up_are_one(monkeypatch, caplog):
    made = []
    monkeypatch.setattr(tasks.pipeline, "tick", lambda now: made.append(now) or ([], []))
    for _ in range(20):
        tasks.tick()
    assert len(made) == 1


def test_a_session_whose_rows_wait_is_not_silent(event):
    """While no worker ran for five hours it was sent rows, and nobody has heard them."""
    session = new_session(event)
    record_rows(session.id, healthy_room(minutes=2), NOW)
    tick(NOW)
    record_rows(session.id, healthy_room(minutes=3)[24:], NOW + timedelta(hours=4))
    assert pipeline.tick(NOW + timedelta(hours=5)) == ([session.id], [])
    session.refresh_from_db()
    assert session.status == "live"


def test_recording_of_the_past_stays_live_until_it_is_ended(event):
    session = new_session(event, ends_at=at_minute(5))
    record_rows(session.id, healthy_room(minutes=10), NOW + timedelta(days=200))
    tick(NOW + timedelta(days=200))
    session.refresh_from_db()
    assert session.status == "live"


def test_late_row_is_stored_and_not_judged(event, undisturbed):
    session, rows = new_session(event), rows_of_a_story()
    record_rows(session.id, [*rows[:100], *rows[101:]], NOW)
    sweep_all(NOW)
    before = kept(session)
    recorded = record_rows(session.id, [rows[100]], NOW)
    assert (recorded.accepted, recorded.late) == (1, 1)
    sweep_all(NOW)
    assert kept(session) == before


def test_session_that_has_not_begun_by_its_plan_is_not_over(event):
    """Though somebody looked in a day before, as visitors of an event's page do."""
    before = NOW - timedelta(hours=20)
    plan = {"event": event, "status": "live", "source": "events", "heard_at": before, "judged_until": before}
    early = Session.objects.create(title="Tomorrow", starts_at=NOW, **plan)
    over = Session.objects.create(title="Now", starts_at=before, **plan)
    assert find_long_silent(NOW - timedelta(minutes=5), 10) == [over.id]
    assert find_long_silent(NOW + ENDS_AFTER, 10) == [over.id]
    assert set(find_long_silent(NOW + ENDS_AFTER + timedelta(seconds=1), 10)) == {over.id, early.id}
