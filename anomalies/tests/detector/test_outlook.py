from datetime import timedelta

import pytest

from anomalies.detector.outlook import Outlook, is_trusted, learning_seconds_left, outlook_of
from anomalies.detector.state import Series, Usual, new_states
from anomalies.tests.rooms import START


def new_state(**fields):
    states = new_states(1)
    for name, value in fields.items():
        states.array[name] = value
    return states[0]


def test_nothing_is_expected_of_a_session_that_nothing_is_known_of():
    assert outlook_of(new_state()) == Outlook(learning_seconds_left=60)


@pytest.mark.parametrize(("slots", "seconds"), [(0, 60), (11, 5), (12, 0), (400, 0)])
def test_learning_takes_a_minute(slots, seconds):
    assert learning_seconds_left(new_state(slots=slots)) == seconds


@pytest.mark.parametrize(("held", "same", "trusted"), [(0, 0, True), (2, 11, True), (3, 0, False), (0, 12, False)])
def test_rows_are_trusted_until_three_are_held_or_a_minute_stands_still(held, same, trusted):
    assert bool(is_trusted(new_state(held=held, same=same))) is trusted


def test_usual_is_told_in_the_units_of_the_signals_and_only_where_it_is_known():
    state = new_state()
    state.history[Series.PEOPLE] = 200
    state.usual[[Usual.CHAT_RATE, Usual.ACTIVE_SHARE, Usual.MEAN_SCORE]] = 0.0078125, 0.75, 0.625
    outlook = outlook_of(state)
    assert outlook.usual == {"chat_msgs_per_min": 18.75, "active_share": 0.75}
    assert outlook.expected == 0.625


def test_band_leaves_out_the_blocks_that_were_not_learnt():
    state = new_state(n_band=3, band_at=START.timestamp())
    state.band[-3:] = [[51, 102], [0, 0], [102, 153]]
    assert outlook_of(state).band == ((START - timedelta(seconds=60), 0.2, 0.4), (START, 0.4, 0.6))
