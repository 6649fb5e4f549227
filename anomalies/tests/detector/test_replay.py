"""The properties of the judgement as a whole: what holds for any room, however its rows arrive."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anomalies.detector.replay import judge_rows, judge_sessions
from anomalies.detector.state import new_states, pack, unpack
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import SLOT, START, at_minute, collapse, healthy_room, silence
from engagement.readings import Reading

TIMETABLE = Timetable(ends_at=at_minute(25), breaks=((at_minute(16), at_minute(18)),))


def eventful_room(seed, audience=100):
    rows = silence(healthy_room(seed, 28, audience), at_minute(6), at_minute(8))
    return collapse(rows, at_minute(20))


def judge_in_batches(readings, size):
    states, changes = new_states(1), []
    for first in range(0, len(readings), size):
        batch = readings[first : first + size]
        changes += judge_rows(states, [batch], [TIMETABLE])[0]
        states[0] = unpack(pack(states[0]))  # as a worker does between two sweeps
    return changes, states[0].array.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_batches_of_any_size_give_the_same_verdicts(seed):
    rows = eventful_room(seed)
    whole = judge_in_batches(rows, 1000)
    assert whole[0], "a room in which nothing is found proves nothing"
    assert judge_in_batches(rows, 1) == whole
    assert judge_in_batches(rows, 7) == whole


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 120), max_size=8), st.integers(0, 50))
def test_batches_cut_anywhere_give_the_same_verdicts(cuts, seed):
    rows = eventful_room(seed)
    states, changes = new_states(1), []
    places = [0, *np.cumsum(cuts).tolist(), len(rows)]
    for first, last in pairwise(places):
        changes += judge_rows(states, [rows[first:last]], [TIMETABLE])[0]
    assert (changes, states[0].array.tobytes()) == judge_in_batches(rows, 1000)


@pytest.mark.slow
def test_sessions_do_not_touch_each_other():
    """Sessions do not touch each other: judged together or alone, every verdict and state is the same."""
    rooms = [eventful_room(seed, audience=30 + 50 * seed) for seed in range(5)]
    together = new_states(5)
    changes = judge_rows(together, rooms, [TIMETABLE] * 5)
    for place, room in enumerate(rooms):
        alone = new_states(1)
        assert judge_rows(alone, [room], [TIMETABLE])[0] == changes[place]
        assert alone[0].array.tobytes() == together[place].array.tobytes()


def test_every_session_has_a_detector_of_its_own():
    """Every session has a detector of its own: what is usual in one room is an incident in another."""
    lively, quiet = healthy_room(1, 20, chats_per_head=0.3), healthy_room(2, 20, chats_per_head=0.02, active_share=0.25)
    falls_to_the_quiet_one = [*lively[:120], *[replace(row, total_users=100) for row in quiet[120:]]]
    incidents = judge_sessions({"fell": (falls_to_the_quiet_one, Timetable()), "quiet": (quiet, Timetable())})
    assert incidents["fell"]
    assert incidents["quiet"] == []


readings = st.builds(
    Reading,
    timestamp=st.just(START),
    chat_msgs_per_min=st.none() | st.floats(0, 500),
    poll_participation=st.none() | st.floats(0, 1),
    active_users=st.none() | st.integers(20, 5000),
    total_users=st.none() | st.integers(20, 5000),
    reactions_per_min=st.none() | st.floats(0, 500),
    user_leave_rate=st.none() | st.floats(0, 0.05),
)


@pytest.mark.slow
@settings(max_examples=25)
@given(readings, st.integers(30, 200))
@example(Reading(START, active_users=None, total_users=195, user_leave_rate=0.046875, chat_msgs_per_min=5.0), 30)
def test_constant_input_is_never_anomalous(reading, n):
    """Except for a room that is dead from the start, which is what it is from its first minute on."""
    rows = [replace(reading, timestamp=START + k * SLOT) for k in range(n)]
    found = judge_sessions({"constant": (rows, Timetable())})["constant"]
    assert all(i.anomaly_type == "LOW_ENGAGEMENT" and i.timestamp <= START + 14 * SLOT for i in found)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(readings, min_size=20, max_size=60))
def test_any_rows_give_finite_verdicts(rows):
    rows = [replace(row, timestamp=START + k * SLOT) for k, row in enumerate(rows)]
    for incident in judge_sessions({"any": (rows, Timetable())})["any"]:
        assert 0 <= incident.anomaly_score <= 1
        assert incident.severity in {"WARNING", "CRITICAL"}


def test_judging_does_not_depend_on_what_was_judged_before_with_the_same_state():
    """Replay repeats every verdict."""
    rows = eventful_room(4)
    assert judge_sessions({"a": (rows, TIMETABLE)}) == judge_sessions({"a": (rows, TIMETABLE)})
