"""From raw events to incidents: whatever the order, the batches and the moments of the sweeps, the same."""

import signal
import uuid
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from django.conf import settings
from django.db.models import F
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from anomalies.detector.replay import judge_sessions
from anomalies.models import Anomaly
from anomalies.tests.rooms import START, at_minute
from anomalies.watch import timetable_of
from conductor import pipeline, wakeups
from conductor.local.rest_client import RestClient
from conductor.management.commands.replay import replay
from conductor.tests import sweeping
from conductor.tests.waiting import wait_until
from engagement.aggregate import EVENTS_OF_SLOT
from engagement.events import record_events
from engagement.models import ApiKey, EngagementRow, Event, Presence, RawEventRow, RoomState, Session
from engagement.readings import OPTIONAL, Reading
from engagement.recordings import open_recording
from engagement.signs import SWITCHES
from engagement.windows import RawEvent, Windows

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AFTER = at_minute(60 * 24)
CLASS = Path(settings.BASE_DIR).parent / "shared" / "recordings" / "bbb-class.jsonl"


@pytest.fixture(autouse=True)
def flags_down():
    sweeping.begin_anew()


def new_session(**fields) -> Session:
    return Session.objects.create(event=Event.objects.create(name="Conference"), title="Keynote", **fields)


def room(
    minutes: float, audience: int = 60, seed: int = 1, quiet_from: float = 1e9, exit_at: float = 1e9
) -> list[RawEvent]:
    """A room in time order: a chat or reaction and a glance away about every second.

    From the minute `quiet_from` on nobody writes; at the minute `exit_at` four of five leave.
    """
    random = Random(seed)
    events = [RawEvent("join", at_minute(n / 600), f"u{n}") for n in range(audience)]
    events += [RawEvent("focus", at_minute(n / 600), f"u{n}") for n in range(0, audience, 2)]
    second = 6.0
    while (second := second + random.expovariate(2.0)) < minutes * 60:
        is_over = second >= exit_at * 60
        user = f"u{random.randrange(audience // 5 if is_over else audience)}"
        kind = random.choice(["chat", "reaction", "focus", "blur"])
        if kind in ("chat", "reaction") and (second >= quiet_from * 60 or (is_over and random.random() < 0.9)):
            continue
        events.append(RawEvent(kind, START + timedelta(seconds=second), user))
    for n in range(audience // 5, audience):
        left_at = exit_at * 60 + n / 10
        if left_at < minutes * 60:
            events.append(RawEvent("leave", START + timedelta(seconds=left_at), f"u{n}"))
    events.sort(key=lambda event: event.timestamp)
    return [RawEvent(e.type, e.timestamp, e.user, str(number)) for number, e in enumerate(events)]


def conversation(events: list[RawEvent], minutes: int, seed: int = 2) -> list[RawEvent]:
    """The same room, where people also raise hands, switch devices, talk and ask, about twice a second."""
    random = Random(seed)
    people = sorted({event.user for event in events if event.user})
    kinds = [*SWITCHES, "question_asked", "question_vote"]
    moments = [START + timedelta(seconds=half / 2) for half in range(12, 120 * minutes)]
    told = [RawEvent(random.choice(kinds), moment, random.choice(people)) for moment in moments]
    mixed = sorted([*events, *told], key=lambda event: event.timestamp)
    return [RawEvent(e.type, e.timestamp, e.user, str(number)) for number, e in enumerate(mixed)]


def post(session: Session, events: list[RawEvent], now: datetime = LONG_AFTER) -> None:
    for first in range(0, len(events), 1_000):
        record_events(session.id, events[first : first + 1_000], now)


def rows_of(session: Session) -> list[Reading]:
    return [row.reading for row in EngagementRow.objects.for_session(session)]


def kept(session: Session) -> list[dict]:
    fields = ("timestamp", "anomaly_type", "severity", "anomaly_score", "metadata", "resolved_at", "description")
    return list(Anomaly.objects.for_session(session).values(*fields))


def state_of(session: Session) -> str:
    session.refresh_from_db()
    return session.detector_state


def test_rows_and_incidents_are_those_of_the_windows():
    events = room(14, exit_at=10)
    session = new_session()
    post(session, events)
    sweeping.end(session.id, LONG_AFTER)

    windows = Windows()
    windows.add(events)
    rows = windows.finish()
    assert rows_of(session) == rows
    [incident] = judge_sessions({"": (rows, timetable_of(session))})[""]
    [anomaly] = kept(session)
    assert (anomaly["timestamp"], anomaly["anomaly_type"]) == (incident.timestamp, "MASS_EXIT")
    assert anomaly["description"] == incident.description
    assert (Presence.objects.count(), RoomState.objects.count()) == (0, 0)
    assert RawEventRow.objects.count() == len(events)


@pytest.fixture(scope="module")
def undisturbed() -> list:
    return []


@hypothesis_settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_order_doubling_batches_and_sweeps_do_not_matter(undisturbed, seed):
    events = conversation(room(9, audience=40, exit_at=7), minutes=9)
    if not undisturbed:
        session = new_session(lateness_seconds=3)
        post(session, events)
        sweeping.end(session.id, LONG_AFTER)
        undisturbed += [rows_of(session), kept(session)]
        assert len(undisturbed[1]) == 1
        assert None not in [getattr(undisturbed[0][-1], name) for name in OPTIONAL]
    random = Random(seed)
    arrivals = sorted(
        (
            event.timestamp + timedelta(seconds=random.uniform(0, 3) * (copy == 0) + random.uniform(0, 90) * copy),
            n,
            event,
        )
        for n, event in enumerate(events)
        for copy in range(1 + (random.random() < 0.3))
    )
    session = new_session(lateness_seconds=3)
    place = 0
    while place < len(arrivals):
        size = random.choice([1, 7, 100, 400, 1000])
        recorded = record_events(session.id, [event for _, _, event in arrivals[place : place + size]], LONG_AFTER)
        assert recorded.late == 0
        place += size
        if random.random() < 0.5:
            sweeping.sweep_all(LONG_AFTER)
    sweeping.end(session.id, LONG_AFTER)
    assert [rows_of(session), kept(session)] == undisturbed


def test_a_late_event_is_stored_and_changes_nothing():
    events = room(9, audience=40, exit_at=7)
    session, other = new_session(), new_session()
    for one in (session, other):
        post(one, events)
        sweeping.sweep_all(LONG_AFTER)
    before = rows_of(session), kept(session)

    late = [RawEvent("leave", at_minute(3), f"u{n}") for n in range(8)]
    assert record_events(session.id, late, LONG_AFTER).late == 8
    sweeping.tick(LONG_AFTER)

    assert (rows_of(session), kept(session)) == before == (rows_of(other), kept(other))
    assert RawEventRow.objects.filter(late=True).count() == 8


def test_an_ended_session_forgets_who_was_there_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr("engagement.aggregate.FORGET_AT_ONCE", 7)
    session, other = new_session(), new_session()
    for each in (session, other):
        post(each, room(2))
    sweeping.sweep_all(LONG_AFTER)
    rows, n_events = rows_of(session), session.raw_events.count()
    pipeline.end_session(session.id, LONG_AFTER)

    left = [(60, n_events)]
    while Session.objects.get(id=session.id).settled_at is None:
        wakeups.LEFT.add([session.id])
        pipeline.catch_up(LONG_AFTER)
        left.append((session.people.count(), session.raw_events.exclude(user="").count()))

    assert left[-1] == (0, 0)
    assert all(0 <= before - after <= 7 for (_, before), (_, after) in pairwise(left))
    assert rows_of(session)[: len(rows)] == rows
    assert session.raw_events.count() == n_events
    assert (other.people.count(), other.raw_events.filter(user="").count()) == (60, 0)


def test_a_slot_of_very_many_events_is_cut(monkeypatch, caplog):
    monkeypatch.setattr("engagement.aggregate.EVENTS_OF_SLOT", EVENTS_OF_SLOT.replace("50000", "40"))
    monkeypatch.setattr("engagement.aggregate.MOST_IN_SLOT", 40)
    monkeypatch.setattr("conductor.pipeline.MOST_EVENTS", 10)
    session = new_session()
    post(session, [RawEvent("chat", START, f"u{n}") for n in range(90)])
    sweeping.end(session.id, LONG_AFTER)

    assert [row.chat_count for row in rows_of(session)] == [40]
    assert f"session {session.id} has 40 events or more in 5 s" in caplog.text


def test_a_sweep_that_fails_in_the_middle_leaves_all_as_it_was(monkeypatch):
    session = new_session()
    post(session, room(4))
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.watch, "judge_new_rows", lambda *arguments: 1 / 0)
        sweeping.sweep_all(LONG_AFTER)
    session.refresh_from_db()
    assert (session.aggregated_until, rows_of(session), Presence.objects.count()) == (None, [], 0)
    sweeping.begin_anew()

    sweeping.sweep_all(LONG_AFTER)

    session.refresh_from_db()
    assert session.aggregated_until == session.closed_until == session.judged_until
    assert len(rows_of(session)) == 47


def test_silence_lowers_the_rates_by_itself():
    session = new_session()
    events = [RawEvent("join", START, f"u{n}") for n in range(4)] + [RawEvent("chat", at_minute(0.1), "u1")] * 5
    post(session, events, at_minute(0.2))
    for second in range(10, 130, 5):
        sweeping.tick(START + timedelta(seconds=second))

    rows = rows_of(session)
    assert [row.timestamp for row in rows] == [START + timedelta(seconds=5 * n) for n in range(1, 25)]
    assert [row.chat_msgs_per_min for row in rows] == [None, *[5] * 12, *[0] * 11]
    assert rows[-1].total_users == 4


def test_a_recording_is_never_closed_by_the_clock():
    session = new_session()
    post(session, room(4))
    sweeping.tick(LONG_AFTER)
    sweeping.tick(LONG_AFTER + timedelta(minutes=30))
    assert len(rows_of(session)) == 47
    sweeping.end(session.id, LONG_AFTER + timedelta(hours=1))
    assert rows_of(session)[-1].timestamp == at_minute(4)


def play(session: Session, events: list[RawEvent], since: float, until: float) -> None:
    """Let minutes pass as they do live: what happened is posted every 5 s, and so often is the tick."""
    for step in range(round(since * 12), round(until * 12)):
        slot = [e for e in events if at_minute(step / 12) <= e.timestamp < at_minute((step + 1) / 12)]
        if slot:
            record_events(session.id, slot, at_minute((step + 1) / 12))
        sweeping.tick(at_minute((step + 1) / 12) + timedelta(seconds=2))


def test_a_source_that_dies_in_a_lively_room_is_no_collapse():
    session = new_session()
    events = room(12)
    play(session, [e for e in events if e.timestamp < at_minute(8)], 0, 8)
    assert state_of(session) == "WATCHING"

    play(session, [], 8, 9)

    assert state_of(session) == "UNKNOWN"
    assert rows_of(session)[-1].timestamp <= at_minute(8) + timedelta(seconds=5)
    play(session, [e for e in events if e.timestamp >= at_minute(10)], 9, 12)
    assert state_of(session) == "WATCHING"
    gap = [row for row in rows_of(session) if at_minute(8.2) < row.timestamp < at_minute(10.9)]
    assert (gap, kept(session)) == ([], [])


def test_what_a_source_held_back_is_not_late():
    """The clock waits for a lively room, so an integrator that was cut off may send what it kept."""
    session, twin = new_session(), new_session()
    events = room(12)
    play(session, [e for e in events if e.timestamp < at_minute(8)], 0, 10)
    post(session, [e for e in events if e.timestamp >= at_minute(8)], at_minute(12))
    post(twin, events)
    for one in (session, twin):
        sweeping.end(one.id, at_minute(12))
    assert RawEventRow.objects.filter(session=session, late=True).count() < 10
    assert abs(rows_of(session)[-1].chat_msgs_per_min - rows_of(twin)[-1].chat_msgs_per_min) == 0
    assert kept(session) == kept(twin) == []


def test_a_room_that_stops_talking_is_judged_as_ever():
    session = new_session()
    play(session, room(12, quiet_from=8), 0, 12)

    [anomaly] = kept(session)
    assert anomaly["anomaly_type"] in ("SUDDEN_DROP", "LOW_ENGAGEMENT")
    assert at_minute(8) < anomaly["timestamp"] <= at_minute(9)
    assert state_of(session) == "WATCHING"


def test_a_quiet_room_that_falls_silent_goes_on():
    session = new_session()
    events = [RawEvent("join", START, f"u{n}") for n in range(5)]
    events += [RawEvent("chat", at_minute(n / 2), f"u{n % 5}") for n in range(1, 17)]
    play(session, events, 0, 12)

    rows = rows_of(session)
    assert [row.timestamp for row in rows] == [START + timedelta(seconds=5 * n) for n in range(1, 145)]
    assert rows[-1].chat_msgs_per_min == 0
    assert state_of(session) == "WATCHING"


def test_a_platform_that_tells_of_connections_only_is_not_dead():
    session = new_session()
    random = Random(3)
    events = [RawEvent("join", at_minute(n / 30), f"u{n}") for n in range(60)]
    events += [RawEvent("leave", at_minute(3 + n), f"u{random.randrange(60)}") for n in range(9)]
    post(session, events)
    sweeping.end(session.id, LONG_AFTER)

    assert {row.chat_msgs_per_min for row in rows_of(session)} == {None}
    assert {row.active_users for row in rows_of(session)} == {None}
    assert kept(session) == []


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(stack):
    stack.stop("worker")
    event = Event.objects.create(name="Conference")
    ids = [uuid.UUID(int=place + 1) for place in range(4)]
    sessions = [Session.objects.create(id=id_, event=event, title="Room") for id_ in ids]
    stories = [room(50, seed=seed, exit_at=40) for seed in range(4)]
    for session, events in zip(sessions, stories, strict=True):
        post(session, events)
    behind = Session.objects.filter(aggregated_until__lt=F("closed_until"))

    stack.launch_worker()
    wait_until(behind.exists, seconds=60)
    stack.processes["worker"].send_signal(signal.SIGKILL)
    stack.processes.pop("worker").wait()
    assert behind.exists(), "the worker was killed in the middle of its work"
    stack.start_worker()
    wait_until(lambda: Session.objects.filter(aggregated_until=F("closed_until")).count() == 4, seconds=90)

    for session, events in zip(sessions, stories, strict=True):
        windows = Windows()
        windows.add(events)
        rows = windows.advance()
        assert rows_of(session) == rows
        [incident] = judge_sessions({"": (rows, timetable_of(session))})[""]
        assert [anomaly["timestamp"] for anomaly in kept(session)] == [incident.timestamp]


@pytest.mark.skipif(not CLASS.exists(), reason=f"NO RECORDING: {CLASS} is not there, so no real class was replayed")
@pytest.mark.parametrize("has_ends_at", [True, False])
def test_a_real_class_gives_no_alarm(stack, has_ends_at):
    events = open_recording(CLASS).events
    event = Event.objects.create(name="Course")
    _, key = ApiKey.objects.issue(event, "replay")
    end = events[-1].timestamp
    session = Session.objects.create(event=event, title="Class", ends_at=end if has_ends_at else None)
    client = RestClient(stack.url, key)
    try:
        done = replay(events, client, str(session.id), speed=0)
        client.post(f"/sessions/{session.id}/end", {})
    finally:
        client.close()
    wait_until(lambda: Session.objects.get(id=session.id).settled_at is not None, seconds=60)

    windows = Windows()
    windows.add(events)
    assert (done.accepted, done.late) == (len(events), 0)
    assert rows_of(session) == windows.finish()
    assert kept(session) == []


def test_silence_until_an_end_that_was_told_of_is_silence():
    """As it would have been while the session went on; of an end that nobody told of, the rows end with the events."""
    events = [RawEvent("join", START, f"u{n}") for n in range(4)] + [RawEvent("chat", at_minute(0.1), "u1")] * 5
    live = new_session()
    post(live, events, at_minute(0.2))
    for second in range(10, 130, 5):
        sweeping.tick(START + timedelta(seconds=second))
    told, not_told = new_session(), new_session()
    for session in (told, not_told):
        post(session, events)
    for session in (live, told):
        pipeline.end_session(session.id, at_minute(2), heard_until=at_minute(2))
    pipeline.end_session(not_told.id, at_minute(2))
    sweeping.sweep_all(LONG_AFTER)

    assert rows_of(told) == rows_of(live)
    assert len(rows_of(told)) == 24
    assert rows_of(not_told) == rows_of(told)[:2]
