import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.anomaly import HalfSpaceTrees

from anomalies.detector.trees import Forest, as_features, without_masses

FOREST = Forest(("a", "b", "c"), n_trees=4, height=5)
FULL = Forest(tuple("abcdef"))
shares = st.floats(0, 1, width=32)


def rows_of(forest):
    return st.lists(
        st.lists(shares, min_size=len(forest.features), max_size=len(forest.features)), min_size=1, max_size=40
    )


@pytest.mark.slow
@pytest.mark.parametrize("forest", [FOREST, FULL], ids=["4x5", "10x8"])
@given(data=st.data(), window=st.integers(2, 20))
def test_score_is_rivers_bit_for_bit(forest, data, window):
    """HalfSpaceTrees detects: the arrays are River's own trees, row after row, over several windows."""
    river = HalfSpaceTrees(n_trees=forest.n_trees, height=forest.height, window_size=window, seed=forest.seed)
    reference, current = [], []
    for row in data.draw(rows_of(forest)):
        leaves = forest.find_leaves(np.array([row]))
        remembered = np.array([reference or np.zeros((window, forest.n_trees), np.uint8)], np.uint8)
        counted = np.full((1, window), bool(reference))
        ours = forest.score(leaves, remembered, counted, without_masses(forest))[0]
        river_row = as_features(forest, row)
        assert ours == river.score_one(river_row)
        river.learn_one(river_row)
        current.append(leaves[0])
        if len(current) == window:
            reference, current = current, []


@given(data=st.data(), weight=st.integers(1, 50))
def test_score_with_shared_masses_is_rivers(data, weight):
    """Masses that a session shares with all are masses of River's nodes like any other."""
    shared_rows = FOREST.find_leaves(np.array(data.draw(rows_of(FOREST))))
    own_rows = FOREST.find_leaves(np.array(data.draw(rows_of(FOREST))))
    row = data.draw(st.lists(shares, min_size=3, max_size=3))
    masses = FOREST.count_masses(shared_rows) + weight * FOREST.count_masses(own_rows)
    river = HalfSpaceTrees(n_trees=4, height=5, window_size=len(shared_rows) + weight * len(own_rows), seed=42)
    river.learn_one(as_features(FOREST, row))
    river._first_window = False
    for tree, root in enumerate(river.trees):
        level, place = [root], 0
        while level:
            for node in level:
                node.r_mass = int(masses[tree, place])
                place += 1
            level = [child for node in level for child in getattr(node, "children", ())]
    ours = FOREST.score(
        FOREST.find_leaves(np.array([row])),
        own_rows[None],
        np.ones((1, len(own_rows)), bool),
        FOREST.count_masses(shared_rows),
        weight,
    )
    assert ours[0] == river.score_one(as_features(FOREST, row))


def test_score_of_an_unseen_corner_is_higher_than_of_the_usual_one():
    usual = FULL.find_leaves(np.full((30, 6), 0.05))
    rows = FULL.find_leaves(np.array([[0.05] * 6, [0.95] * 6]))
    usual_score, unseen_score = FULL.score(rows, np.stack([usual, usual]), np.ones((2, 30), bool), without_masses(FULL))
    assert usual_score < 0.5 < unseen_score


def test_score_before_any_row_is_zero():
    leaves = FULL.find_leaves(np.zeros((1, 6)))
    assert FULL.score(leaves, np.zeros((1, 3, 10), np.uint8), np.zeros((1, 3), bool), without_masses(FULL))[0] == 0
