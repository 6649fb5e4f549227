"""What is erased is gone for everybody when the request is answered, and the request waits for nobody for long."""

import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection, connections, transaction

from conductor.tests.waiting import wait_until
from engagement import cursors, erasure
from engagement.cursors import Busy
from engagement.erasure import erase_events, erase_person, erase_sessions
from engagement.ingest import record_rows
from engagement.models import ApiKey, Erasure, Event, Session
from engagement.readings import Reading
from engagement.sessions import create_session, revise_session

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def event() -> Event:
    return Event.objects.create(name="Spring school")


def new_session(event: Event, **fields) -> Session:
    return Session.objects.create(event=event, title="Opening", **fields)


@contextmanager
def in_use(session: Session):
    """Hold a session's lock as a sweep does, on a connection of its own."""
    with psycopg.connect(**connection.get_connection_params()) as sweep:
        sweep.execute("SELECT FROM engagement_session WHERE id = %s FOR NO KEY UPDATE", [session.id])
        yield
        sweep.rollback()


def is_somebody_waiting() -> bool:
    with psycopg.connect(**connection.get_connection_params()) as looking:
        return bool(looking.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())


@contextmanager
def thread(target, *args):
    """Run a function beside the test; it has its own connection, and what it raises is raised here."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            target(*args)
        except Exception as error:
            raised.append(error)
        finally:
            connections.close_all()

    beside = threading.Thread(target=run)
    beside.start()
    yield beside
    beside.join(30)
    assert not beside.is_alive()
    if raised:
        raise raised[0]


def test_an_erased_session_is_found_by_nobody_and_takes_nothing(event):
    session = new_session(event, status="live", source="signals", external_id="room-1")
    other = new_session(event)

    [fact] = erase_sessions([session.id], "ada", NOW)

    assert (fact.kind, fact.target, fact.requested_by, fact.requested_at) == ("session", session.id, "ada", NOW)
    assert fact.finished_at is None
    assert list(Session.objects.all()) == list(event.sessions.all()) == [other]
    for lock in (cursors.lock_alone, cursors.lock_shared):
        with pytest.raises(Session.DoesNotExist), transaction.atomic():
            lock(session.id)
    with pytest.raises(Session.DoesNotExist):
        record_rows(session.id, [Reading(NOW, chat_msgs_per_min=1.0)], NOW)
    with pytest.raises(Session.DoesNotExist):
        revise_session(session.id, {"title": "Closing"})
    assert Session._base_manager.get(id=session.id).status == "ended"


def test_the_name_of_an_erased_session_is_free_at_once(event):
    session = new_session(event, external_id="room-1")
    erase_sessions([session.id], "ada", NOW)

    again, is_new = create_session(event.id, title="Opening", external_id="room-1")

    assert is_new
    assert again.id != session.id


def test_a_session_that_had_ended_keeps_its_end(event):
    ended = new_session(event, status="ended", ended_at=NOW - timedelta(days=1))
    live = new_session(event, status="live")

    erase_sessions([ended.id, live.id], "ada", NOW)

    assert Session._base_manager.get(id=ended.id).ended_at == NOW - timedelta(days=1)
    assert Session._base_manager.get(id=live.id).ended_at == NOW


def test_an_erased_event_takes_its_sessions_and_keys_along(event):
    sessions = [new_session(event) for _ in range(3)]
    _, secret = ApiKey.objects.issue(event, "Platform")
    other = new_session(Event.objects.create(name="Autumn school"))

    [fact] = erase_events([event.id], "ada", NOW)

    assert (fact.kind, fact.target) == ("event", event.id)
    assert list(Event.objects.all()) == [other.event]
    assert list(Session.objects.all()) == [other]
    assert not ApiKey.objects.valid().of_secret(secret).exists()
    assert {session.erased_at for session in Session._base_manager.filter(event=event)} == {NOW}
    assert len(sessions) == 3


def test_erasing_twice_is_erasing_once(event):
    session = new_session(event)

    for _ in range(2):
        erase_sessions([session.id], "ada", NOW)
        erase_events([event.id], "ada", NOW)

    assert sorted(Erasure.objects.values_list("kind", flat=True)) == ["event", "session"]


def test_two_that_erase_at_once_erase_once(event):
    session = new_session(event)
    with thread(erase_sessions, [session.id], "ada", NOW), thread(erase_sessions, [session.id], "grace", NOW):
        pass
    with thread(erase_events, [event.id], "ada", NOW), thread(erase_events, [event.id], "grace", NOW):
        pass

    assert sorted(Erasure.objects.values_list("kind", flat=True)) == ["event", "session"]


@pytest.mark.parametrize("erase", [erase_sessions, erase_events])
def test_who_erases_what_is_in_use_for_long_is_told_and_nothing_is_erased(event, monkeypatch, erase):
    monkeypatch.setattr(erasure, "WAIT_SECONDS", 0.05)
    sessions = [new_session(event) for _ in range(3)]

    with in_use(sessions[1]), pytest.raises(Busy):
        erase([session.id for session in sessions] if erase is erase_sessions else [event.id], "ada", NOW)

    assert Session.objects.count() == 3
    assert Event.objects.exists()
    assert not Erasure.objects.exists()


def test_who_erases_what_is_in_use_for_a_moment_waits(event):
    session = new_session(event)
    with ExitStack() as beside:
        with in_use(session):
            erasing = beside.enter_context(thread(erase_sessions, [session.id], "ada", NOW))
            wait_until(is_somebody_waiting)
            assert Session.objects.exists()
        erasing.join(30)

    assert not Session.objects.exists()


def test_a_post_that_waits_behind_an_erasure_finds_nothing(event):
    session = new_session(event, status="live", source="signals")

    def post() -> None:
        with pytest.raises(Session.DoesNotExist):
            record_rows(session.id, [Reading(NOW, chat_msgs_per_min=1.0)], NOW)

    with ExitStack() as beside, transaction.atomic():
        erase_sessions([session.id], "ada", NOW)
        beside.enter_context(thread(post))
        wait_until(is_somebody_waiting)

    assert not session.rows.exists()


def test_the_wait_of_a_longer_transaction_is_its_own_again(event):
    with transaction.atomic():
        erase_sessions([new_session(event).id], "ada", NOW)
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("0",)


def test_a_person_is_asked_for_whether_they_are_known_or_not(event):
    facts = [erase_person(event.id, "u/17", "ada", NOW) for _ in range(2)]

    assert [(fact.kind, fact.target, fact.user) for fact in facts] == [("person", event.id, "u/17")] * 2
