from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalies.detector.config import DEFAULT
from anomalies.detector.evidence import Horizon, gather_evidence, look_around
from anomalies.detector.sizes import HISTORY_SLOTS
from anomalies.detector.state import Deviation, Figure, Series, Usual, new_states

TUNING = DEFAULT.record[0]
COUNTS, SHARES = DEFAULT.counts, DEFAULT.shares
MANY = 3200  # so many that evidence counts in full, and a share by chance is no wider than 1 %


def room(people=100, chats=0.0, reactions=0.0, activity=0.75):
    """Return the state of a session with so many people and so many events a slot, all of it usual in this room."""
    states = new_states(1)
    states.history[:, Series.CHATS], states.history[:, Series.REACTIONS] = chats, reactions
    states.history[:, Series.PEOPLE], states.history[:, Series.ACTIVITY] = people, activity
    states.previous[:, Figure.PRESENT] = people
    states.usual[:, Usual.CHAT_RATE], states.usual[:, Usual.REACTION_RATE] = chats / people, reactions / people
    states.usual[:, Usual.ACTIVE_SHARE] = activity
    states.asked, states.proven = DEFAULT.baseline.least_proofs, 1.0
    return states


def evidence_of(states):
    state = states.records[0]
    return gather_evidence(state, look_around(state, TUNING), TUNING)


def z_of(states):
    return evidence_of(states).unscaled


def test_what_is_usual_is_no_evidence():
    evidence = evidence_of(room(MANY, chats=50, reactions=25))
    assert np.abs(evidence.by_horizon).max() < 0.01


def test_count_below_the_usual_is_told_in_deviations_of_its_logarithm():
    states = room(100, chats=6.25)
    states.history[:, Series.CHATS, -6:] = 0
    expected = 6.25 * 6
    z = log((expected + 0.5) / 0.5) / sqrt(COUNTS.dispersion / (expected + 1) + COUNTS.rate_spread**2)
    assert z_of(states)[Deviation.CHAT + Horizon.SHORT] == pytest.approx(z, rel=1e-12)


def test_share_below_the_usual_is_told_in_people():
    states = room(MANY, activity=0.75)
    states.history[:, Series.ACTIVITY, -SHARES.slots :] = 0.5
    z = log((2400 + 0.5) / (1600 + 0.5)) / sqrt(0.25 / (2400 + 0.5) + SHARES.spread**2)
    assert z_of(states)[Deviation.ACTIVITY] == pytest.approx(z, rel=1e-12)


def test_three_people_who_turn_away_count_in_full_and_one_for_a_third():
    def z(turned_away):
        states = room(64, activity=0.75)
        states.history[:, Series.ACTIVITY, -4:] = (48 - turned_away) / 64
        spread = sqrt(0.25 / (48 + 0.5) + SHARES.spread**2)
        return z_of(states)[Deviation.ACTIVITY] * spread / log(48.5 / (48.5 - turned_away))

    assert z(3) == pytest.approx(1, rel=1e-9)
    assert z(1) == pytest.approx(1 / 3, rel=1e-9)


def test_sharp_fall_is_against_the_rooms_own_last_minute():
    states = room(MANY, activity=0.5)
    states.usual[:, Usual.ACTIVE_SHARE] = 0.25  # it was never so lively
    states.history[:, Series.ACTIVITY, -1] = 0.375
    z = log((1600 + 0.5) / (1200 + 0.5)) / sqrt(0.5 / (1600 + 0.5) + 0.05**2)
    assert z_of(states)[Deviation.SHARP] == pytest.approx(z, rel=1e-12)


def test_sharp_fall_goes_on_where_two_rows_together_lie_low():
    states = room(MANY, activity=0.5)
    states.history[:, Series.ACTIVITY, -1] = 0.42
    assert not evidence_of(states).is_falling
    states.history[:, Series.ACTIVITY, -2] = 0.42
    assert evidence_of(states).is_falling


def test_noisier_room_needs_a_deeper_fall():
    states = room(MANY, chats=50)
    states.history[:, Series.CHATS, -3:] = 25
    calm = evidence_of(states)
    states.noise = 4.0
    noisy = evidence_of(states)
    assert noisy.chat == pytest.approx(calm.chat / 2)
    assert np.array_equal(noisy.unscaled, calm.unscaled)


def test_chat_that_is_all_we_know_does_not_excuse_itself_by_its_noise():
    states = room(1, chats=50, activity=np.nan)
    states.history[:, Series.CHATS, -12:] = 10
    states.previous[:, Figure.PRESENT] = np.nan
    calm = evidence_of(states).by_horizon
    states.noise = 4.0
    assert np.array_equal(evidence_of(states).by_horizon, calm)


def test_signal_without_events_weighs_nothing():
    states = room(MANY, chats=50)
    states.history[:, Series.CHATS, -3:] = 0
    evidence = evidence_of(states)
    assert evidence.chat > 3
    assert evidence.reactions == 0


def test_evidence_of_few_people_counts_for_less():
    def worst(people):
        states = room(people, activity=0.75)
        states.history[:, Series.ACTIVITY] = 0.0
        evidence = evidence_of(states)
        return evidence.worst / evidence.activity

    full = round(DEFAULT.weighing.full_audience)
    assert worst(10) == pytest.approx(worst(full) * sqrt(10 / full))
    assert worst(full) == pytest.approx(worst(MANY))


def test_sharp_fall_is_none_where_nobody_says_who_listens():
    states = room(MANY, chats=50)
    states.history[:, Series.ACTIVITY, -1] = 0.1
    states.proven = 0.0
    assert evidence_of(states).sharp == DEFAULT.sharp_falls.without_activity


signals = st.lists(st.floats(0, 100, width=32), min_size=HISTORY_SLOTS, max_size=HISTORY_SLOTS)


@given(signals, signals, st.integers(1, 1000))
def test_evidence_is_finite_and_within_its_limits(chats, reactions, people):
    states = room(people, chats=5, reactions=5)
    states.history[0, Series.CHATS], states.history[0, Series.REACTIONS] = chats, reactions
    states.history[0, Series.ACTIVITY] = np.array(chats, np.float32) / 100
    evidence = evidence_of(states)
    assert np.isfinite(evidence.by_horizon).all()
    weighing, most_turned_away = DEFAULT.weighing, DEFAULT.sharp_falls.turned_away_part * DEFAULT.weighing.worst_sharp
    assert weighing.best <= min(evidence.chat, evidence.reactions) <= weighing.worst_events
    assert weighing.best <= evidence.activity <= most_turned_away


@given(st.lists(st.integers(0, 40), min_size=2, max_size=2), st.integers(10, 1000))
def test_fewer_chats_are_never_less_evidence(chats, people):
    fewer, more = (room(people, chats=20) for _ in chats)
    fewer.history[:, Series.CHATS, -3:], more.history[:, Series.CHATS, -3:] = min(chats), max(chats)
    assert (evidence_of(fewer).by_horizon >= evidence_of(more).by_horizon).all()
