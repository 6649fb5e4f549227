"""Buckets are kept of what is final, once, in bounded steps, and of nothing that is gone."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from conductor import tasks
from conductor.celery import app
from engagement import buckets, condense
from engagement.models import Bucket, EngagementRow, Session
from engagement.tests.test_buckets import at, condense_all, long_session

pytestmark = pytest.mark.django_db(transaction=True)


def judged(session: Session) -> int:
    return EngagementRow.objects.for_session(session).filter(late=False).count()


def kept(session: Session) -> int | None:
    return Bucket.objects.filter(session=session).aggregate(rows=Sum("rows"))["rows"]


def test_a_settled_session_is_condensed_whole_and_once():
    session = long_session()
    assert condense.find_waiting() == [session.id]

    condense_all()

    session.refresh_from_db()
    assert (session.is_condensed, kept(session)) == (True, judged(session))
    assert condense.find_waiting() == []


def test_steps_of_any_size_keep_the_same(monkeypatch):
    first, second = long_session(rows=1_600), long_session(rows=1_600)
    fields = [field.attname for field in Bucket._meta.concrete_fields if field.name != "session"]
    for session, most in ((first, 1_000_000), (second, 7)):
        monkeypatch.setattr(condense, "MOST_ROWS", most)
        while not Session.objects.get(id=session.id).is_condensed:
            assert condense.condense(session.id)

    found = [list(Bucket.objects.filter(session=session).values_list(*fields)) for session in (first, second)]
    assert found[0] == found[1] != []


def test_half_a_minute_of_more_rows_than_a_step_has_is_one_step(monkeypatch):
    monkeypatch.setattr(condense, "MOST_ROWS", 2)
    session = long_session(rows=1_600)

    condense.condense(session.id)

    assert Bucket.objects.get(session=session).starts_at == buckets.floor(at(5), buckets.WIDTH)


@pytest.mark.parametrize("most_left", [0, 1_000])  # alone, and with all others that are short
def test_a_short_session_keeps_its_rows_only(most_left, monkeypatch):
    monkeypatch.setattr(condense, "MOST_LEFT", most_left)
    short, empty, long = long_session(rows=100), long_session(rows=1), long_session()
    EngagementRow.objects.for_session(empty).delete()

    condense_all()

    assert set(Session.objects.values_list("is_condensed", flat=True)) == {True}
    assert [kept(session) for session in (short, empty, long)] == [None, None, judged(long)]


def test_a_session_that_is_half_condensed_is_not_taken_for_a_short_one(monkeypatch):
    monkeypatch.setattr(condense, "MOST_ROWS", 500)
    session = long_session()
    condense.condense(session.id)
    assert 0 < kept(session) < judged(session)
    EngagementRow.objects.for_session(session).filter(timestamp__gte=at(6_000)).delete()

    condense_all()

    assert kept(session) == judged(session)


def test_a_session_that_goes_on_is_condensed_as_far_as_it_was_judged_and_not_for_each_minute():
    session = long_session()
    Session.objects.update(status="live", settled_at=None, judged_until=at(8_000))

    condense_all()

    session.refresh_from_db()
    end = buckets.find_end(session.id)
    assert at(8_000) - buckets.WIDTH < end <= at(8_000)
    assert not session.is_condensed
    Session.objects.update(judged_until=at(7_900) + condense.LONG)
    assert condense.find_waiting() == []
    Session.objects.update(judged_until=at(8_100) + condense.LONG)
    assert condense.find_waiting() == [session.id]


def test_nothing_is_kept_of_what_nobody_judged():
    long_session()
    Session.objects.update(status="live", settled_at=None, judged_until=None)

    condense_all()

    assert not Bucket.objects.exists()


def test_a_gap_of_hours_in_a_session_that_goes_on_is_no_work_for_ever():
    session = long_session(rows=1_600)
    last = EngagementRow.objects.for_session(session).filter(late=False).last().timestamp
    EngagementRow.objects.create(session=session, timestamp=last + timedelta(hours=3), received_at=at(0))
    Session.objects.update(status="live", settled_at=None, judged_until=last + timedelta(hours=3))

    condense_all()

    assert kept(session) == judged(session) - 1


def test_what_is_erased_is_not_waited_for():
    session = long_session()
    Session.objects.update(erased_at=at(0))

    assert condense.find_waiting() == []
    assert condense.condense(session.id)
    assert kept(session) is None


def test_nobody_condenses_while_somebody_erases():
    session = long_session()
    holding, done = threading.Event(), threading.Event()

    def erase():
        with transaction.atomic():
            condense.hold_off()
            holding.set()
            done.wait(30)
        connection.close()

    eraser = threading.Thread(target=erase)
    eraser.start()
    assert holding.wait(30)
    try:
        assert condense.step(60) is True
        assert kept(session) is None
    finally:
        done.set()
        eraser.join(30)
    condense_all()
    assert kept(session) == judged(session)


def test_a_session_that_cannot_be_condensed_keeps_no_other_from_it(monkeypatch, caplog):
    broken, whole = long_session(), long_session()
    first = EngagementRow.objects.for_session(broken).filter(late=False).first()
    Bucket.objects.create(session=broken, starts_at=buckets.floor(first.timestamp, buckets.WIDTH), rows=1)
    monkeypatch.setattr(condense, "find_end", lambda _: None)

    assert condense.step(60) is True

    assert (kept(broken), kept(whole)) == (1, judged(whole))
    (message,) = caplog.messages
    assert message.startswith(f"The session {broken.id} is not condensed: duplicate key")


def test_the_clock_has_it_done():
    session = long_session()

    tasks.condense_rows()

    assert kept(session) == judged(session)
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} >= {tasks.condense_rows.name}
