"""Who is told what of an incident's life."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.telling import rules
from conductor.telling.rules import Happening, Kind, Telling, Told, Wish

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TOLD = Told(is_any=True, due_at=NOW)
WAITING = Told(is_any=True, is_waiting=True, due_at=NOW + timedelta(seconds=30))
NEVER = Told()
PEOPLE = ("mail", "chat")


def wish(kind="webhook", least="WARNING", delay=0, types=(), tells_end=True) -> Wish:
    return Wish(kind, frozenset(types), least, delay, tells_end)


def step(kind: Kind, severity="WARNING", ago=0, is_handled=False) -> Happening:
    return Happening(kind, severity, NOW - timedelta(seconds=ago), is_handled)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("told", [NEVER, TOLD])
@pytest.mark.parametrize(("ago", "is_handled"), [(0, False), (86_400, False), (0, True)])
def test_webhooks_are_told_everything_whenever_it_was_and_whoever_knows(kind, told, ago, is_handled):
    assert rules.decide(wish(), NOW, step(kind, ago=ago, is_handled=is_handled), told) == Telling.MESSAGE


@pytest.mark.parametrize("kind", ["webhook", *PEOPLE])
def test_less_than_is_wanted_is_not_told_until_it_gets_worse(kind):
    of = wish(kind, least="CRITICAL")
    assert rules.decide(of, NOW, step(Kind.DETECTED), NEVER) == Telling.NOTHING
    assert rules.decide(of, NOW, step(Kind.WORSENED, "CRITICAL"), NEVER) == Telling.MESSAGE


def test_webhook_is_told_the_types_that_it_wants():
    of = wish(types=["anomaly.resolved"])
    assert rules.decide(of, NOW, step(Kind.DETECTED), NEVER) == Telling.NOTHING
    assert rules.decide(of, NOW, step(Kind.RESOLVED), NEVER) == Telling.MESSAGE


@pytest.mark.parametrize("kind", PEOPLE)
@pytest.mark.parametrize(
    ("happened", "told", "telling"),
    [
        (step(Kind.DETECTED), NEVER, Telling.MESSAGE),
        (step(Kind.WORSENED, "CRITICAL"), TOLD, Telling.NOTHING),
        (step(Kind.UPDATED), TOLD, Telling.NOTHING),
        (step(Kind.UPDATED), NEVER, Telling.NOTHING),
        (step(Kind.RESOLVED), TOLD, Telling.MESSAGE),
        (step(Kind.RESOLVED), NEVER, Telling.NOTHING),
        (step(Kind.RESOLVED, is_handled=True), TOLD, Telling.NOTHING),
        (step(Kind.WORSENED, "CRITICAL", is_handled=True), NEVER, Telling.NOTHING),
        (step(Kind.DETECTED, ago=301), NEVER, Telling.NOTHING),
        (step(Kind.DETECTED, ago=299), NEVER, Telling.MESSAGE),
        (step(Kind.RESOLVED, ago=301), TOLD, Telling.NOTHING),
        (step(Kind.WORSENED, "CRITICAL"), WAITING, Telling.AMENDMENT),
        (step(Kind.RESOLVED), WAITING, Telling.WITHDRAWAL),
        (step(Kind.UPDATED, is_handled=True), WAITING, Telling.WITHDRAWAL),
    ],
)
def test_people_get_one_message_and_one_of_the_end(kind, happened, told, telling):
    assert rules.decide(wish(kind), NOW, happened, told) == telling


def test_end_is_not_told_to_who_does_not_want_it():
    for kind in ("webhook", *PEOPLE):
        assert rules.decide(wish(kind, tells_end=False), NOW, step(Kind.RESOLVED), TOLD) == Telling.NOTHING


def test_what_is_over_before_its_delay_is_not_told_nor_its_end():
    delayed = wish(delay=30)
    assert rules.decide(delayed, NOW, step(Kind.RESOLVED), WAITING) == Telling.WITHDRAWAL
    assert rules.decide(delayed, NOW, step(Kind.RESOLVED), NEVER) == Telling.NOTHING
    assert rules.decide(delayed, NOW, step(Kind.RESOLVED), TOLD) == Telling.MESSAGE


def test_delay_is_counted_once():
    delayed = wish(delay=30)
    assert rules.find_due(delayed, NOW, NEVER) == NOW + timedelta(seconds=30)
    assert rules.find_due(delayed, NOW, WAITING) == WAITING.due_at
    assert rules.find_due(delayed, NOW, TOLD) == NOW


@given(st.integers(1, 1_000), st.floats(0, 1))
def test_waits_grow_and_stay_within_their_bounds(attempts, chance):
    wait = rules.find_retry(attempts, chance)
    assert timedelta(seconds=3) < wait <= timedelta(seconds=10_800 * 1.3)
    assert rules.find_retry(attempts + 1, chance) >= wait


def test_a_day_of_attempts_ends():
    at, attempts = NOW, 0
    while not rules.is_over("webhook", NOW, at):
        attempts += 1
        at += rules.find_retry(attempts, 0.5)
    assert 10 < attempts < 20
