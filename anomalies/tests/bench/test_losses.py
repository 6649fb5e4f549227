from datetime import UTC, datetime, timedelta

import pytest

from anomalies.bench.corpus import Label, LabelledSession
from anomalies.bench.losses import find_loss
from engagement.readings import Reading

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(second: float) -> datetime:
    return NINE + timedelta(seconds=second)


def loss(rows: list[Reading], incident_type: str = "SUDDEN_DROP", start: float = 600) -> float | None:
    label = Label(incident_type, at(start), at(start + 120))
    return find_loss(LabelledSession("s", rows, [label], NINE), label)


def room(before: dict, after: dict, start: float = 600) -> list[Reading]:
    """Return a quarter of an hour that says one thing before a moment and another from it on."""
    return [Reading(at(second), **(before if second < start else after)) for second in range(5, 901, 5)]


def test_active_people_who_turn_away_are_lost():
    before, after = {"active_users": 60, "total_users": 100}, {"active_users": 15, "total_users": 100}
    assert loss(room(before, after)) == pytest.approx(0.75, abs=0.01)


def test_of_an_exit_those_are_lost_who_left():
    before, after = {"active_users": 60, "total_users": 100}, {"active_users": 60, "total_users": 70}
    assert loss(room(before, after), "MASS_EXIT") == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("people", [{}, {"active_users": 50, "total_users": 50}])
def test_where_nobody_says_who_is_active_it_is_what_they_say(people):
    before = {"chat_msgs_per_min": 10.0, "reactions_per_min": 10.0, **people}
    after = {"chat_msgs_per_min": 4.0, "reactions_per_min": 0.0, **people}
    assert loss(room(before, after)) == pytest.approx(0.8, abs=0.01)


def test_a_rise_loses_nothing():
    assert loss(room({"chat_msgs_per_min": 2.0}, {"chat_msgs_per_min": 8.0})) == 0


def test_what_is_low_from_the_start_fell_from_nothing_that_is_known():
    rows = room({"active_users": 60, "total_users": 100}, {"active_users": 15, "total_users": 100}, 60)
    assert loss(rows, "LOW_ENGAGEMENT", 60) is None
    assert loss([Reading(at(second)) for second in range(5, 901, 5)]) is None
    assert loss([]) is None
