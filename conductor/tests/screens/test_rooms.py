from datetime import timedelta

import pytest

from anomalies.models import Anomaly
from conductor.screens.rooms import Lesson, RoomKind, show_lesson, show_rooms
from conductor.tests import stage
from engagement.models import ApiKey, Session

pytestmark = pytest.mark.django_db


def test_rooms_are_worst_first(event):
    calm = stage.live_session(event, "calm")
    stage.incident(stage.live_session(event, "warned"), "WARNING")
    stage.incident(stage.live_session(event, "critical"), "CRITICAL")
    Session.objects.create(event=event, title="scheduled")
    for title, changes in {
        "silent": {"detector_state": "UNKNOWN", "heard_at": stage.NOW - timedelta(minutes=2)},
        "frozen": {"detector_state": "UNKNOWN"},
        "ended": {"status": "ended", "ended_at": stage.NOW},
    }.items():
        made = stage.live_session(event, title)
        Session.objects.filter(id=made.id).update(**changes)
    low = stage.live_session(event, "low", rows=3)
    low.rows.update(engagement_score=0.1)
    stage.incident(calm, resolved_at=stage.NOW, status=Anomaly.Status.RESOLVED)
    screen = show_rooms(Session.objects.all(), stage.NOW)
    assert [room.session.title for room in screen.rooms] == [
        "critical", "warned", "frozen", "low", "calm", "silent", "scheduled", "ended",
    ]  # fmt: skip
    assert screen.left_out == 0


def test_room_is_shown_as_its_newest_row_says(event):
    session = stage.live_session(event, rows=3)
    session.rows.filter(timestamp=session.judged_until).update(total_users=41, engagement_score=0.7)
    [room] = show_rooms(Session.objects.all(), stage.NOW).rooms
    assert (room.kind, room.audience, room.score, room.level) == (RoomKind.LIVE, 41, 0.7, "HIGH")


def test_learning_room_is_sorted_by_its_score_like_a_live_one(event):
    stage.live_session(event, "live").rows.update(engagement_score=0.5)
    for title, value in {"lower": 0.4, "higher": 0.6}.items():
        session = stage.live_session(event, title)
        session.rows.update(engagement_score=value)
        Session.objects.filter(id=session.id).update(detector_state="INSUFFICIENT_DATA")
    rooms = show_rooms(Session.objects.all(), stage.NOW).rooms
    assert [(room.session.title, room.kind) for room in rooms] == [
        ("lower", RoomKind.LEARNING), ("live", RoomKind.LIVE), ("higher", RoomKind.LEARNING),
    ]  # fmt: skip


def test_room_is_marked_by_its_worst_incident(session):
    critical = stage.incident(session, "CRITICAL", seconds=10)
    stage.incident(session, "WARNING", seconds=20)
    [room] = show_rooms(Session.objects.all(), stage.NOW).rooms
    assert (room.kind, room.incident) == (RoomKind.CRITICAL, critical)


def test_dismissed_incident_does_not_mark_its_room(session):
    stage.incident(session, status=Anomaly.Status.DISMISSED)
    [room] = show_rooms(Session.objects.all(), stage.NOW).rooms
    assert (room.kind, room.incident) == (RoomKind.LIVE, None)


def test_old_ended_sessions_are_left_out_unless_every_one_is_asked_for(event, django_assert_num_queries):
    for number in range(14):
        ended_at = stage.NOW + timedelta(minutes=number)
        Session.objects.create(event=event, title=f"{number}", status="ended", ended_at=ended_at)
    with django_assert_num_queries(4):
        screen = show_rooms(Session.objects.all(), stage.NOW)
    assert [room.session.title for room in screen.rooms] == [f"{number}" for number in range(13, 1, -1)]
    assert screen.left_out == 2
    whole = show_rooms(Session.objects.all(), stage.NOW, every_ended=True)
    assert (len(whole.rooms), whole.left_out) == (14, 0)


def test_lesson_names_a_key_that_works(event):
    mara = stage.organizer("mara", event)
    assert show_lesson(mara, "http://here/") == Lesson(event, None, "http://here/")
    key, _ = ApiKey.objects.issue(event, "Course platform")
    ApiKey.objects.issue(event, "Webinar bridge")[0].revoke(stage.NOW)
    assert show_lesson(mara, "http://here/") == Lesson(event, key, "http://here/")


def test_lesson_of_somebody_without_an_event_names_none(event):
    assert show_lesson(stage.User.objects.create_user("newcomer"), "/") == Lesson(None, None, "/")
