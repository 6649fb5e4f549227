"""The engagement score: the published weights, unknown signals shared out, and a breakdown that adds up."""

from dataclasses import replace
from datetime import UTC, datetime
from math import log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engagement.readings import Reading, StoredReading
from engagement.scoring import LEVELS, find_score, level, score

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
BEST = {
    "chat_msgs_per_min": 20.0,
    "poll_participation": 1.0,
    "active_users": 50,
    "reactions_per_min": 10.0,
}  # with total_users=50

rates = st.none() | st.floats(0, 1e9)
shares = st.none() | st.floats(0, 1)
readings = st.builds(
    Reading,
    st.just(AT),
    chat_msgs_per_min=rates,
    poll_participation=shares,
    active_users=st.none() | st.integers(0, 500),
    total_users=st.none() | st.integers(0, 500),
    reactions_per_min=rates,
    user_leave_rate=shares,
)


@given(readings)
def test_score_lies_between_0_and_1_and_its_parts_sum_to_it(reading):
    found = score(reading)

    if found is not None:
        assert 0 <= found.value <= 1
        assert sum(found.parts.values()) == pytest.approx(found.value, abs=1e-12)
        assert found.level == level(found.value)


@given(readings)
def test_score_is_unknown_only_where_no_signal_tells_it(reading):
    tells = (reading.chat_msgs_per_min, reading.poll_participation, reading.active_share, reading.reactions_per_min)

    assert (score(reading) is None) == all(signal is None for signal in tells)


@given(readings)
def test_parts_are_of_the_known_signals(reading):
    found = score(reading)
    assume(found is not None)

    known = {"active_share": reading.active_share}
    known |= {name: getattr(reading, name) for name in ("chat_msgs_per_min", "poll_participation", "reactions_per_min")}
    known |= {"user_leave_rate": reading.user_leave_rate}
    assert set(found.parts) == {name for name, signal in known.items() if signal is not None}
    assert all(part >= 0 for name, part in found.parts.items() if name != "user_leave_rate")
    assert found.parts.get("user_leave_rate", 0) <= 0


@given(st.sets(st.sampled_from(sorted(BEST)), min_size=1), st.sampled_from([None, 0.0]))
def test_the_best_score_is_1_whatever_is_unknown(known, leaves):
    reading = Reading(AT, total_users=50, user_leave_rate=leaves, **{name: BEST[name] for name in known})

    assert score(reading).value == pytest.approx(1.0, abs=1e-12)
    assert score(reading).level == "VERY_HIGH"


@given(readings)
def test_an_unknown_poll_counts_as_the_mean_of_the_others(reading):
    without = replace(reading, poll_participation=None, user_leave_rate=None)
    found = score(without)
    assume(found is not None)

    assert score(replace(without, poll_participation=found.value)).value == pytest.approx(found.value, abs=1e-12)


@given(
    readings,
    st.sampled_from(["chat_msgs_per_min", "poll_participation", "reactions_per_min", "user_leave_rate"]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_score_rises_with_every_signal_and_falls_with_leaves(reading, name, one, other):
    lower, higher = sorted((one, other))
    unit = 30 if name.endswith("per_min") else 1
    before, after = (score(replace(reading, **{name: share * unit})) for share in (lower, higher))
    assume(before is not None)

    if name == "user_leave_rate":
        before, after = after, before
    assert after.value >= before.value - 1e-12


@given(readings, st.integers(0, 500), st.integers(0, 500))
def test_score_rises_with_the_active(reading, one, other):
    lower, higher = sorted((one, other))
    before, after = (score(replace(reading, active_users=active, total_users=500)) for active in (lower, higher))

    assert after.value >= before.value - 1e-12


def test_score_has_the_published_weights():
    found = score(Reading(AT, 3, 0.4, 30, 50, 2, 0.05))

    assert found.parts == pytest.approx(
        {
            "chat_msgs_per_min": 0.30 / 0.9 * log(4) / log(21),
            "poll_participation": 0.25 / 0.9 * 0.4,
            "active_share": 0.25 / 0.9 * 0.6,
            "reactions_per_min": 0.10 / 0.9 * log(3) / log(11),
            "user_leave_rate": -0.10 / 0.9 * 0.05,
        }
    )


def test_rates_are_full_at_20_messages_and_10_reactions():
    assert score(Reading(AT, chat_msgs_per_min=20)).value == score(Reading(AT, chat_msgs_per_min=200)).value == 1
    assert score(Reading(AT, reactions_per_min=10)).value == score(Reading(AT, reactions_per_min=99)).value == 1
    assert score(Reading(AT, chat_msgs_per_min=19)).value < 1
    assert score(Reading(AT, reactions_per_min=9)).value < 1


def test_leaves_take_nothing_off_a_score_of_0():
    found = score(Reading(AT, chat_msgs_per_min=0, user_leave_rate=1.0))

    assert (found.value, found.level) == (0.0, "VERY_LOW")
    assert sum(found.parts.values()) == 0


@pytest.mark.parametrize("stored", [0.25, None])
def test_stored_score_is_the_score_though_the_signals_say_another(stored):
    assert find_score(StoredReading(AT, chat_msgs_per_min=20, engagement_score=stored)) == stored
    assert find_score(Reading(AT, chat_msgs_per_min=20)) == 1


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1.0, "VERY_HIGH"), (0.8, "VERY_HIGH"), (0.7999, "HIGH"), (0.6, "HIGH"), (0.5999, "MODERATE"),
        (0.4, "MODERATE"), (0.3999, "LOW"), (0.2, "LOW"), (0.1999, "VERY_LOW"), (0.0, "VERY_LOW"),
    ],
)  # fmt: skip
def test_level_changes_at_the_published_thresholds(value, name):
    assert level(value) == name
    assert len(LEVELS) == 5
