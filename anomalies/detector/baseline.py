"""What is usual in a room: rates per head and shares, from blocks of 30 s that were not flagged. Pure."""

import numpy as np

from anomalies.detector.arrays import ALMOST_NONE, NEWEST, Floats, Integers, Mask, interquartile_mean, or_zero
from anomalies.detector.config import Baseline
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import BAND_BLOCKS, BLOCK_SLOTS, BLOCKS, FULL_BYTE, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import BAND_UNITS, OF_EVENTS, Figure, Series, States, Usual


def learn(states: States, which: Mask, baseline: Baseline) -> None:
    """Add the newest slot of these sessions to their blocks, in place; a full block moves the baseline."""
    newest = states.history[:, :, NEWEST]
    add = which[:, None]
    states.block = np.where(add, states.block + or_zero(newest), states.block)
    states.block_known += (add & ~np.isnan(newest)).astype(np.int16)
    states.block_slots += which.astype(np.int16)
    is_full = which & (states.block_slots >= BLOCK_SLOTS)
    if is_full.any():
        finished = states[is_full]
        _finish_block(finished)
        _find_usual(finished, baseline)
        _widen_band(finished, baseline)
        states[is_full] = finished


def gather_doubt(states: States, slots: Integers, evidence: Floats, baseline: Baseline) -> Mask:
    """Tell which rows are not to be learnt as evidence gathers, and count in place for how long it has.

    So what is usual stays where it was while a room falls slowly; what lasts for `doubt_slots` is learnt after all.
    """
    is_doubtful = evidence >= baseline.doubt_from
    grown = np.minimum(FULL_BYTE, states.doubt + slots)
    states.doubt = np.where(is_doubtful, grown, np.maximum(0, states.doubt - slots))
    return np.asarray(is_doubtful & (states.doubt <= baseline.doubt_slots))


def learn_meaning(states: States, rows: Rows, baseline: Baseline) -> None:
    """Learn, in place, what "active" means here: how often more people are active than did something we count.

    Votes count as doing something for a minute, and nobody counts them: rows around a poll tell nothing.
    """
    events = or_zero(rows.chats) + or_zero(rows.reactions)
    active = or_zero(rows.active)
    since_poll = np.minimum(states.since_poll + 1, 2 * SLOTS_PER_MINUTE)
    states.since_poll = np.where(np.isnan(rows.poll), since_poll, 0)
    tells = ~np.isnan(rows.active) & (states.since_poll > SLOTS_PER_MINUTE)
    is_proof = tells & (active > events + baseline.spare_people)
    states.proofs = np.minimum(FULL_BYTE, states.proofs.astype(np.int16) + is_proof)
    states.tells_activity |= rows.active < rows.present
    states.has_spoken |= (events > 0) | ((active > 0) & states.tells_activity) | (or_zero(rows.poll) > 0)


def forget(states: States, which: Mask) -> None:
    """Let these sessions learn anew what is usual, in place: the room has changed for good."""
    for learnt in (states.blocks, states.usual, states.reference, states.settled):
        learnt[which] = np.nan
    for counted in (states.doubt, states.n_blocks, states.block_slots, states.block_known, states.block):
        counted[which] = 0


def has_activity(states: States, baseline: Baseline) -> Mask:
    """Tell where the active share says something of its own.

    It is known, not always full, and more people are active than chats and reactions can account for: a platform
    that only knows who did something counts its chats twice.
    """
    says_something = np.nan_to_num(states.usual[:, Usual.ACTIVE_SHARE], nan=1.0) < baseline.full_activity
    return np.asarray(says_something & (states.proofs >= baseline.least_proofs))


def is_sustained(states: States, baseline: Baseline) -> Mask:
    """Tell where chat or reactions have come for so long that their absence would mean something.

    Where nobody says how many listen they must have come without long pauses, too: a quiet room is quiet.
    """
    blocks = states.blocks[:, OF_EVENTS]
    heard = (blocks > 0).sum(axis=2)
    known = np.maximum(1, (~np.isnan(blocks)).sum(axis=2))
    is_steady = (heard >= baseline.steady_blocks) & (heard >= baseline.steady_part * known)
    knows_audience = ~np.isnan(states.previous[:, Figure.PRESENT])
    is_sustained = np.where(knows_audience[:, None], heard >= baseline.sustained_blocks, is_steady)
    return np.asarray(is_sustained.any(axis=1))


def usual_before(states: States, which: Mask) -> Floats:
    """Return what is usual, and of these sessions what was usual before their newest `settled_blocks`.

    Chat and reactions alone show a fall only after minutes, when it has begun to look usual.
    """
    usual = states.usual.astype(np.float64)
    settled = states.settled[:, OF_EVENTS].astype(np.float64)
    is_settled = which[:, None] & ~np.isnan(settled)
    usual[:, OF_EVENTS] = np.where(is_settled, settled, usual[:, OF_EVENTS])
    return usual


def _finish_block(states: States) -> None:
    """Move the full block to the blocks, per head, and begin another."""
    total, known = states.block.astype(np.float64), states.block_known.astype(np.float64)
    mean = np.where(known > 0, total / np.maximum(1.0, known), np.nan)
    people = np.maximum(ALMOST_NONE, mean[:, Series.PEOPLE])
    block = np.full((len(states), len(Usual)), np.nan)
    block[:, Usual.CHAT_RATE] = mean[:, Series.CHATS] / people
    block[:, Usual.REACTION_RATE] = mean[:, Series.REACTIONS] / people
    block[:, Usual.LEAVE_RATE] = mean[:, Series.LEAVERS] / people
    block[:, Usual.ACTIVE_SHARE] = mean[:, Series.ACTIVITY]
    block[:, Usual.MEAN_SCORE] = mean[:, Series.SCORE]
    states.blocks = np.concatenate([states.blocks[:, :, 1:], block[:, :, None]], axis=2)
    states.n_blocks = np.minimum(BLOCKS, states.n_blocks + 1)
    states.block = states.block_known = states.block_slots = 0


def _find_usual(states: States, baseline: Baseline) -> None:
    """Take the baseline from the recent blocks but the newest, and from those before what a slow fall leaves alone."""
    blocks, n = states.blocks.astype(np.float64), states.n_blocks
    since = BLOCKS - 1 - baseline.recent_blocks
    recent = blocks[:, :, since:]
    newest_counts = (n <= baseline.first_blocks)[:, None]
    recent[:, :, NEWEST] = np.where(newest_counts, recent[:, :, NEWEST], np.nan)
    states.usual = interquartile_mean(recent)
    is_long = (n >= baseline.slow_from_blocks)[:, None]
    states.reference = np.where(is_long, interquartile_mean(blocks[:, :, :since]), np.nan)
    until = BLOCKS - baseline.settled_blocks
    states.settled = interquartile_mean(blocks[:, :, until - baseline.recent_blocks : until])


def _widen_band(states: States, baseline: Baseline) -> None:
    """Add the score that is expected now to the band; what was not learnt since its newest block stays empty."""
    usual = states.usual_of(Usual.MEAN_SCORE)
    spread = baseline.band_width * np.maximum(baseline.least_band, np.sqrt(states.score_noise.astype(np.float64)))
    ends = np.stack([usual - spread, usual + spread], axis=1)
    is_known = ~np.isnan(usual)
    elapsed = np.rint((states.t - states.band_at) / (BLOCK_SLOTS * SLOT_SECONDS))
    steps = np.clip(np.where(states.n_band > 0, elapsed, 1), 1, BAND_BLOCKS).astype(np.int64)
    source = np.arange(BAND_BLOCKS) + steps[:, None]
    kept = np.take_along_axis(states.band, np.minimum(source, BAND_BLOCKS - 1)[:, :, None], axis=1)
    moved = np.where((source < BAND_BLOCKS)[:, :, None], kept, 0)
    moved[:, NEWEST] = np.rint(BAND_UNITS * np.clip(or_zero(ends), 0, 1)).astype(np.uint8)
    states.band = np.where(is_known[:, None, None], moved, states.band)
    states.band_at = np.where(is_known, states.t, states.band_at)
    grown = states.n_band.astype(np.int64) + np.where(is_known, steps, 0)
    states.n_band = np.minimum(BAND_BLOCKS, grown)
