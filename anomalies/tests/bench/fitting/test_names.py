import math

import numpy as np
import pytest

from anomalies.bench.fitting.folds import play_fold
from anomalies.bench.fitting.names import gather_falls, named_rightly, regress, with_names
from anomalies.detector.classifier import Fall
from anomalies.detector.config import START


def falls_of(n=400, seed=1):
    """Return made-up falls of which the first figure tells the kind, off by chance, and the others nothing."""
    rng = np.random.default_rng(seed)
    kinds = (rng.random(n) < 0.2).astype(float)
    figures = rng.normal(size=(n, len(Fall._fields)))
    figures[:, 0] += 3 * kinds
    return figures, kinds


def test_regression_finds_the_figure_that_tells():
    _, weights = regress(*falls_of())
    assert np.argmax(np.abs(weights)) == 0
    assert weights[0] > 5 * np.abs(weights[1:]).max()


def test_regression_does_not_care_in_which_unit_a_figure_comes():
    x, y = falls_of()
    constant, weights = regress(x, y)
    other_constant, other = regress(x * 1000 + 5, y)
    assert x @ weights + constant == pytest.approx((x * 1000 + 5) @ other + other_constant, abs=1e-6)


def test_falls_get_the_names_that_the_weights_give():
    x, y = falls_of()
    learnt = with_names(START, x, y)
    assert named_rightly(learnt, *falls_of(seed=2)) > 0.85
    assert named_rightly(START, x, y) == 0.5  # nothing is known: all are declines
    assert math.isnan(named_rightly(learnt, x[y == 1], y[y == 1]))


@pytest.mark.slow
def test_falls_are_gathered_where_they_are_looked_at_again():
    folds = [play_fold("rates", False, 21, {"activity": 12})]
    figures, kinds = gather_falls(folds, START)
    assert figures.shape == (len(kinds), len(Fall._fields))
    assert np.isfinite(figures).all()
    assert set(kinds) <= {0.0, 1.0}
    assert len(kinds) >= 3
