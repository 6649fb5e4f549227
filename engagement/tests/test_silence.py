from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from engagement.models import Event, Session
from engagement.silence import find_silent, is_silent, silent_since

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
AGES = (None, 0, 29, 30, 31, 59, 60, 61, 299, 300, 301, 1e7)


def ago(seconds: float | None) -> datetime | None:
    return None if seconds is None else NINE - timedelta(seconds=seconds)


def heard(seconds: float | None, newest: float | None = None, patience: float | None = None, **fields) -> Session:
    """A session of which something was judged, and something happened, so many seconds before nine."""
    return Session(heard_at=ago(seconds), newest_event_at=ago(newest), patience_seconds=patience, **fields)


@pytest.mark.parametrize(("seconds", "expected"), [(None, False), (0, False), (60, False), (60.1, True), (1e6, True)])
def test_nothing_judged_for_a_minute_is_silence(seconds, expected):
    assert is_silent(heard(seconds), NINE) is expected


@pytest.mark.parametrize(
    ("newest", "patience", "expected"),
    [(99, None, False), (30, 5, False), (31, 5, True), (31, 40, False), (41, 40, True), (300, 5, False)],
)
def test_a_lively_room_is_silent_as_soon_as_its_patience_ends(newest, patience, expected):
    assert is_silent(heard(10, newest, patience), NINE) is expected


@pytest.mark.django_db
def test_find_silent_misses_none_that_is_live():
    event = Event.objects.create(name="Conference")
    sessions = [
        heard(*ages, patience, event=event, title=f"{ages} {patience}", status=status)
        for ages, patience, status in product(product(AGES, AGES), (None, 5.0, 40.0), Session.Status)
    ]
    Session.objects.bulk_create(sessions)

    found = find_silent(Session.objects.all(), NINE)

    silent = {session.id for session in sessions if session.status == "live" and is_silent(session, NINE)}
    assert {session.id for session in found} == silent
    assert 0 < len(silent) < len(sessions) / 3


def test_silence_is_since_the_newest_event_of_today():
    assert silent_since(heard(10, 50)) == ago(50)
    assert silent_since(heard(50, 10)) == ago(50)
    assert silent_since(heard(10)) == ago(10)
    assert silent_since(heard(10, 1e7)) == ago(10)
