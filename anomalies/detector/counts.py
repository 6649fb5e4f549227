"""Take rows in: rolling rates become counts per slot of 5 s, and rows that cannot be true are held. Pure."""

import numpy as np
from numpy.typing import NDArray

from anomalies.detector.arrays import Floats, Integers, Mask, or_zero
from anomalies.detector.config import DetectorConfig
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import FULL_BYTE, HISTORY_SLOTS, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import (
    ACTIVITY,
    CHAT_RATE,
    CHATS,
    LEAVERS,
    PEOPLE,
    REACTION_RATE,
    REACTIONS,
    SCORE,
    States,
)

COARSE = 10.0  # a minute, what less careful integrators round to
MOST_GONE = 0.5  # a leave rate from which a room may be empty
GLITCH_LEAST = 5  # a minute, or active people: what is less may fall to anything in one row


def take(states: States, rows: Rows, config: DetectorConfig) -> Mask:
    """Put each row into its session's history, in place; return which rows were taken.

    A rate over the last minute says how many came in the newest slot: n[t] = r[t] − r[t−1] + n[t−12]. Rows that
    come more often than a slot lasts are passed over. A row is held, and the state but for the counters of what is
    held left alone,

    * when a count would be negative or the active share collapses in one row: a glitch, unless it comes twice;
    * when a lively room's events stop while no number of people moves: lost events, for up to `hold_stalls` rows;
    * when nobody is there any more and nobody has left, for as long.

    A gap of several slots is the sum of their counts, spread evenly. After a minute or more, or a confirmed
    glitch, counting starts anew from a twelfth of the rate. Both are guesses at single slots, and would be wrong
    again every minute; so once a signal's slots were guessed, they are scaled to sum to its rate at every row.
    After a stall, the slots in which events were lost had no audience: nothing was expected in them. Numbers that
    only stood still and then go on as before are a gap.
    """
    is_first = states.slots == 0
    gap = np.where(is_first, 1.0, np.rint((rows.t - states.t) / SLOT_SECONDS))
    is_early = gap < 1
    gap = np.clip(gap, 1, HISTORY_SLOTS).astype(np.int64)
    people = np.where(np.isnan(rows.present), 1.0, np.maximum(1.0, rows.present))
    share = np.minimum(1.0, rows.active / np.where(np.isnan(rows.present), np.nan, people))
    left = _leavers(states, rows.leave_rate, people)
    values = np.stack([rows.chats, rows.reactions, left, rows.active, rows.present], axis=1)
    rates = values[:, :3]
    counts = rates - states.previous[:, :3] + _gone(states, gap)

    is_same = ~is_early & _is_same(states, values, config)
    states.same += is_same & (states.same < FULL_BYTE)
    _count_still(states, values, ~is_early)
    is_stall = ~is_first & _is_stall(states, rates, counts, rows, config)
    is_glitch = ~is_first & ~is_stall & _is_glitch(states, rates, counts, share, config)
    is_held = (is_glitch & (states.glitches < config.hold_glitches)) | (is_stall & (states.held < config.hold_stalls))
    taken = ~is_early & ~is_held
    was_frozen = states.same >= states.held
    is_back = taken & ~is_stall & (states.held > config.hold_glitches) & ~was_frozen
    states.glitches = np.where(taken, 0, states.glitches + (is_glitch & is_held & ~is_early))
    states.held = np.where(taken, 0, states.held + (is_held & ~is_early))
    states.same = np.where(is_early | is_same, states.same, 0)

    is_new_signal = np.isnan(counts) & ~np.isnan(rates)
    anew = (is_first | is_glitch | ((gap >= SLOTS_PER_MINUTE) & ~is_back))[:, None] | is_new_signal
    is_exact = np.where(anew, rates == 0, states.is_exact & ((gap == 1) | is_back)[:, None])
    states.is_exact = np.where(taken[:, None], is_exact, states.is_exact)
    states.coarse = np.where(taken, _count_coarse(states, rates), states.coarse)
    _shift(states, taken, gap)
    slot = np.arange(HISTORY_SLOTS)
    is_new = slot >= HISTORY_SLOTS - gap[:, None]
    is_minute = slot >= HISTORY_SLOTS - SLOTS_PER_MINUTE
    for signal in (CHATS, REACTIONS, LEAVERS):
        count = np.maximum(0.0, counts[:, signal])
        _fill(states, signal, taken, is_new, count / gap)
        since_back = np.where(gap < SLOTS_PER_MINUTE, count, rates[:, signal])
        _fill(states, signal, is_back, is_new, np.where(slot == HISTORY_SLOTS - 1, since_back[:, None], 0.0))
        _fill(states, signal, taken & anew[:, signal], is_new | is_minute, rates[:, signal] / SLOTS_PER_MINUTE)
        is_sum = is_exact[:, signal] & ~(counts[:, signal] < 0)  # what was cut off at 0 would stay in the sum
        _scale(states, signal, taken & ~is_sum, rates[:, signal])
    # Where nobody counts who left, an audience that shrinks says so.
    fewer = np.where(np.isnan(rates[:, LEAVERS]), _fewer(states, rows), np.nan)
    _fill(states, LEAVERS, taken & ~np.isnan(fewer), is_new, fewer / gap)
    for signal, value in ((PEOPLE, people), (ACTIVITY, _shortened(share)), (SCORE, _shortened(rows.score))):
        _fill(states, signal, taken, is_new, value)
    _fill(states, PEOPLE, taken & is_first, is_minute[None, :], people)  # whose rates the first row's are
    _fill(states, PEOPLE, is_back, is_new & (slot < HISTORY_SLOTS - 1), np.zeros(len(states)))  # nobody was heard

    # Rows keep to the grid of slots unless the source has shifted it.
    on_grid = states.t + SLOT_SECONDS * np.rint((rows.t - states.t) / SLOT_SECONDS)
    states.t = np.where(taken, np.where(is_first, rows.t, on_grid), states.t)
    states.slots += np.where(taken, gap, 0).astype(np.int32)
    states.previous = np.where(taken[:, None], values, states.previous)
    return np.asarray(taken)


def _leavers(states: States, leave_rate: Floats, people: Floats) -> Floats:
    """Return how many people left within the last minute: no more than were seen in it, where it was seen."""
    share = np.minimum(0.99, leave_rate)
    seen = states.history[:, PEOPLE, HISTORY_SLOTS - SLOTS_PER_MINUTE :].max(axis=1).astype(np.float64)
    most = np.where(states.slots == 0, np.inf, np.maximum(seen, people))
    return np.asarray(np.minimum(share * people / (1 - share), most))


def _fewer(states: States, rows: Rows) -> Floats:
    """Return by how many people the audience shrank since the previous row; NaN where nobody counts it."""
    return np.asarray(np.maximum(0.0, states.previous[:, 4] - rows.present))


def _shortened(shares: Floats) -> Floats:
    """Return the shares to three digits: what is beyond them is chance, and does not pack."""
    return shares.astype(np.float16).astype(np.float64)


def _gone(states: States, gap: Integers) -> Floats:
    """Return how many of each kind have left the last minute since the previous row."""
    minute = states.history[:, : LEAVERS + 1, HISTORY_SLOTS - SLOTS_PER_MINUTE :].astype(np.float64)
    within = np.cumsum(or_zero(minute), axis=2)
    last = np.minimum(gap, SLOTS_PER_MINUTE) - 1
    return np.take_along_axis(within, np.broadcast_to(last[:, None, None], (len(states), 3, 1)), axis=2)[:, :, 0]


def _is_glitch(states: States, rates: Floats, counts: Floats, share: Floats, config: DetectorConfig) -> Mask:
    rates_before = states.previous[:, :2].astype(np.float64)
    least = np.where(is_rounded(states, config), 1.5 * COARSE, GLITCH_LEAST)[:, None]
    collapses = (rates[:, :2] < config.glitch_share * rates_before) & (rates_before >= least)
    is_impossible = np.where(states.is_exact[:, :2], counts[:, :2] < -0.5, collapses)
    share_before = states.previous[:, 3] / np.maximum(1.0, states.previous[:, 4])
    turns_away = (share < config.glitch_share * share_before) & (states.previous[:, 3] >= GLITCH_LEAST)
    return np.asarray(is_impossible.any(axis=1) | turns_away)


def _count_still(states: States, values: Floats, which: Mask) -> None:
    """Count, in place, for how many rows nobody has moved and no rate has risen."""
    previous = states.previous.astype(np.float64)
    is_still = (values[:, 3:] == previous[:, 3:]).all(axis=1) & ~(values[:, :2] > previous[:, :2]).any(axis=1)
    still = np.where(is_still, np.minimum(FULL_BYTE, states.still.astype(np.int16) + 1), 0)
    states.still = np.where(which, still, states.still)


def _is_same(states: States, values: Floats, config: DetectorConfig) -> Mask:
    """Tell where a row repeats the one before, of a room in which enough happens that it cannot."""
    previous = states.previous.astype(np.float64)
    unchanged = np.isclose(values, previous, rtol=1e-6, atol=0, equal_nan=True).all(axis=1)
    return np.asarray(unchanged & (np.nansum(values[:, :2], axis=1) >= config.least_same))


def is_rounded(states: States, config: DetectorConfig) -> Mask:
    """Tell where rates have come in whole tens for so long that they must be rounded."""
    return np.asarray(states.coarse >= config.coarse_rows)


def _count_coarse(states: States, rates: Floats) -> NDArray[np.int16]:
    """Return for how many rows in a row all that was counted came in whole tens; a row of zeros tells nothing."""
    known = or_zero(rates[:, :2])
    counted = np.minimum(FULL_BYTE, states.coarse.astype(np.int16) + known.any(axis=1))
    return np.where((known % COARSE == 0).all(axis=1), counted, 0)


def _is_stall(states: States, rates: Floats, counts: Floats, rows: Rows, config: DetectorConfig) -> Mask:
    usual = or_zero(states.usual[:, [CHAT_RATE, REACTION_RATE]].astype(np.float64))
    expected = (usual[:, 0] + usual[:, 1]) * rows.present
    before = states.previous[:, :2]
    goes_on = (rates[:, :2] == 0) | (states.held > 0)[:, None]
    falls = (rates[:, :2] < before) | ((rates[:, :2] == before) & goes_on)
    is_silent = np.where(states.is_exact[:, :2], counts[:, :2] <= 0, falls) | np.isnan(rates[:, :2])
    nobody_moves = (rows.active == states.previous[:, 3]) & (rows.present == states.previous[:, 4])
    is_silent = is_silent.all(axis=1) | (states.still >= config.still_rows)
    is_lost = is_silent & nobody_moves & (rows.active != rows.present) & (expected > 1.0)
    is_gone = (rows.present == 0) & (states.previous[:, 4] >= GLITCH_LEAST) & (rows.leave_rate < MOST_GONE)
    return np.asarray(is_lost | is_gone)


def _shift(states: States, taken: Mask, gap: Integers) -> None:
    """Make room for the new slots; they hold what was the newest until they are filled."""
    history = states.history
    if (gap == 1).all():
        shifted = np.concatenate([history[:, :, 1:], history[:, :, -1:]], axis=2)
    else:
        source = np.minimum(np.arange(HISTORY_SLOTS) + gap[:, None], HISTORY_SLOTS - 1)
        shifted = np.take_along_axis(history, source[:, None, :], axis=2)
    states.history = shifted if taken.all() else np.where(taken[:, None, None], shifted, history)


def _scale(states: States, signal: int, which: Mask, rate: Floats) -> None:
    """Let the last minute's slots sum to the rate."""
    if not which.any():
        return
    minute = states.history[:, signal, HISTORY_SLOTS - SLOTS_PER_MINUTE :].astype(np.float64)
    total = np.cumsum(or_zero(minute), axis=1)[:, -1:]
    even = np.repeat(rate[:, None] / SLOTS_PER_MINUTE, SLOTS_PER_MINUTE, axis=1)
    scaled = np.where(total > 0, minute * rate[:, None] / np.where(total > 0, total, 1.0), even)
    states.history[:, signal, HISTORY_SLOTS - SLOTS_PER_MINUTE :] = np.where(which[:, None], scaled, minute)


def _fill(states: States, signal: int, which: Mask, slots: Mask, value: Floats) -> None:
    if not which.any():
        return
    column = states.history[:, signal]
    states.history[:, signal] = np.where(which[:, None] & slots, value.reshape(len(states), -1), column)
