from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from anomalies.detector import prior
from anomalies.detector.prior import FOREST, Prior, dumps, loads, masses_of, nothing_known, shipped, tail_of
from anomalies.detector.verdicts import find_rarity

SHIPPED = Path(prior.__file__).parent / "prior.json"

leaves = st.lists(
    st.lists(st.integers(0, 2**FOREST.height - 1), min_size=FOREST.n_trees, max_size=FOREST.n_trees), min_size=1
)
scores = st.lists(st.floats(0, 1).map(lambda score: round(score, 9)), min_size=4, max_size=200)


@given(leaves, scores)
def test_prior_is_read_as_it_was_written(rows, tree_scores):
    written = Prior(masses_of(np.array(rows, np.uint8)), tail_of(np.array(tree_scores)))
    read = loads(dumps(written))
    assert np.array_equal(read.masses, written.masses)
    assert np.array_equal(read.tail, written.tail)
    assert dumps(read) == dumps(written)


def test_every_row_of_a_prior_passes_the_root_of_every_tree():
    rows = np.zeros((7, FOREST.n_trees), np.uint8)
    assert masses_of(rows)[:, 0].tolist() == [7] * FOREST.n_trees


def test_tail_holds_what_1_in_10_to_a_tenth_of_k_exceeds():
    tail = tail_of(np.linspace(0, 1, 1001))
    assert tail[[10, 20]].tolist() == [0.9, 0.99]
    assert len(tail) == 26  # 1 in 10^2.5 are three of a thousand; beyond lie fewer


@given(scores)
def test_tail_rises_and_begins_under_every_score(tree_scores):
    tail = tail_of(np.array(tree_scores))
    assert (np.diff(tail) >= 0).all()
    assert tail[0] < 0


@given(st.lists(st.floats(0, 1), min_size=2))
def test_higher_score_is_never_less_rare(tree_scores):
    rarity = [find_rarity(score, shipped().tail) for score in sorted(tree_scores)]
    assert (np.diff(rarity) >= 0).all()
    assert rarity[0] >= 0.1


def test_no_score_is_rare_where_nothing_is_known():
    assert [find_rarity(score, nothing_known().tail) for score in (0.0, 1.0)] == [0, 0]


def test_shipped_prior_is_of_twenty_thousand_quiet_rows_and_more():
    assert dumps(shipped()) == SHIPPED.read_text()
    roots = shipped().masses[:, 0]
    assert (roots == roots[0]).all()
    assert roots[0] >= 20_000


@pytest.mark.long
@pytest.mark.slow
def test_learning_with_its_defaults_gives_the_shipped_prior(tmp_path):
    call_command("learn_prior", out=tmp_path / "prior.json")
    assert (tmp_path / "prior.json").read_bytes() == SHIPPED.read_bytes()
