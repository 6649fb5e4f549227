"""What is usual in a room: rates per head and shares, from blocks of 30 s that were not flagged. Pure."""

import numpy as np

from anomalies.detector.arrays import Floats, Mask, interquartile_mean, or_zero
from anomalies.detector.config import DetectorConfig
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import BAND_BLOCKS, BLOCK_SLOTS, BLOCKS, FULL_BYTE, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import (
    ACTIVE_SHARE,
    ACTIVITY,
    CHATS,
    LEAVERS,
    MEAN_SCORE,
    PEOPLE,
    REACTION_RATE,
    REACTIONS,
    SCORE,
    States,
)

RECENT = 10  # blocks of the baseline; the newest is left out, as it may be part of what is to be judged
SLOW_LEAST = 17  # blocks from which there is a slow reference
BAND_WIDTH = 2.0  # standard deviations of the score around what is usual ...
LEAST_BAND = 0.02  # ... of at least this


def learn(states: States, which: Mask) -> None:
    """Add the newest slot of these sessions to their blocks, in place; a full block moves the baseline."""
    newest = states.history[:, :, -1]
    known = ~np.isnan(newest)
    add = which[:, None]
    states.block = np.where(add, states.block + or_zero(newest), states.block)
    states.block_known += (add & known).astype(np.int16)
    states.block_slots += which.astype(np.int16)
    full = which & (states.block_slots >= BLOCK_SLOTS)
    if full.any():
        finished = states[full]
        _finish_block(finished)
        states[full] = finished


def _finish_block(states: States) -> None:
    total = states.block.astype(np.float64)
    known = states.block_known.astype(np.float64)
    mean = np.where(known > 0, total / np.maximum(1.0, known), np.nan)
    people = np.maximum(1e-9, mean[:, PEOPLE])
    block = np.stack(
        [
            mean[:, CHATS] / people,
            mean[:, REACTIONS] / people,
            mean[:, LEAVERS] / people,
            mean[:, ACTIVITY],
            mean[:, SCORE],
        ],
        axis=1,
    )
    states.blocks = np.concatenate([states.blocks[:, :, 1:], block[:, :, None]], axis=2)
    states.n_blocks = np.minimum(BLOCKS, states.n_blocks + 1)
    states.block, states.block_known, states.block_slots = 0, 0, 0
    blocks, n = states.blocks.astype(np.float64), states.n_blocks
    newest_counts = (n <= 2)[:, None, None] & (np.arange(RECENT + 1) == RECENT)
    recent = blocks[:, :, -RECENT - 1 :]
    recent = np.where((np.arange(RECENT + 1) < RECENT) | newest_counts, recent, np.nan)
    states.usual = interquartile_mean(recent)
    slow = interquartile_mean(blocks[:, :, : -RECENT - 1])
    states.reference = np.where((n >= SLOW_LEAST)[:, None], slow, np.nan)
    _widen_band(states)


def _widen_band(states: States) -> None:
    usual = states.usual[:, MEAN_SCORE].astype(np.float64)
    spread = BAND_WIDTH * np.maximum(LEAST_BAND, np.sqrt(states.score_noise.astype(np.float64)))
    ends = np.stack([usual - spread, usual + spread], axis=1)
    newest = np.rint(255 * np.clip(or_zero(ends), 0, 1)).astype(np.uint8)
    known = ~np.isnan(usual)
    elapsed = np.rint((states.t - states.band_at) / (BLOCK_SLOTS * SLOT_SECONDS))
    steps = np.clip(np.where(states.n_band > 0, elapsed, 1), 1, BAND_BLOCKS).astype(np.int64)
    source = np.arange(BAND_BLOCKS) + steps[:, None]  # what was not learnt meanwhile stays empty
    kept = np.take_along_axis(states.band, np.minimum(source, BAND_BLOCKS - 1)[:, :, None], axis=1)
    moved = np.where((source < BAND_BLOCKS)[:, :, None], kept, 0)
    moved[:, -1] = newest
    states.band = np.where(known[:, None, None], moved, states.band)
    states.band_at = np.where(known, states.t, states.band_at)
    grown = states.n_band.astype(np.int64) + np.where(known, steps, 0)
    states.n_band = np.minimum(BAND_BLOCKS, grown)


def has_activity(states: States, config: DetectorConfig) -> Mask:
    """Tell where the active share says something of its own.

    It is known, not always full, and more people are active than chats and reactions can account for: a platform
    that only knows who did something counts its chats twice.
    """
    says_something = np.nan_to_num(states.usual[:, ACTIVE_SHARE], nan=1.0) < config.full_activity
    return np.asarray(says_something & (states.proofs >= config.least_proofs))


def usual_before(states: States, which: Mask, config: DetectorConfig) -> Floats:
    """Return what is usual, and of these sessions what was usual before their newest `settled_blocks`.

    Chat and reactions alone show a fall only after minutes, when it has begun to look usual.
    """
    usual = states.usual.astype(np.float64)
    if which.any():
        until = BLOCKS - config.settled_blocks
        blocks = states.blocks[which, : REACTION_RATE + 1, until - RECENT : until].astype(np.float64)
        settled = interquartile_mean(blocks)
        now = usual[which, : REACTION_RATE + 1]
        usual[which, : REACTION_RATE + 1] = np.where(np.isnan(settled), now, settled)
    return usual


def learn_meaning(states: States, rows: Rows, config: DetectorConfig) -> None:
    """Learn, in place, what "active" means here: how often more people are active than did something we count.

    Votes count as doing something for a minute, and nobody counts them: rows around a poll tell nothing.
    """
    events = or_zero(rows.chats) + or_zero(rows.reactions)
    active = or_zero(rows.active)
    is_poll = ~np.isnan(rows.poll)
    since_poll = np.minimum(states.since_poll + 1, 2 * SLOTS_PER_MINUTE)
    states.since_poll = np.where(is_poll, 0, since_poll)
    tells = ~np.isnan(rows.active) & (states.since_poll > SLOTS_PER_MINUTE)
    is_proof = tells & (active > events + 1)
    states.proofs = np.minimum(FULL_BYTE, states.proofs.astype(np.int16) + is_proof)
    states.has_spoken |= (events > 0) | (active > 0) | (or_zero(rows.poll) > 0)


def forget(states: States, which: Mask) -> None:
    """Let these sessions learn anew what is usual, in place: the room has changed for good."""
    for learnt in (states.blocks, states.usual, states.reference):
        learnt[which] = np.nan
    for counted in (states.n_blocks, states.block_slots, states.block_known, states.block):
        counted[which] = 0
