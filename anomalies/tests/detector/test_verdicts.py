from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalies.detector.config import DEFAULT
from anomalies.detector.prior import FOREST, nothing_known, shipped
from anomalies.detector.sizes import TREE_WINDOW
from anomalies.detector.state import LAST_MINUTE, Series, TreeWindow, Usual
from anomalies.detector.verdicts import find_features, judge, learn
from anomalies.tests.detector.test_evidence import room

OPENING = DEFAULT.opening
TUNING = DEFAULT.record[0]


def known_room(**signals):
    """Return the state of a session of which enough is known to judge it."""
    states = room(**signals)
    states.slots, states.n_blocks = OPENING.warm_slots, OPENING.warm_blocks
    states.usual[:, Usual.MEAN_SCORE] = states.history[:, Series.SCORE] = 0.75
    states.usual[:, Usual.LEAVE_RATE] = states.history[:, Series.LEAVERS] = 0.0
    return states


def verdicts_on(states, prior=None):
    return judge(states.records[0], (prior or shipped()).quiet, TUNING)


def test_judging_does_not_teach():
    states = known_room(chats=5)
    before = states.array.tobytes()
    verdicts_on(states)
    assert states.array.tobytes() == before


def test_usual_row_scores_nothing():
    verdicts = verdicts_on(known_room(people=1000, chats=50))
    assert verdicts.is_judged
    assert verdicts.score == pytest.approx(0, abs=0.001)
    assert (verdicts.tree_score, verdicts.trees, verdicts.fall) == (0, 0, 0)


@pytest.mark.parametrize("field", ["slots", "n_blocks"])
def test_too_early_is_its_own_answer(field):
    states = known_room(people=1000, chats=50)
    states.history[:, [Series.CHATS, Series.ACTIVITY]] = 0
    assert verdicts_on(states).score > OPENING.warning_from
    states.array[field] -= 1
    verdicts = verdicts_on(states)
    assert (verdicts.is_judged, verdicts.score) == (False, 0)


def test_score_is_30_parts_of_z_and_70_of_the_trees():
    states = known_room(people=1000, chats=50)
    states.history[:, Series.CHATS] = 0
    by_z = 0.3 * verdicts_on(states).evidence.worst / 8
    assert verdicts_on(states, nothing_known()).trees == 0
    assert verdicts_on(states, nothing_known()).score == pytest.approx(by_z)
    verdicts = verdicts_on(states)
    assert verdicts.score == pytest.approx(0.7 * verdicts.trees + by_z)
    assert verdicts.trees > 0.5


def leave(left, people=100, slots=2):
    states = known_room(people=people)
    states.history[:, Series.PEOPLE, -slots:] = people - left
    states.history[:, Series.LEAVERS, -slots:] = left / slots
    return states


def test_exit_is_the_root_deviance_of_a_poisson_count():
    expected = 0.0004 * (70 + 70) + 0.15  # of the shortest window in which all of them left
    verdicts = verdicts_on(leave(30))
    assert verdicts.exit_z == pytest.approx(sqrt(2 * (30 * log(30 / expected) - (30 - expected))), rel=1e-12)
    assert verdicts.is_exit


@pytest.mark.parametrize(
    ("left", "people", "is_exit"), [(4, 10, True), (3, 10, False), (14, 100, True), (4, 300, False)]
)
def test_exit_takes_more_than_three_people_and_a_share_that_is_on_the_way_to_a_mass_exit(left, people, is_exit):
    assert verdicts_on(leave(left, people)).is_exit == is_exit


def test_exit_is_at_least_a_warning():
    verdicts = verdicts_on(leave(14), nothing_known())
    certain = OPENING.warning_from + 0.1 * (verdicts.exit_z - DEFAULT.exits.exit_from)
    assert verdicts.score == pytest.approx(min(1, certain))


def test_fall_is_the_part_of_the_usual_score_that_is_gone():
    states = known_room()
    states.history[:, Series.SCORE, -1] = 0.25
    assert verdicts_on(states).fall == pytest.approx(2 / 3)
    states.history[:, Series.SCORE, -1] = np.nan
    assert verdicts_on(states).fall == 1


def test_chat_of_unknown_listeners_falls_by_its_rate_though_its_score_stays_full():
    states = known_room(people=1, chats=15.625)
    states.previous[:] = np.nan
    states.history[:, Series.CHATS, LAST_MINUTE] = 3.125
    assert verdicts_on(states).fall == pytest.approx(1 - 38 / 188)


@given(st.lists(st.floats(0, 1, width=16), min_size=5, max_size=5), st.integers(1, 2000))
def test_score_is_a_share_whatever_happens(parts, people):
    states = known_room(people=people, chats=people / 10, reactions=people / 20)
    for signal, part in zip(Series, parts, strict=False):
        states.history[:, signal, -6:] *= part
    verdicts = verdicts_on(states)
    assert 0 <= verdicts.score <= 1
    assert 0 <= verdicts.tree_score <= 1


def test_noise_moves_by_its_rate_and_no_faster_for_a_row_far_off():
    states = known_room(people=1000, chats=50)
    states.history[:, Series.CHATS] = 0
    verdicts = verdicts_on(states)
    learn(states.records[0], verdicts, TUNING)
    z = verdicts.evidence.unscaled
    assert states.noise[0].tolist() == (1 + DEFAULT.noise.rate * (np.minimum(6, z**2) - 1)).astype(np.float16).tolist()


def test_trees_are_judged_by_the_last_complete_window_of_quiet_rows():
    states = known_room(people=1000, chats=50)
    for learnt in range(1, 2 * TREE_WINDOW):
        learn(states.records[0], verdicts_on(states), TUNING)
        assert states.n_tree_leaves[0].tolist() == [TREE_WINDOW * (learnt >= TREE_WINDOW), learnt % TREE_WINDOW]
    leaves = verdicts_on(states).tree_leaves
    assert (states.tree_leaves[0, TreeWindow.COMPLETE] == leaves).all()


def test_row_that_the_room_has_seen_often_is_less_rare():
    states = known_room(people=1000, chats=50)
    states.history[:, Series.CHATS, -12:] = 5
    before = verdicts_on(states)
    states.tree_leaves[0, TreeWindow.COMPLETE] = before.tree_leaves
    states.n_tree_leaves[:, TreeWindow.COMPLETE] = TREE_WINDOW
    assert verdicts_on(states).tree_score < before.tree_score


@given(st.floats(0, 1, width=16), st.integers(1, 2000), st.floats(0, 1))
def test_trees_are_fed_shares_between_0_and_1(part, people, left):
    """HalfSpaceTrees expects [0, 1], which StandardScaler does not give."""
    states = known_room(people=people, chats=people / 10, reactions=people / 20)
    states.history[:, [Series.CHATS, Series.REACTIONS, Series.ACTIVITY], -3:] *= part
    features = find_features(verdicts_on(states).evidence, left, TUNING["trees"])
    assert len(features) == len(FOREST.features)
    assert 0 <= features.min() <= features.max() <= 1


def test_trees_are_fed_what_fell_as_nearly_1():
    states = known_room(people=1000, chats=50)
    states.history[:, Series.ACTIVITY, -1:] = 0
    assert find_features(verdicts_on(states).evidence, 0.0, TUNING["trees"])[0] > 0.5
