import numpy as np
import pytest

from anomalies.detector.config import DEFAULT
from anomalies.detector.dead_rooms import count_low, dead_score, mean_latest_score
from anomalies.detector.state import Series, new_states

LOW = DEFAULT.low_engagement


@pytest.mark.parametrize(("mean", "score"), [(0.2, 0.6), (0.1, 0.8), (0.0, 1.0), (0.7, 0.6)])
def test_dead_room_is_the_surer_the_less_happens(mean, score):
    assert dead_score(np.array([mean]), DEFAULT)[0] == pytest.approx(score)


def test_mean_is_of_the_three_latest_scores_that_are_known():
    states = new_states(2)
    states.history[0, Series.SCORE, -4:] = [0.9, 0.25, np.nan, 0.75]
    assert mean_latest_score(states, LOW).tolist() == [0.5, 1.0]


def test_low_rows_are_counted_in_a_row_and_lively_ones_ever():
    states = new_states(1)
    for mean in (0.1, 0.5, 0.1, 0.5, 0.2, 0.2):
        count_low(states, np.array([mean]), LOW)
    assert (states.low[0], states.lively[0]) == (2, 2)
