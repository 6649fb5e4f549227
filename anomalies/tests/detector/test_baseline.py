from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomalies.detector import baseline
from anomalies.detector.arrays import NEWEST
from anomalies.detector.config import DEFAULT
from anomalies.detector.replay import judge_rows
from anomalies.detector.rows import as_rows
from anomalies.detector.sizes import BAND_BLOCKS, BLOCK_SLOTS, BLOCKS, SLOT_SECONDS
from anomalies.detector.state import BAND_UNITS, Series, Usual, new_states
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import SLOT, START, at_minute, healthy_room, silence
from engagement.readings import OPTIONAL, Reading

BASELINE, TUNING, BURSTS = DEFAULT.baseline, DEFAULT.record[0]["baseline"], DEFAULT.record[0]["bursts"]


def learn_blocks(states, blocks, people=100):
    """Let rooms of so many people learn a block of each number of chats a slot; nothing else is known of them."""
    for chats in blocks:
        for _ in range(BLOCK_SLOTS):
            states.t += SLOT_SECONDS
            states.history[:, :, NEWEST] = np.nan
            states.history[:, Series.CHATS, NEWEST] = chats
            states.history[:, Series.PEOPLE, NEWEST] = people
            states.history[:, Series.SCORE, NEWEST] = 0.5
            for state in states.records:
                baseline.learn(state, TUNING, BURSTS)
    return states


def chat_rate(states):
    return float(states.usual_of(Usual.CHAT_RATE)[0])


def test_rates_are_per_head_and_what_is_unknown_stays_so():
    states = learn_blocks(new_states(1), [25])
    assert chat_rate(states) == 0.25
    assert states.usual_of(Usual.MEAN_SCORE).tolist() == [0.5]
    assert np.isnan(states.usual[0, [Usual.REACTION_RATE, Usual.LEAVE_RATE, Usual.ACTIVE_SHARE]]).all()


def test_nothing_is_usual_before_a_block_is_full():
    states = new_states(1)
    states.history[:, Series.PEOPLE, NEWEST] = 100
    for _ in range(BLOCK_SLOTS - 1):
        baseline.learn(states.records[0], TUNING, BURSTS)
    assert states.n_blocks[0] == 0
    assert np.isnan(states.usual).all()


def test_newest_block_counts_only_while_there_are_but_two():
    assert chat_rate(learn_blocks(new_states(1), [25, 75])) == 0.5
    assert chat_rate(learn_blocks(new_states(1), [25, 25, 75])) == 0.25


def test_single_odd_blocks_do_not_move_what_is_usual():
    assert chat_rate(learn_blocks(new_states(1), [25, 25, 100, 25, 0, 25, 25, 25, 25])) == 0.25


@given(st.lists(st.integers(0, 200), min_size=12, max_size=12))
def test_usual_is_among_its_ten_blocks_whatever_their_order(blocks):
    states = learn_blocks(new_states(2), blocks)
    recent = np.array(blocks[1:-1], np.float64) / 100
    assert np.float16(recent.min()) <= chat_rate(states) <= np.float16(recent.max())
    turned = learn_blocks(new_states(1), [blocks[0], *blocks[-2:0:-1], blocks[-1]])
    assert chat_rate(turned) == chat_rate(states)


def test_slow_reference_is_what_was_usual_before_the_ten_minutes():
    long = BASELINE.slow_from_blocks
    states = learn_blocks(new_states(1), [50] * (long - 1))
    assert np.isnan(states.reference).all()
    learn_blocks(states, [25] * (BASELINE.recent_blocks + 1))
    assert chat_rate(states) == 0.25
    assert states.reference[0, Usual.CHAT_RATE] == 0.5


def test_usual_before_leaves_out_the_newest_blocks_where_it_is_asked_to():
    states = learn_blocks(new_states(2), [50] * 19 + [25] * BASELINE.settled_blocks)
    usual = [
        baseline.usual_before(state, is_asked) for state, is_asked in zip(states.records, (True, False), strict=True)
    ]
    assert [each.chat_rate for each in usual] == [0.5, chat_rate(states)]
    assert chat_rate(states) < 0.5


def test_forget_lets_the_room_begin_anew():
    states = learn_blocks(new_states(2), [25] * BLOCKS)
    baseline.forget(states.records[0])
    assert np.isnan(states.usual[0]).all()
    assert np.isnan(states.reference[0]).all()
    assert np.isnan(states.settled[0]).all()
    assert states.n_blocks.tolist() == [0, BLOCKS]
    learn_blocks(states, [75])
    assert states.usual_of(Usual.CHAT_RATE).tolist() == [0.75, 0.25]


def test_band_is_two_deviations_around_the_usual_score():
    states = learn_blocks(new_states(1), [25])
    spread = 2 * DEFAULT.noise.score_at_first
    assert states.band[0, NEWEST].tolist() == [round(BAND_UNITS * (0.5 - spread)), round(BAND_UNITS * (0.5 + spread))]
    assert (states.n_band[0], states.band_at[0]) == (1, states.t[0])


def test_band_is_empty_where_nothing_was_learnt_for_a_while():
    states = learn_blocks(new_states(1), [25, 25])
    states.t += 2 * BLOCK_SLOTS * SLOT_SECONDS
    learn_blocks(states, [25])
    assert [bool(block.any()) for block in states.band[0, -6:]] == [False, True, True, False, False, True]
    assert states.n_band[0] == 5
    states.t += 2 * BAND_BLOCKS * BLOCK_SLOTS * SLOT_SECONDS
    learn_blocks(states, [25])
    assert states.n_band[0] == BAND_BLOCKS
    assert states.band[0].any(axis=1).sum() == 1


def listen(readings):
    states = new_states(1)
    for row in as_rows(readings).array:
        baseline.learn_meaning(states.records[0], row, TUNING)
    return states


def readings_of(active, n=20, **signals):
    return [Reading(START + k * SLOT, 2.0, active_users=active, total_users=100, **signals) for k in range(n)]


@pytest.mark.parametrize(("active", "proven"), [(2, 0), (3, 0), (4, 1)])
def test_more_active_people_than_events_prove_that_others_listen(active, proven):
    states = listen(readings_of(active))
    assert (states.asked[0], states.proven[0]) == (20, proven)


@pytest.mark.parametrize("sign", ["hands_raised", "speakers", "questions_per_min", "question_votes_per_min"])
def test_who_shows_or_says_something_proves_nothing_of_those_who_listen(sign):
    assert listen(readings_of(8, **{sign: 5})).proven == 0
    assert listen(readings_of(9, **{sign: 5})).proven == 1


def test_proven_is_a_part_of_all_rows_and_older_ones_are_forgotten():
    """Rates that are smoothed or rounded, and hands that went up and down again, let some rows prove what is not so."""
    rows = [reading for active in (9, 3, 3, 3) for reading in readings_of(active, n=BASELINE.asked_rows // 4)]
    assert listen(rows).proven == pytest.approx(1 / 4, abs=1e-3)
    states = listen(rows * 5)
    assert states.asked == BASELINE.asked_rows
    assert 0.15 < states.proven < 1 / 4


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1000), st.sampled_from([25, 120, 600]), st.sampled_from(OPTIONAL))
def test_what_few_platforms_tell_changes_no_verdict_where_it_is_known_who_looks(seed, audience, name):
    rows = silence(healthy_room(seed, 20, audience), at_minute(14))
    told = [replace(row, **{name: 1}) for row in rows]
    assert judge_rows(new_states(1), [told], [Timetable()]) == judge_rows(new_states(1), [rows], [Timetable()])


def test_rows_within_a_minute_of_a_poll_prove_nothing():
    polled = readings_of(50, n=1, poll_participation=0.0)
    assert listen([*polled, *readings_of(50, n=12)]).asked[0] == 0
    assert listen([*polled, *readings_of(50, n=13)]).asked[0] == 1


def test_room_of_which_only_connections_are_known_has_not_spoken():
    silent = [Reading(START + k * SLOT, 0.0, None, 0, 100, 0.0, 0.0) for k in range(20)]
    assert not listen(silent).has_spoken[0]
    assert listen([*silent, Reading(START, poll_participation=0.1)]).has_spoken[0]


ENOUGH = BASELINE.least_proofs


@pytest.mark.parametrize(
    ("share", "asked", "proven", "tells"),
    [
        (0.7, ENOUGH, 1.0, True),
        (0.7, ENOUGH - 1, 1.0, False),
        (0.7, 720, BASELINE.proven_part + 0.01, True),
        (0.7, 720, BASELINE.proven_part - 0.01, False),
        (1.0, 720, 1.0, False),
        (np.nan, 720, 1.0, False),
    ],
)
def test_active_share_tells_something_where_it_is_proven_and_not_full(share, asked, proven, tells):
    states = new_states(1)
    states.usual[:, Usual.ACTIVE_SHARE], states.asked, states.proven = share, asked, proven
    assert baseline.has_activity(states.records[0], TUNING) == tells


def test_who_did_something_is_not_taken_for_who_listens_where_rates_are_smoothed():
    """In a tenth of the rows more people did something than the smoothed rates of their chats say."""

    def is_told(part):
        burst = round(part * 40)
        readings = [*readings_of(3, n=40 - burst), *readings_of(6, n=burst)] * 6
        states = listen(readings)
        states.usual[:, Usual.ACTIVE_SHARE] = 0.05
        return baseline.has_activity(states.records[0], TUNING)

    assert not is_told(0.1)
    assert is_told(0.2)


def test_rows_are_not_learnt_while_evidence_gathers_until_it_is_the_new_normal():
    states = new_states(3)
    evidence = [BASELINE.doubt_from, BASELINE.doubt_from - 0.1, np.inf]

    def doubts():
        return [baseline.gather_doubt(state, 1, z, TUNING) for state, z in zip(states.records, evidence, strict=True)]

    for _ in range(BASELINE.doubt_slots):
        assert doubts() == [True, False, True]
    assert doubts() == [False, False, False]
    assert states.doubt.tolist() == [BASELINE.doubt_slots + 1, 0, BASELINE.doubt_slots + 1]


def test_doubt_passes_as_slowly_as_it_came():
    states = new_states(1)
    baseline.gather_doubt(states.records[0], 10, np.inf, TUNING)
    baseline.gather_doubt(states.records[0], 4, 0.0, TUNING)
    assert states.doubt.tolist() == [6]
    baseline.gather_doubt(states.records[0], 24, 0.0, TUNING)
    assert states.doubt.tolist() == [0]
