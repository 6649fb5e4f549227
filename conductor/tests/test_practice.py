"""The practice room: it is played the way a platform posts, tells of an incident, and is over by itself."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User

from anomalies.models import Anomaly
from conductor import housekeeping, practice
from conductor.tests import stage, sweeping
from engagement.erasure import erase_events, erase_sessions
from engagement.models import EngagementRow, Event, Membership, PracticeRoom, Role, Session

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TICK = timedelta(seconds=5)


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def play_until(end: datetime, since: datetime = NOW) -> datetime:
    """Have the clock tick and the rows judged until then; return the moment of the last tick."""
    at = since
    while at < end:
        at += TICK
        practice.play_all(at)
        sweeping.sweep_all(at)
    return at


def rows(session: Session) -> list[EngagementRow]:
    return list(EngagementRow.objects.for_session(session))


def test_a_room_begins_with_what_came_before(event):
    session = practice.begin(event, NOW)

    found = rows(session)
    assert (session.event, session.title) == (event, "Practice room")
    assert found[0].timestamp == NOW - practice.BEGINS_AFTER
    assert NOW - TICK < found[-1].timestamp <= NOW
    assert {later.timestamp - row.timestamp for row, later in pairwise(found)} == {TICK}


@pytest.mark.parametrize("sensitivity", Event.Sensitivity)
def test_its_audience_drifts_away_within_a_minute_and_it_is_over_in_six(event, sensitivity):
    Event.objects.filter(id=event.id).update(sensitivity=sensitivity)
    session = practice.begin(event, NOW)

    play_until(NOW + timedelta(seconds=60))
    incident = Anomaly.objects.for_session(session).get()
    assert (incident.anomaly_type, incident.status) == ("SUDDEN_DROP", "open")

    end = play_until(NOW + timedelta(minutes=6), NOW + timedelta(seconds=60))
    session.refresh_from_db()
    assert session.status == "ended"
    assert session.ended_at < end
    assert Anomaly.objects.for_session(session).get().status == "resolved"
    assert not practice.play_all(end + TICK)
    assert len(rows(session)) == len({row.timestamp for row in rows(session)}) == practice.LASTS / TICK


def test_a_clock_that_comes_late_posts_what_it_missed_once(event):
    session = practice.begin(event, NOW)
    before = len(rows(session))

    assert practice.play_all(NOW + timedelta(minutes=1)) == [session.id]
    assert practice.play_all(NOW + timedelta(minutes=1)) == []

    assert len(rows(session)) == before + 12


def test_an_event_has_one_at_a_time(event):
    first = practice.begin(event, NOW)

    assert practice.begin(event, NOW + TICK) == first
    assert practice.begin(Event.objects.create(name="Another"), NOW) != first

    play_until(NOW + timedelta(minutes=6))
    assert practice.begin(event, NOW + timedelta(minutes=7)) != first


def test_a_room_that_was_stopped_or_deleted_is_played_no_more(event):
    stopped = practice.begin(event, NOW)
    deleted = practice.begin(Event.objects.create(name="Another"), NOW)
    sweeping.end(stopped.id, NOW)
    erase_sessions([deleted.id], "mara", NOW)

    assert practice.play_all(NOW + timedelta(minutes=1)) == []


def test_a_room_that_fails_keeps_no_other_from_going_on(event, monkeypatch, caplog):
    first, second = practice.begin(event, NOW), practice.begin(Event.objects.create(name="Another"), NOW + TICK)
    right = practice.record_rows

    def fail(session_id, *args):
        if session_id == first.id:
            raise practice.DatabaseError("full")
        return right(session_id, *args)

    monkeypatch.setattr(practice, "record_rows", fail)
    assert practice.play_all(NOW + 3 * TICK) == [second.id]
    assert f"Practice room {first.id} waits: full" in caplog.text

    monkeypatch.undo()
    assert practice.play_all(NOW + 3 * TICK) == [first.id]


def test_nothing_to_play_is_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert practice.play_all(NOW) == []


def test_it_goes_with_its_event(event):
    practice.begin(event, NOW)

    erase_events([event.id], "mara", NOW)

    while housekeeping.step(NOW, 60):
        pass

    assert not PracticeRoom.objects.exists()


def test_the_button_makes_a_room_of_ones_own(client):
    ada = User.objects.create_user("ada")
    client.force_login(ada)
    assert 'id="practice"' in client.get("/").content.decode()

    answer = client.post("/practice/")

    session = Session.objects.get()
    assert answer["Location"] == f"/sessions/{session.id}/"
    assert Membership.objects.values_list("event__name", "user", "role").get() == ("Practice", ada.id, "owner")
    assert client.post("/practice/")["Location"] == answer["Location"]
    assert EngagementRow.objects.exists()


def test_the_button_of_an_event_makes_one_in_it(client, organizer, event):
    other = Event.objects.create(name="A first one")
    other.organizers.add(organizer)

    client.post(f"/events/{event.id}/practice/")

    assert Session.objects.get().event == event


def test_a_viewer_practises_in_an_event_of_their_own(client, event):
    client.force_login(stage.organizer("leo", event, Role.VIEWER))

    client.post("/practice/")

    assert Session.objects.get().event.name == "Practice"
    assert not event.sessions.exists()
