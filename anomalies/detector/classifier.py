"""Name what was found: which type of anomaly it is. Pure."""

from enum import IntEnum

import numpy as np

from anomalies.detector.arrays import NEWEST, Floats, Integers, Mask, or_zero
from anomalies.detector.config import DetectorConfig, SuddenDrops
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import HISTORY_SLOTS
from anomalies.detector.state import Series, States, Usual
from anomalies.detector.verdicts import Verdicts


class AnomalyType(IntEnum):
    """The types of anomaly in the published order of urgency."""

    GRADUAL_DECLINE = 1
    SUDDEN_DROP = 2
    LOW_ENGAGEMENT = 3
    MASS_EXIT = 4


def classify(
    states: States, rows: Rows, verdicts: Verdicts, mean_score: Floats, is_low: Mask, config: DetectorConfig
) -> Integers:
    """Return the `AnomalyType` that each session's newest row would be, in the published order.

    Whether a decline is a SUDDEN_DROP, `is_sudden` tells.
    """
    exits = config.exits
    is_large = (rows.leave_rate >= exits.mass_rate) & (count_leavers(states) >= exits.least_leavers)
    is_low = is_low | (mean_score <= config.low_engagement.score)
    types = np.where(is_low, AnomalyType.LOW_ENGAGEMENT, AnomalyType.GRADUAL_DECLINE)
    return np.where(verdicts.is_exit | is_large, AnomalyType.MASS_EXIT, types)


def count_leavers(states: States) -> Floats:
    """Return how many people left each session, or one session, within the last minute."""
    return np.asarray(np.cumsum(or_zero(states.last_minute(Series.LEAVERS)), axis=-1)[..., NEWEST])


def is_sudden(state: States, has_activity: bool, config: DetectorConfig) -> bool:
    """Tell whether one session's fall of the last two minutes is a SUDDEN_DROP and not a GRADUAL_DECLINE.

    All signals, relative to what is usual, are fitted by least squares as a ramp: 1 up to some moment and falling
    evenly since; the moment that explains most, summed over the signals by their precision, is when it began. Where
    the active share says something, it is sudden if enough of that share's fall came in its steepest 30 s, the more
    the longer ago it began, or if it fell far within the last 15 s; else if it began within `slots`, or if a step
    explains as much as the ramp.
    """
    falls, weights = _weighted_falls(state, has_activity, config)
    ramps, steps = _explained(_RAMPS, weights, falls), _explained(_STEPS, weights, falls)
    began = int(_AGES[ramps.argmax()])
    if has_activity:
        return _turns_away_suddenly(state, began, config.sudden_drops)
    return bool(began <= config.sudden_drops.slots or steps.max() >= ramps.max())


def _weighted_falls(state: States, has_activity: bool, config: DetectorConfig) -> tuple[Floats, Floats]:
    """Return what part of each signal is gone, and its precision: (signals, slots)."""
    history, share = state.history.astype(np.float64), state.usual_of(Usual.ACTIVE_SHARE)
    people = history[Series.PEOPLE]
    falls, weights = [], []
    for signal, rate in ((Series.CHATS, Usual.CHAT_RATE), (Series.REACTIONS, Usual.REACTION_RATE)):
        expected, seen = or_zero(state.usual_of(rate) * people), or_zero(history[signal])
        falls.append(1 - np.divide(seen, expected, out=np.ones(HISTORY_SLOTS), where=expected > 0))
        weights.append(expected / (config.counts.dispersion + config.counts.rate_spread**2 * expected))
    if has_activity:
        falls.append(or_zero(1 - history[Series.ACTIVITY] / share))
        variance = (1 - share) / (np.maximum(1.0, people) * share) + config.shares.spread**2
        weights.append(np.where(people > 0, 1 / variance, 0.0))
    return np.array(falls), np.array(weights)


_AGES = np.arange(2 * HISTORY_SLOTS - 1, 0, -1)  # slots ago that a ramp began, maybe before what is remembered
_SLOTS = np.arange(HISTORY_SLOTS)
_RAMPS = np.clip(1 - _SLOTS[::-1] / _AGES[:, None], 0, 1)
_STEPS = (_SLOTS[:, None] <= _SLOTS).astype(np.float64)


def _explained(shapes: Floats, weights: Floats, falls: Floats) -> Floats:
    """Return how much of the falls (signals, slots) each of the shapes (shapes, slots) explains."""
    along = np.einsum("ms,ks,ks->mk", shapes, weights, falls)
    power = np.einsum("ms,ks->mk", shapes**2, weights)
    explained = np.where(power > 0, np.maximum(0.0, along) ** 2 / np.where(power > 0, power, 1.0), 0.0)
    return np.asarray(explained.sum(axis=1))


def _turns_away_suddenly(state: States, began: int, sudden: SuddenDrops) -> bool:
    activity, share = state.history[Series.ACTIVITY].astype(np.float64), state.usual_of(Usual.ACTIVE_SHARE)
    chance = np.sqrt((1 - share) / (share * max(1.0, float(state.newest(Series.PEOPLE)))))
    if _latest_fall(activity, sudden) >= sudden.latest_fall + sudden.latest_noise * chance:
        return True
    return _steepest_part(activity, sudden) >= sudden.part + sudden.part_by_age * float(np.log(began))


def _latest_fall(shares: Floats, sudden: SuddenDrops) -> float:
    """Return by how much the logarithm of the share has fallen within the latest slots; 0 where that is not known."""
    until = len(shares) - sudden.latest_slots
    before, now = shares[until - sudden.latest_before_slots : until].mean(), shares[NEWEST]
    return float(np.log(before / now)) if before > 0 and now > 0 else 0.0


def _steepest_part(shares: Floats, sudden: SuddenDrops) -> float:
    """Return how much of the fall from the highest share of two minutes came in its steepest stretch."""
    known = shares[~np.isnan(shares)]
    if len(known) < sudden.least_rows:
        return 1.0

    def upper(until: int) -> float:
        return float(known[until - sudden.upper_slots : until].mean())

    def lower(until: int) -> float:
        return float(known[until - sudden.lower_slots : until].mean())

    first = sudden.upper_slots + sudden.stretch_slots
    steepest = max(upper(until - sudden.stretch_slots) - lower(until) for until in range(first, len(known) + 1))
    whole = float(known.max()) - lower(len(known))
    return steepest / whole if whole > 0 else 1.0
