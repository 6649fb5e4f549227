from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalies.detector.config import DEFAULT
from anomalies.detector.counts import take
from anomalies.detector.rows import as_rows
from anomalies.detector.sizes import HISTORY_SLOTS
from anomalies.detector.state import LAST_MINUTE, Series, Usual, new_states
from anomalies.tests.rooms import SLOT, START, healthy_room
from engagement.readings import Reading, StoredReading
from engagement.scoring import score

TUNING = DEFAULT.record[0]


def take_all(readings):
    states = new_states(1)
    taken = [take(states.records[0], row, TUNING) for row in as_rows(readings).array]
    return states, taken


def know_the_room(states):
    states.usual[:, [Usual.CHAT_RATE, Usual.REACTION_RATE, Usual.LEAVE_RATE]] = 0.02, 0.01, 0.0
    states.usual[:, [Usual.ACTIVE_SHARE, Usual.MEAN_SCORE]] = 0.75, 0.8


def rolling(counts):
    """Return a row a slot whose chat rate is the exact count of the last twelve slots."""
    return [
        Reading(START + (slot + 1) * SLOT, float(sum(counts[max(0, slot - 11) : slot + 1])), None, 50, 100, 0.0, 0.0)
        for slot in range(len(counts))
    ]


@pytest.mark.slow
@given(st.lists(st.integers(0, 50), min_size=48, max_size=80))
def test_counts_are_found_again_from_rolling_rates(counts):
    """After a minute the slots hold exactly what came in them, burst or silence."""
    minute_of_zeros = [0] * 12  # so that the first row's rate is what came in its own slot
    states, taken = take_all(rolling(minute_of_zeros + counts))
    assert all(taken)
    assert states.history[0, Series.CHATS].tolist() == counts[-HISTORY_SLOTS:]


@pytest.mark.slow
@given(st.lists(st.integers(0, 50), min_size=48, max_size=80), st.integers(2, 11))
def test_gap_of_rows_is_the_sum_of_its_counts(counts, missing):
    rows = rolling([0] * 12 + counts)
    states, _ = take_all([*rows[: -missing - 1], rows[-1]])
    expected = sum(counts[-missing - 1 :])
    assert np.isclose(states.history[0, Series.CHATS, -missing - 1 :].sum(), expected, rtol=1e-5)


def test_stored_readings_are_judged_by_their_stored_scores():
    """The score of a stored row is a fact; one that is unknown stays so, though a score can be counted today."""
    signals = {"chat_msgs_per_min": 12.0, "active_users": 40, "total_users": 50}
    counted = Reading(START, **signals)
    stored = [StoredReading(START, **signals, engagement_score=value) for value in (0.25, None)]
    scores = as_rows([counted, *stored]).score.tolist()
    assert scores[:2] == [score(counted).value, 0.25]
    assert np.isnan(scores[2])


def test_glitch_row_is_held_and_the_next_good_row_taken():
    rows = healthy_room(minutes=5)
    absurd = replace(rows[40], chat_msgs_per_min=0.0, reactions_per_min=0.0, active_users=0)
    states, taken = take_all([*rows[:40], absurd, *rows[41:]])
    assert [place for place, ok in enumerate(taken) if not ok] == [40]
    assert np.isclose(states.history[0, Series.CHATS, LAST_MINUTE].sum(), rows[-1].chat_msgs_per_min, rtol=1e-5)


def test_guessed_slots_sum_to_the_rate_at_every_row():
    """A stream that is joined in mid-session has no exact counts, and never needs to hold a row for it."""
    rows = healthy_room(seed=3, minutes=10)
    states = new_states(1)
    for row, reading in zip(as_rows(rows).array, rows, strict=True):
        assert take(states.records[0], row, TUNING)
        assert np.isclose(states.history[0, Series.CHATS, LAST_MINUTE].sum(), reading.chat_msgs_per_min, rtol=1e-4)


def test_glitch_that_stays_is_believed_at_the_second_row():
    rows = healthy_room(minutes=5)
    fallen = [replace(row, chat_msgs_per_min=0.0, reactions_per_min=0.0, active_users=5) for row in rows[40:]]
    states, taken = take_all([*rows[:40], *fallen])
    assert taken.count(False) == 1
    assert states.history[0, Series.CHATS, LAST_MINUTE].tolist() == [0.0] * 12


def test_frozen_audience_with_no_events_is_held_for_five_minutes():
    rows = healthy_room(minutes=16, audience=400, lost_from=10)
    states = new_states(1)
    know_the_room(states)
    taken = [take(states.records[0], row, TUNING) for row in as_rows(rows).array]
    lost = taken[10 * 12 :]
    assert lost.index(True) == DEFAULT.holding.stall_rows


def test_rows_that_come_every_second_are_counted_once_a_slot():
    rows = [Reading(START + timedelta(seconds=n), 12.0, None, 50, 100, 0.0, 0.0) for n in range(60)]
    states, taken = take_all(rows)
    assert states.slots[0] == sum(taken) == 12 + 1


def test_unknown_signals_are_unknown_and_not_zero():
    states, _ = take_all([Reading(START + n * SLOT, chat_msgs_per_min=12.0) for n in range(30)])
    history = states.history[0]
    assert np.isnan(history[Series.ACTIVITY]).all()
    assert np.isnan(history[Series.LEAVERS]).all()
    assert (history[Series.CHATS, LAST_MINUTE] == 1.0).all()
    assert (history[Series.PEOPLE, LAST_MINUTE] == 1.0).all()
    assert np.isfinite(history[Series.SCORE, LAST_MINUTE]).all()


def test_leave_rate_becomes_a_number_of_people():
    rows = [Reading(START + n * SLOT, 5.0, None, 50, 100, 5.0, 0.0) for n in range(20)]
    exodus = Reading(START + 20 * SLOT, 5.0, None, 40, 80, 5.0, 0.2)
    states, _ = take_all([*rows, exodus])
    assert np.isclose(states.history[0, Series.LEAVERS, -1], 20)


def test_a_signal_that_appears_late_starts_from_its_own_rate():
    rows = [Reading(START + n * SLOT, active_users=50, total_users=100) for n in range(20)]
    rows += [Reading(START + n * SLOT, 24.0, active_users=50, total_users=100) for n in range(20, 26)]
    states, taken = take_all(rows)
    assert all(taken)
    assert np.allclose(states.history[0, Series.CHATS, LAST_MINUTE], 2.0)


def test_slots_in_which_events_were_lost_expect_nothing():
    """When the events come back the lost minute is no drop: nobody was heard in it, so nothing was expected."""
    rows = healthy_room(minutes=16, audience=400, lost_from=10)
    healthy = healthy_room(seed=1, minutes=16, audience=400)
    states = new_states(1)
    know_the_room(states)
    back = [replace(row, chat_msgs_per_min=3.0, reactions_per_min=2.0) for row in healthy[144:145]]
    for row in as_rows([*rows[:144], *back]).array:
        take(states.records[0], row, TUNING)
    assert states.history[0, Series.CHATS, -1] == 3.0
    assert states.history[0, Series.PEOPLE, -23:-1].tolist() == [0.0] * 22
    assert states.history[0, Series.PEOPLE, -1] == 400


def test_leaves_that_were_cut_off_at_zero_do_not_stay_in_the_sum():
    """Joins lower a leave rate faster than its leavers go; what is cut off would be an exodus a minute later."""
    rates = [0.05, 0.05, 0.01, 0.0, 0.04, 0.04, 0.01, 0.03] * 6
    rows = [Reading(START + n * SLOT, 5.0, None, 50, 100, 5.0, rate) for n, rate in enumerate(rates)]
    states, _ = take_all(rows)
    assert np.isclose(states.history[0, Series.LEAVERS, LAST_MINUTE].sum(), 100 * 0.03 / 0.97, rtol=1e-4)


def test_glitch_after_a_held_row_is_held_too():
    """Two things that cannot be true are no confirmation of each other."""
    rows = healthy_room(minutes=12, audience=400, lost_from=11)
    states = new_states(1)
    for row in as_rows(rows[:132]).array:
        take(states.records[0], row, TUNING)
    know_the_room(states)
    absurd = replace(rows[133], chat_msgs_per_min=0.0, reactions_per_min=0.0, active_users=0)
    assert [take(states.records[0], row, TUNING) for row in as_rows([rows[132], absurd]).array] == [False, False]


def test_numbers_that_stood_still_and_go_on_are_a_gap():
    """Nothing was lost: what came meanwhile is in the rates of the first row after."""
    rows = healthy_room(minutes=10, audience=400)
    frozen = [replace(rows[80], timestamp=row.timestamp) for row in rows[81:100]]
    states = new_states(1)
    for row in as_rows(rows[:80]).array:
        take(states.records[0], row, TUNING)
    know_the_room(states)
    for row in as_rows([rows[80], *frozen]).array:
        take(states.records[0], row, TUNING)
    assert states.same[0] == len(frozen)
    for row in as_rows(rows[100:102]).array:
        take(states.records[0], row, TUNING)
    assert states.same[0] == 0
    assert states.history[0, Series.PEOPLE].tolist() == [400.0] * HISTORY_SLOTS
    assert np.isclose(states.history[0, Series.CHATS, LAST_MINUTE].sum(), rows[101].chat_msgs_per_min, rtol=1e-4)


def test_no_more_people_leave_than_were_there():
    """A leave rate of 1 says that nobody stayed, not how many went."""
    rows = [Reading(START + n * SLOT, 5.0, None, 2, 2, 5.0, 0.0) for n in range(20)]
    states, _ = take_all([*rows, Reading(START + 20 * SLOT, 5.0, None, 0, 1, 5.0, 1.0)])
    assert states.history[0, Series.LEAVERS, LAST_MINUTE].sum() <= 2
