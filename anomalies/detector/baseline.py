"""What is usual in a room: rates per head and shares, from blocks of 30 s that were not flagged. Pure."""

import math
from typing import NamedTuple

import numpy as np

from anomalies.detector.arrays import ALMOST_NONE
from anomalies.detector.bursts import knows_audience, learn_dispersion
from anomalies.detector.compiled import Row, State, Tuning, compiled
from anomalies.detector.halves import UNKNOWN, read_half, write_half
from anomalies.detector.scalars import at_least, clip, fill, interquartile_mean, or_zero
from anomalies.detector.sizes import BAND_BLOCKS, BLOCK_SLOTS, BLOCKS, FULL_BYTE, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import BAND_HIGH, BAND_LOW, BAND_UNITS, N_EVENTS, N_SERIES, N_USUAL, Series, Usual


class WhatIsUsual(NamedTuple):
    """What is usual in a room, NaN where unknown: the rows of `Usual`."""

    chat_rate: float
    reaction_rate: float
    leave_rate: float
    active_share: float
    mean_score: float


@compiled
def learn(state: State, baseline: Tuning, bursts: Tuning) -> None:
    """Add the newest slot to the block, in place; a full block moves the baseline."""
    for series in range(N_SERIES):
        newest = state.history[series, -1]
        if not math.isnan(newest):
            state.block[series] += newest
            state.block_known[series] += 1
    state.block_slots += 1
    if state.block_slots >= BLOCK_SLOTS:
        if not knows_audience(state):
            _learn_bursts(state, bursts)
        _finish_block(state)
        _find_usual(state, baseline, bursts)
        _widen_band(state, baseline)


@compiled
def gather_doubt(state: State, slots: int, evidence: float, baseline: Tuning) -> bool:
    """Tell whether a row is not to be learnt as evidence gathers, and count in place for how long it has.

    So what is usual stays where it was while a room falls slowly; what lasts for `doubt_slots` is learnt after all.
    """
    is_doubtful = evidence >= baseline.doubt_from
    state.doubt = min(FULL_BYTE, int(state.doubt) + slots) if is_doubtful else max(0, int(state.doubt) - slots)
    return is_doubtful and state.doubt <= baseline.doubt_slots


@compiled
def learn_meaning(state: State, row: Row, baseline: Tuning) -> None:
    """Learn, in place, what "active" means here: how often more people are active than did something we count.

    Votes count as doing something for a minute, and nobody counts them: rows around a poll tell nothing. Hands, voices
    and questions count as doing something, where a row tells of them.
    """
    events, active = or_zero(row.chats) + or_zero(row.reactions), or_zero(row.active)
    state.since_poll = min(state.since_poll + 1, 2 * SLOTS_PER_MINUTE) if math.isnan(row.poll) else 0
    if state.since_poll > SLOTS_PER_MINUTE:
        proves = active > events + _count_signs(row) + baseline.spare_people
        state.asked = min(baseline.asked_rows, state.asked + 1)
        state.proven += (proves - state.proven) / state.asked
    state.tells_activity = state.tells_activity or row.active < row.present
    speaks = events > 0 or (active > 0 and state.tells_activity) or or_zero(row.poll) > 0
    state.has_spoken = state.has_spoken or speaks


@compiled
def _count_signs(row: Row) -> float:
    """Return how many may have done something that is neither chat nor reaction."""
    return or_zero(row.hands) + or_zero(row.speakers) + or_zero(row.questions) + or_zero(row.question_votes)


@compiled
def forget(state: State) -> None:
    """Let a session learn anew what is usual, in place: the room has changed for good."""
    for what in range(N_USUAL):
        fill(state.blocks[what], UNKNOWN)
    fill(state.usual, UNKNOWN)
    fill(state.reference, UNKNOWN)
    fill(state.settled, UNKNOWN)
    state.doubt = state.n_blocks = 0
    _begin_block(state)


@compiled
def has_activity(state: State, baseline: Tuning) -> bool:
    """Tell whether the active share says something of its own.

    It is known, not always full, and more people are active than chats and reactions can account for: a platform
    that only knows who did something counts its chats twice.
    """
    says_something = read_half(state.usual[Usual.ACTIVE_SHARE]) < baseline.full_activity
    is_proven = state.proven >= baseline.proven_part and state.proven * state.asked >= baseline.least_proofs
    return says_something and is_proven


@compiled
def is_sustained(state: State, baseline: Tuning) -> bool:
    """Tell whether chat or reactions have come for so long that their absence would mean something."""
    for signal in range(N_EVENTS):
        heard = 0
        for block in state.blocks[signal]:
            heard += read_half(block) > 0
        if heard >= baseline.sustained_blocks:
            return True
    return False


@compiled
def _learn_bursts(state: State, bursts: Tuning) -> None:
    """Learn, in place, by how much the counts of the full block are off what was usual."""
    for signal in range(N_EVENTS):
        count = _mean_of_block(state, signal) * BLOCK_SLOTS
        learn_dispersion(state, signal, count, read_half(state.usual[signal]) * BLOCK_SLOTS, bursts)


@compiled
def usual_of(state: State, what: int) -> float:
    """Return what is usual now."""
    return read_half(state.usual[what])


@compiled
def usual_before(state: State, is_settled: bool) -> WhatIsUsual:
    """Return what is usual, of events on demand what was usual before the newest `settled_blocks`.

    Chat and reactions alone show a fall only after minutes, when it has begun to look usual.
    """
    return WhatIsUsual(
        _settled_of(state, Usual.CHAT_RATE, is_settled),
        _settled_of(state, Usual.REACTION_RATE, is_settled),
        usual_of(state, Usual.LEAVE_RATE),
        usual_of(state, Usual.ACTIVE_SHARE),
        usual_of(state, Usual.MEAN_SCORE),
    )


@compiled
def _settled_of(state: State, what: int, is_settled: bool) -> float:
    settled = read_half(state.settled[what])
    return settled if is_settled and not math.isnan(settled) else usual_of(state, what)


@compiled
def _finish_block(state: State) -> None:
    """Move the full block to the blocks, per head, and begin another."""
    people = at_least(_mean_of_block(state, Series.PEOPLE), ALMOST_NONE)
    for what in range(N_USUAL):
        for block in range(BLOCKS - 1):
            state.blocks[what, block] = state.blocks[what, block + 1]
    newest = state.blocks[:, -1]
    newest[Usual.CHAT_RATE] = write_half(_mean_of_block(state, Series.CHATS) / people)
    newest[Usual.REACTION_RATE] = write_half(_mean_of_block(state, Series.REACTIONS) / people)
    newest[Usual.LEAVE_RATE] = write_half(_mean_of_block(state, Series.LEAVERS) / people)
    newest[Usual.ACTIVE_SHARE] = write_half(_mean_of_block(state, Series.ACTIVITY))
    newest[Usual.MEAN_SCORE] = write_half(_mean_of_block(state, Series.SCORE))
    state.n_blocks = min(BLOCKS, state.n_blocks + 1)
    _begin_block(state)


@compiled
def _begin_block(state: State) -> None:
    fill(state.block, 0)
    fill(state.block_known, 0)
    state.block_slots = 0


@compiled
def _mean_of_block(state: State, series: int) -> float:
    known = state.block_known[series]
    return np.float64(state.block[series]) / known if known > 0 else math.nan


@compiled
def _find_usual(state: State, baseline: Tuning, bursts: Tuning) -> None:
    """Take the baseline from the recent blocks but the newest, and from those before what a slow fall leaves alone.

    Where nobody says how many listen that is from all blocks before, once they are some.
    """
    since, until = BLOCKS - 1 - baseline.recent_blocks, BLOCKS - baseline.settled_blocks
    newest_counts = state.n_blocks <= baseline.first_blocks
    is_long = state.n_blocks >= baseline.slow_from_blocks
    is_counted = knows_audience(state)
    settled_since = until - baseline.recent_blocks if is_counted else 0
    is_settled = is_counted or state.n_blocks - baseline.settled_blocks >= bursts.least_blocks
    blocks = np.empty(BLOCKS)
    for what in range(N_USUAL):
        for block in range(BLOCKS):
            blocks[block] = read_half(state.blocks[what, block])
        recent = blocks[since:] if newest_counts else blocks[since:-1]
        state.usual[what] = write_half(interquartile_mean(recent))
        state.reference[what] = write_half(interquartile_mean(blocks[:since])) if is_long else UNKNOWN
        state.settled[what] = write_half(interquartile_mean(blocks[settled_since:until])) if is_settled else UNKNOWN


@compiled
def _widen_band(state: State, baseline: Tuning) -> None:
    """Add the score that is expected now to the band; what was not learnt since its newest block stays empty."""
    usual = usual_of(state, Usual.MEAN_SCORE)
    if math.isnan(usual):
        return
    spread = baseline.band_width * max(baseline.least_band, math.sqrt(np.float64(state.score_noise)))
    elapsed = np.rint((state.t - state.band_at) / (BLOCK_SLOTS * SLOT_SECONDS)) if state.n_band > 0 else 1.0
    steps = int(clip(elapsed, 1.0, float(BAND_BLOCKS)))
    _move_band(state.band[:, BAND_LOW], steps, usual - spread)
    _move_band(state.band[:, BAND_HIGH], steps, usual + spread)
    state.band_at = state.t
    state.n_band = min(BAND_BLOCKS, state.n_band + steps)


@compiled
def _move_band(ends: State, steps: int, newest: float) -> None:
    """Add the newest end to the low or high ends, after blocks that stay empty."""
    for block in range(BAND_BLOCKS - steps):
        ends[block] = ends[block + steps]
    fill(ends[-steps:], 0)
    ends[-1] = int(np.rint(BAND_UNITS * clip(newest, 0.0, 1.0)))
