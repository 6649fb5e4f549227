import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalies.detector.bursts import deviate_of, find_burst_z, learn_dispersion, sum_long, tail_of
from anomalies.detector.config import DEFAULT
from anomalies.detector.replay import judge_rows
from anomalies.detector.sizes import EARLIER_SLOTS, HISTORY_SLOTS
from anomalies.detector.state import Series, new_states
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import SLOT, START
from engagement.readings import Reading

TUNING = DEFAULT.record[0]["bursts"]
LONG = DEFAULT.bursts.long_slots


def rows_of(counts):
    """Return rows of a room of which only the chats of the last minute are told."""
    return [
        Reading(START + (slot + 1) * SLOT, chat_msgs_per_min=float(sum(counts[max(0, slot - 11) : slot + 1])))
        for slot in range(len(counts))
    ]


def judged(counts):
    states = new_states(1)
    judge_rows(states, [rows_of([0] * 12 + list(counts))], [Timetable()])
    return states


def probability(number, mean, variance):
    """Of a negative binomial count, by its formula."""
    part = mean / variance
    size = mean * part / (1 - part)
    log = math.lgamma(size + number) - math.lgamma(size) - math.lgamma(number + 1)
    return math.exp(log + size * math.log(part) + number * math.log(1 - part))


@given(st.floats(0.1, 400), st.floats(1.05, 20), st.integers(0, 30))
def test_tail_is_that_of_a_negative_binomial(mean, times, seen):
    variance = mean * times
    expected = sum(probability(number, mean, variance) for number in range(seen + 1))
    assert tail_of(float(seen), mean, variance) == pytest.approx(expected, rel=1e-9)


@given(st.floats(1, 400), st.floats(1.05, 20), st.floats(0, 300), st.floats(0, 3))
def test_more_is_never_rarer(mean, times, seen, more):
    tail = tail_of(seen, mean, mean * times)
    assert 0 < tail <= tail_of(seen + more, mean, mean * times) * (1 + 1e-12) <= 1 + 1e-9


@given(st.floats(1e-280, 0.5))
def test_deviate_is_that_of_the_normal_distribution(tail):
    assert deviate_of(tail) == pytest.approx(-NormalDist().inv_cdf(tail), abs=5e-4)


def test_nothing_is_too_few_where_nothing_is_expected():
    state = new_states(1).records[0]
    assert find_burst_z(state, Series.CHATS, 0.0, 0.0, 0.0, TUNING) == 0
    assert find_burst_z(state, Series.CHATS, 0.0, math.nan, 0.0, TUNING) == 0


@pytest.mark.parametrize("expected", [10.0, 100.0, 1e7])
def test_fewer_is_worse_and_as_many_as_usual_is_nothing(expected):
    state = new_states(1).records[0]
    z = [
        find_burst_z(state, Series.CHATS, part * expected, expected, 0.0, TUNING) for part in (2.0, 1.0, 0.5, 0.1, 0.0)
    ]
    assert z == sorted(z)
    assert z[0] < z[1] == 0 < z[-1] < 8


def test_none_is_no_news_where_one_is_expected():
    assert find_burst_z(new_states(1).records[0], Series.CHATS, 0.0, 1.0, 0.0, TUNING) == 0


def test_rounding_makes_less_of_it():
    state = new_states(1).records[0]
    z = [find_burst_z(state, Series.CHATS, 0.0, 10.0, rounding, TUNING) for rounding in (4.1, 0.0)]
    assert 0 < z[0] < z[1]


def test_silence_is_rarer_in_a_room_whose_events_do_not_cluster():
    even, uneven = new_states(2).records
    for block in range(60):
        learn_dispersion(even, Series.CHATS, 10.0 + block % 3 - 1, 10.0, TUNING)
        learn_dispersion(uneven, Series.CHATS, 40.0 * (block % 4 == 0), 10.0, TUNING)
    z = [find_burst_z(state, Series.CHATS, 1.0, 10.0, 0.0, TUNING) for state in (uneven, even)]
    assert z[0] < 0.7 * z[1]


def test_blocks_of_which_hardly_anything_is_expected_teach_nothing():
    state = new_states(1).records[0]
    for count, expected in ((5.0, 0.4), (5.0, math.nan), (math.nan, 5.0)):
        learn_dispersion(state, Series.CHATS, count, expected, TUNING)
    assert state.n_dispersion[Series.CHATS] == 0


def test_one_large_block_teaches_only_so_much():
    state = new_states(1).records[0]
    learn_dispersion(state, Series.CHATS, 1e6, 10.0, TUNING)
    assert state.dispersion[Series.CHATS] == DEFAULT.bursts.limit


@pytest.mark.slow
@given(st.lists(st.integers(0, 50), min_size=LONG + 12, max_size=80))
def test_three_minutes_are_the_newest_thirty_six_slots(counts):
    assert sum_long(judged(counts).records[0], Series.CHATS, LONG) == sum(counts[-LONG:])


def test_two_minutes_and_less_of_the_third_are_summed_too():
    states = new_states(1)
    states.history[0, Series.CHATS] = 1
    states.earlier[0, Series.CHATS] = np.arange(EARLIER_SLOTS)
    assert sum_long(states.records[0], Series.CHATS, HISTORY_SLOTS) == HISTORY_SLOTS
    assert sum_long(states.records[0], Series.CHATS, HISTORY_SLOTS + 2) == HISTORY_SLOTS + 2 * EARLIER_SLOTS - 3


def test_a_room_learns_how_its_chat_clusters():
    rng = np.random.default_rng(1)
    even = judged(rng.poisson(3, 600))
    uneven = judged(np.repeat(rng.gamma(1.0, 3.0, 100), 6).astype(int))
    assert even.dispersion[0, Series.CHATS] < 2 < 4 < uneven.dispersion[0, Series.CHATS]
    assert even.n_dispersion[0].tolist() == [np.max(even.n_dispersion), 0]


def test_where_somebody_counts_the_audience_nothing_of_it_is_kept():
    states = new_states(1)
    rows = [Reading(row.timestamp, row.chat_msgs_per_min, None, 20, 40) for row in rows_of([3] * 400)]
    judge_rows(states, [rows], [Timetable()])
    assert not states.earlier.any()
    assert not states.n_dispersion.any()
