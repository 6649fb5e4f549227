import json

import pytest

from anomalies.bench.fitting.numbers import STEPS, dumps, step_down, step_up
from anomalies.detector.config import DEFAULT, LEARNT, START, number_of, read_learnt, with_numbers

# As published, or promised to organizers.
FIXED = (
    "fusion.tree_weight",
    "fusion.z_weight",
    "opening.warning_from",
    "opening.critical_from",
    "exits.mass_rate",
    "low_engagement.score",
    "low_engagement.mean_slots",
    "closing.calm_below",
    "opening.cooldown_seconds",
)


@pytest.mark.parametrize("place", STEPS)
def test_each_number_is_moved_both_ways_and_keeps_its_kind(place):
    here = number_of(START, place)
    for moved, is_up in ((step_up(START, place, STEPS[place]), True), (step_down(START, place, STEPS[place]), False)):
        assert type(number_of(moved, place)) is type(here)
        assert (number_of(moved, place) > here) == (is_up == (here > 0))
        assert with_numbers(moved, {place: here}) == START


def test_a_whole_number_moves_by_one_at_least_and_never_to_none():
    assert number_of(step_up(START, "baseline.settled_blocks", 0.001), "baseline.settled_blocks") == 7
    one = with_numbers(START, {"opening.patience_slots": 1})
    assert number_of(step_down(one, "opening.patience_slots", 0.3), "opening.patience_slots") == 1


def test_what_was_published_is_not_learnt():
    assert not set(FIXED) & set(STEPS)
    for place in FIXED:
        assert number_of(DEFAULT, place) == number_of(START, place)


def test_learnt_numbers_are_read_as_they_were_written():
    config = with_numbers(START, {"weighing.slow_part": 0.123456, "baseline.doubt_slots": 51, "second_look.latest": -2})
    written = dumps(START, config)
    assert json.loads(written)["numbers"] == {
        "baseline.doubt_slots": 51,
        "second_look.latest": -2.0,
        "weighing.slow_part": 0.1235,
    }
    assert dumps(START, read_learnt(written)) == written


def test_what_is_shipped_is_what_learning_writes():
    assert LEARNT.read_text() == dumps(START, DEFAULT)
    assert "second_look.constant" in json.loads(LEARNT.read_text())["numbers"]


def test_numbers_of_another_revision_are_refused():
    with pytest.raises(ValueError, match="revision 0, and 1 is wanted"):
        read_learnt('{"revision": 0, "numbers": {}}')
