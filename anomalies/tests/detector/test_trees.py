import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.anomaly import HalfSpaceTrees

from anomalies.detector.leaves import find_leaves, score_leaves
from anomalies.detector.trees import Forest, as_features, without_masses

FOREST = Forest(("a", "b", "c"), n_trees=4, height=5)
FULL = Forest(tuple("abcdef"))
shares = st.floats(0, 1, width=32)


def rows_of(forest):
    return st.lists(
        st.lists(shares, min_size=len(forest.features), max_size=len(forest.features)), min_size=1, max_size=40
    )


def leaves_of(forest, rows):
    return np.array([find_leaves(np.array(row), *forest.splits) for row in rows])


@pytest.mark.slow
@pytest.mark.parametrize("forest", [FOREST, FULL], ids=["4x5", "10x8"])
@given(data=st.data(), window=st.integers(2, 20))
def test_score_is_rivers_bit_for_bit(forest, data, window):
    """HalfSpaceTrees detects: the arrays are River's own trees, row after row, over several windows."""
    river = HalfSpaceTrees(n_trees=forest.n_trees, height=forest.height, window_size=window, seed=forest.seed)
    reference, current = [], []
    for row in data.draw(rows_of(forest)):
        leaves = find_leaves(np.array(row), *forest.splits)
        remembered = np.array(reference, np.uint8).reshape(-1, forest.n_trees)
        ours = score_leaves(leaves, remembered, without_masses(forest), 1)
        river_row = as_features(forest, row)
        assert ours == river.score_one(river_row)
        river.learn_one(river_row)
        current.append(leaves)
        if len(current) == window:
            reference, current = current, []


@given(data=st.data(), weight=st.integers(1, 50))
def test_score_with_shared_masses_is_rivers(data, weight):
    """Masses that a session shares with all are masses of River's nodes like any other."""
    shared_rows, own_rows = (leaves_of(FOREST, data.draw(rows_of(FOREST))) for _ in range(2))
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
    ours = score_leaves(leaves_of(FOREST, [row])[0], own_rows, FOREST.count_masses(shared_rows), weight)
    assert ours == river.score_one(as_features(FOREST, row))


def test_score_of_an_unseen_corner_is_higher_than_of_the_usual_one():
    usual, unseen = leaves_of(FULL, [[0.05] * 6, [0.95] * 6])
    remembered = np.array([usual] * 30)
    usual_score, unseen_score = (score_leaves(row, remembered, without_masses(FULL), 1) for row in (usual, unseen))
    assert usual_score < 0.5 < unseen_score


def test_score_before_any_row_is_zero():
    (leaves,) = leaves_of(FULL, [[0.0] * 6])
    assert score_leaves(leaves, np.zeros((0, 10), np.uint8), without_masses(FULL), 1) == 0
