"""A stalled integrator opens no incident and is shown as what it is: real rows, judged as a worker judges them."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from anomalies.models import Anomaly
from anomalies.tests.rooms import SLOT, at_minute, healthy_room
from conductor import live
from conductor.screens.doubts import Doubt, DoubtKind, find_doubt
from conductor.screens.rooms import RoomCard, show_rooms
from conductor.screens.session import render_session, show_session
from conductor.screens.standing import Choice
from conductor.tests import sweeping
from conductor.tests.test_events_pipeline import play, post, room
from conductor.tests.told import Told
from engagement.events import record_events
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Session
from engagement.readings import Reading
from engagement.windows import RawEvent

pytestmark = pytest.mark.django_db(transaction=True)

LIVELY = healthy_room(minutes=10, audience=400, chats_per_head=0.2)
CHECK = "Check the integration"


@pytest.fixture
def session(event) -> Session:
    return Session.objects.create(event=event, title="Keynote")


def judge(session: Session, readings: list[Reading]) -> datetime:
    """Post rows as they are measured and let a worker judge them; return the moment."""
    now = readings[-1].timestamp
    record_rows(session.id, readings, now)
    sweeping.sweep_all(now)
    return now


def losing_events(minutes: float) -> list[Reading]:
    """A lively room whose platform counts nothing any more, not even who looks away, from minute 10 on."""
    return healthy_room(minutes=minutes, audience=400, chats_per_head=0.2, lost_from=10)


def standing_still(readings: list[Reading], slots: int) -> list[Reading]:
    """What follows when every counter freezes."""
    last = readings[-1]
    return [replace(last, timestamp=last.timestamp + place * SLOT) for place in range(1, slots + 1)]


def shown(session: Session, now: datetime) -> str:
    session.refresh_from_db()
    return render_session(show_session(session, now))


def card(session: Session, now: datetime) -> RoomCard:
    [room] = show_rooms(Session.objects.filter(id=session.id), Choice(), now).rooms
    return room


def doubt_of(session: Session, now: datetime) -> Doubt | None:
    """Return the doubt that page and list agree on."""
    session.refresh_from_db()
    doubt = show_session(session, now).doubt
    assert card(session, now).doubt == doubt
    return doubt


def test_a_healthy_room_is_not_doubted(session):
    now = judge(session, LIVELY)
    assert doubt_of(session, now) is None


def test_rows_that_stop_are_no_data(session):
    now = judge(session, LIVELY) + timedelta(seconds=65)
    sweeping.tick(now)

    assert doubt_of(session, now) == Doubt(DoubtKind.SILENT, timedelta(seconds=65))
    page = shown(session, now)
    assert 'data-kind="silent"' in page
    assert "<strong>No data for 1 min 5 s.</strong> Check that your platform still posts" in page
    assert card(session, now).kind == "silent"
    assert not Anomaly.objects.exists()


def test_a_screen_is_told_again_and_again_for_how_long(session):
    now = judge(session, LIVELY)
    sweeping.tick(now + timedelta(seconds=61))
    screen = Told(live.dashboard_group(session.id))
    sweeping.tick(now + timedelta(minutes=3))
    page = "".join(screen.frames())
    assert "No data for 3 min" in page


def test_rows_that_contradict_one_another_are_not_believed(session):
    now = judge(session, losing_events(10.5))

    assert doubt_of(session, now) == Doubt(DoubtKind.UNTRUE)
    page = shown(session, now)
    assert 'data-kind="doubtful"' in page
    assert "<strong>The numbers cannot be true.</strong> Rows still arrive" in page
    assert CHECK in page
    assert "No data" not in page
    assert card(session, now).kind == "doubtful"
    assert not Anomaly.objects.exists()


def test_numbers_that_stand_still_are_told_of_with_how_long(session):
    now = judge(session, losing_events(12.5))

    assert doubt_of(session, now).kind == DoubtKind.FROZEN
    assert timedelta(seconds=85) <= doubt_of(session, now).lasted <= timedelta(seconds=95)
    page = shown(session, now)
    assert "The numbers have not moved for 1 min" in page
    assert CHECK in page
    assert "data-stale" in page
    assert not Anomaly.objects.exists()


def test_frozen_counters_are_told_of(session):
    frozen = standing_still(LIVELY, slots=24)
    now = judge(session, LIVELY + frozen)

    assert doubt_of(session, now) == Doubt(DoubtKind.FROZEN, timedelta(minutes=2))
    assert "The numbers have not moved for 2 min." in shown(session, now)
    assert not Anomaly.objects.exists()


def test_frozen_counters_that_stop_altogether_are_no_data(session):
    now = judge(session, losing_events(12.5))
    screen = Told(live.dashboard_group(session.id))
    now += timedelta(seconds=70)
    sweeping.tick(now)

    assert doubt_of(session, now) == Doubt(DoubtKind.SILENT, timedelta(seconds=70))
    page = "".join(screen.frames())
    assert "No data for 1 min 10 s" in page


def test_numbers_that_move_again_end_the_doubt(session):
    judge(session, losing_events(11))
    lively = healthy_room(seed=1, minutes=12, audience=400, chats_per_head=0.2)
    now = judge(session, [row for row in lively if row.timestamp > at_minute(11)])
    assert doubt_of(session, now) is None


def test_one_absurd_row_is_neither_an_incident_nor_a_doubt(session):
    absurd = [replace(LIVELY[-1], timestamp=LIVELY[-1].timestamp + SLOT, chat_msgs_per_min=0.0, active_users=0)]
    lively = healthy_room(minutes=11, audience=400, chats_per_head=0.2)
    for readings in (LIVELY, absurd, lively[len(LIVELY) + 1 :]):
        assert doubt_of(session, judge(session, readings)) is None
    assert not Anomaly.objects.exists()


def test_a_source_of_raw_events_that_dies_is_no_data_since_its_newest_event(session):
    events = [event for event in room(8) if event.timestamp < at_minute(8)]
    play(session, events, 0, 8.75)
    session.refresh_from_db()
    now = at_minute(8.75) + timedelta(seconds=2)
    assert now - session.heard_at < timedelta(seconds=60)
    assert doubt_of(session, now) == Doubt(DoubtKind.SILENT, now - session.newest_event_at)
    later = now + timedelta(minutes=10)
    sweeping.tick(later)
    assert doubt_of(session, later) == Doubt(DoubtKind.SILENT, later - session.newest_event_at)


def test_raw_events_of_last_spring_are_not_silent_since_then(session):
    in_autumn = at_minute(60 * 24 * 200)
    now = in_autumn + timedelta(minutes=2)
    post(session, room(4), in_autumn)
    sweeping.tick(in_autumn)
    sweeping.tick(now)
    assert doubt_of(session, now) == Doubt(DoubtKind.SILENT, timedelta(minutes=2))


def test_an_ended_session_is_not_doubted(session):
    now = judge(session, losing_events(10.5))
    sweeping.end(session.id, now)
    assert doubt_of(session, now) is None
    assert "data-stale" not in shown(session, now)


def test_standing_still_from_the_first_row_at_hand_is_at_least_so_long():
    rows = [EngagementRow(timestamp=at_minute(place / 12), chat_msgs_per_min=12.0) for place in range(13)]
    unknown = Session(detector_state="UNKNOWN", heard_at=at_minute(1), judged_until=at_minute(1))
    assert find_doubt(unknown, rows, at_minute(1)) == Doubt(DoubtKind.FROZEN, timedelta(minutes=1), is_at_least=True)
    rows[0].chat_msgs_per_min = None
    assert find_doubt(unknown, rows, at_minute(1)) == Doubt(DoubtKind.FROZEN, timedelta(seconds=55))
    assert find_doubt(unknown, rows[-6:], at_minute(1)).kind == DoubtKind.UNTRUE


def test_rows_that_no_worker_judges_are_told_of(session):
    """What the detector knew half a minute ago is not how the room is now."""
    now = judge(session, LIVELY)
    later = healthy_room(minutes=11, audience=400, chats_per_head=0.2)[120:]
    record_rows(session.id, later, now)
    session.refresh_from_db()
    assert doubt_of(session, now + timedelta(seconds=10)) is None
    page = shown(session, now + timedelta(seconds=40))
    assert "Nothing judged for 40 s" in page
    assert "As this room usually is" not in page
    sweeping.sweep_all(now + timedelta(seconds=60))
    session.refresh_from_db()
    assert "As this room usually is" in shown(session, now + timedelta(seconds=60))


def test_rows_that_no_worker_has_ever_judged_are_told_of(session):
    record_rows(session.id, LIVELY, at_minute(10))
    session.refresh_from_db()
    assert doubt_of(session, at_minute(10)) is None
    assert "Nothing judged for 1 min" in shown(session, at_minute(11))


def test_raw_events_of_which_no_worker_makes_rows_are_told_of(session):
    record_events(session.id, [RawEvent("chat", at_minute(n / 6), "u1") for n in range(12)], at_minute(2))
    sweeping.sweep_all(at_minute(2))
    session.refresh_from_db()
    assert doubt_of(session, at_minute(2.5)) is None, "all is made of it that can be"
    record_events(session.id, [RawEvent("chat", at_minute(2.2), "u1")], at_minute(2.2))
    session.refresh_from_db()
    assert doubt_of(session, at_minute(2.3)) is None
    assert doubt_of(session, at_minute(2.5)) == Doubt(DoubtKind.UNJUDGED, timedelta(seconds=30))


def test_a_row_after_a_silence_is_not_one_that_has_waited(session):
    now = judge(session, LIVELY)
    later = [replace(LIVELY[-1], timestamp=now + timedelta(minutes=5))]
    record_rows(session.id, later, later[0].timestamp)
    session.refresh_from_db()
    assert doubt_of(session, later[0].timestamp + timedelta(seconds=1)) is None


def test_a_row_that_waits_for_its_worker_does_not_hide_what_is_known(session):
    """Every row waits a moment: a doubt must not blink meanwhile."""
    frozen = standing_still(LIVELY, 24)
    now = judge(session, [*LIVELY, *frozen])
    assert doubt_of(session, now).kind == DoubtKind.FROZEN
    record_rows(session.id, [replace(frozen[-1], timestamp=now + SLOT)], now + SLOT)
    assert doubt_of(session, now + SLOT).kind == DoubtKind.FROZEN
