"""Name what was found: which type of anomaly it is. Pure."""

import math
from typing import NamedTuple

import numpy as np

from anomalies.detector.arrays import Floats
from anomalies.detector.baseline import usual_of
from anomalies.detector.compiled import Row, State, Tuning, compiled
from anomalies.detector.scalars import add_known, at_least, clip, largest, or_zero
from anomalies.detector.sizes import HISTORY_SLOTS, SLOTS_PER_MINUTE
from anomalies.detector.state import AnomalyType, Series, Usual
from anomalies.detector.verdicts import Verdict

MOST_AGE = 2 * HISTORY_SLOTS - 1  # slots ago that a fall may have begun, maybe before what is remembered


class _Falls(NamedTuple):
    """What part of each signal is gone in each slot, and its precision: (signals, slots)."""

    parts: Floats
    weights: Floats


class Fall(NamedTuple):
    """How a fall of the active share looks that is over or goes on: logarithms of slots, and of shares."""

    ramp_age: float
    step_age: float
    steepest_part: float
    sharpest: float
    latest: float
    chance: float


@compiled
def classify(state: State, row: Row, verdict: Verdict, mean_score: float, is_low: bool, config: Tuning) -> int:
    """Return the `AnomalyType` that the newest row would be, in the published order.

    Whether a decline is a SUDDEN_DROP, `is_sudden` tells.
    """
    exits = config.exits
    is_large = row.leave_rate >= exits.mass_rate and count_leavers(state) >= exits.least_leavers
    if verdict.is_exit or is_large:
        return AnomalyType.MASS_EXIT.value
    if is_low or mean_score <= config.low_engagement.score:
        return AnomalyType.LOW_ENGAGEMENT.value
    return AnomalyType.GRADUAL_DECLINE.value


@compiled
def count_leavers(state: State) -> float:
    """Return how many people left within the last minute."""
    return add_known(state.history[Series.LEAVERS, -SLOTS_PER_MINUTE:])


@compiled
def is_sudden(state: State, has_activity: bool, config: Tuning) -> bool:
    """Tell whether the fall of the last two minutes is a SUDDEN_DROP and not a GRADUAL_DECLINE.

    All signals, relative to what is usual, are fitted by least squares as a ramp: 1 up to some moment and falling
    evenly since; the moment that explains most, summed over the signals by their precision, is when it began. Where
    the active share says something, it is sudden if enough of that share's fall came in its steepest 30 s, the more
    the longer ago it began, or if it fell far within the last 15 s; else if it began within `slots`, or if a step
    explains as much as the ramp.
    """
    falls = _weigh_falls(state, has_activity, config)
    began, by_ramp = _fit_ramp(falls)
    if has_activity:
        return _turns_away_suddenly(state, began, config.sudden_drops)
    if began <= config.sudden_drops.slots:
        return True
    _, by_step = _fit_step(falls)
    return by_step >= by_ramp


@compiled
def was_sudden(state: State, config: Tuning) -> bool:
    """Tell, some time after a fall of the active share was told, whether it was a SUDDEN_DROP after all.

    By logistic regression, whose weights `manage.py learn` finds: how long ago the fall began as a ramp and as a step,
    how much of it came at its steepest, and how far the share may move by chance.
    """
    return _odds_of_decline(describe_fall(state, config), config.second_look) < 0


@compiled
def describe_fall(state: State, config: Tuning) -> Fall:
    """Return what tells a sudden fall of the active share from a gradual one."""
    falls, shares = _weigh_falls(state, True, config), state.history[Series.ACTIVITY]
    share, people = usual_of(state, Usual.ACTIVE_SHARE), np.float64(state.history[Series.PEOPLE, -1])
    ramp_age, _ = _fit_ramp(falls)
    step_age, _ = _fit_step(falls)
    return Fall(
        math.log(ramp_age),
        math.log(step_age),
        clip(_steepest_part(shares, config.sudden_drops), -1.0, 2.0),
        _sharpest_fall(shares, share, config.second_look),
        clip(_latest_fall(shares, config.sudden_drops), -2.0, 3.0),
        _chance_of(share, people),
    )


@compiled
def _odds_of_decline(fall: Fall, weights: Tuning) -> float:
    """Return the log odds that a fall is a GRADUAL_DECLINE."""
    return (
        weights.constant
        + weights.ramp_age * fall.ramp_age
        + weights.step_age * fall.step_age
        + weights.steepest_part * fall.steepest_part
        + weights.sharpest * fall.sharpest
        + weights.latest * fall.latest
        + weights.chance * fall.chance
    )


@compiled
def _sharpest_fall(shares: Floats, usual: float, look: Tuning) -> float:
    """Return by how much the logarithm of the share fell at most between one stretch and the next; unknown is usual."""
    slots, sharpest = look.stretch_slots, -math.inf
    logs = np.zeros(len(shares))
    for slot in range(len(shares)):
        logs[slot] = or_zero(math.log(at_least(shares[slot] / usual, look.least_share)))
    for until in range(2 * slots, len(logs) + 1):
        fall = _mean_before(logs, until - slots, slots) - _mean_before(logs, until, slots)
        sharpest = max(sharpest, fall)
    return sharpest


@compiled
def _fit_ramp(falls: _Falls) -> tuple[int, float]:
    """Return how many slots ago the ramp began that explains most, and how much that is."""
    began, most = MOST_AGE, -1.0
    for age in range(MOST_AGE, 0, -1):
        explained = _explained(_ramp(age), falls)
        if explained > most:
            began, most = age, explained
    return began, most


@compiled
def _fit_step(falls: _Falls) -> tuple[int, float]:
    """Return how many slots the step that explains most has lasted, and how much that is."""
    lasted, most = HISTORY_SLOTS, -1.0
    for slot in range(HISTORY_SLOTS):
        explained = _explained(_step(slot), falls)
        if explained > most:
            lasted, most = HISTORY_SLOTS - slot, explained
    return lasted, most


@compiled
def _weigh_falls(state: State, has_activity: bool, config: Tuning) -> _Falls:
    n_signals = 3 if has_activity else 2
    falls = _Falls(np.empty((n_signals, HISTORY_SLOTS)), np.empty((n_signals, HISTORY_SLOTS)))
    _weigh_events(falls, state, Series.CHATS, usual_of(state, Usual.CHAT_RATE), config.counts)
    _weigh_events(falls, state, Series.REACTIONS, usual_of(state, Usual.REACTION_RATE), config.counts)
    if has_activity:
        _weigh_activity(falls, state, usual_of(state, Usual.ACTIVE_SHARE), config.shares)
    return falls


@compiled
def _weigh_events(falls: _Falls, state: State, signal: int, usual: float, counts: Tuning) -> None:
    for slot in range(HISTORY_SLOTS):
        expected = or_zero(usual * state.history[Series.PEOPLE, slot])
        seen = or_zero(state.history[signal, slot])
        falls.parts[signal, slot] = 1 - seen / expected if expected > 0 else 0.0
        falls.weights[signal, slot] = expected / (counts.dispersion + counts.rate_spread**2 * expected)


@compiled
def _weigh_activity(falls: _Falls, state: State, usual: float, shares: Tuning) -> None:
    for slot in range(HISTORY_SLOTS):
        people = state.history[Series.PEOPLE, slot]
        variance = (1 - usual) / (max(1.0, people) * usual) + shares.spread**2
        falls.parts[-1, slot] = or_zero(1 - state.history[Series.ACTIVITY, slot] / usual)
        falls.weights[-1, slot] = 1 / variance if people > 0 else 0.0


@compiled
def _ramp(age: int) -> Floats:
    """Return a shape that is 0 up to so many slots ago, and rises evenly to 1 since."""
    shape = np.empty(HISTORY_SLOTS)
    for slot in range(HISTORY_SLOTS):
        shape[slot] = max(0.0, 1 - (HISTORY_SLOTS - 1 - slot) / age)
    return shape


@compiled
def _step(since: int) -> Floats:
    """Return a shape that is 0, and 1 since a slot."""
    shape = np.empty(HISTORY_SLOTS)
    for slot in range(HISTORY_SLOTS):
        shape[slot] = slot >= since
    return shape


@compiled
def _explained(shape: Floats, falls: _Falls) -> float:
    """Return how much of the falls a shape (slots) explains."""
    explained = 0.0
    for signal in range(len(falls.parts)):
        along, power = 0.0, 0.0
        for slot in range(HISTORY_SLOTS):
            along += shape[slot] * falls.weights[signal, slot] * falls.parts[signal, slot]
            power += shape[slot] ** 2 * falls.weights[signal, slot]
        if power > 0:
            explained += max(0.0, along) ** 2 / power
    return explained


@compiled
def _turns_away_suddenly(state: State, began: int, sudden: Tuning) -> bool:
    activity, share = state.history[Series.ACTIVITY], usual_of(state, Usual.ACTIVE_SHARE)
    chance = _chance_of(share, np.float64(state.history[Series.PEOPLE, -1]))
    if _latest_fall(activity, sudden) >= sudden.latest_fall + sudden.latest_noise * chance:
        return True
    return _steepest_part(activity, sudden) >= sudden.part + sudden.part_by_age * math.log(began)


@compiled
def _chance_of(share: float, people: float) -> float:
    """Return the standard deviation that the logarithm of an active share has by chance, of so many people."""
    return math.sqrt((1 - share) / (share * max(1.0, people)))


@compiled
def _latest_fall(shares: Floats, sudden: Tuning) -> float:
    """Return by how much the logarithm of the share has fallen within the latest slots; 0 where that is not known."""
    until = len(shares) - sudden.latest_slots
    before, now = _mean_before(shares, until, sudden.latest_before_slots), np.float64(shares[-1])
    return math.log(before / now) if before > 0 and now > 0 else 0.0


@compiled
def _steepest_part(shares: Floats, sudden: Tuning) -> float:
    """Return how much of the fall from the highest share of two minutes came in its steepest stretch."""
    known, n = _drop_unknown(shares)
    if n < sudden.least_rows:
        return 1.0
    steepest = -math.inf
    for until in range(sudden.upper_slots + sudden.stretch_slots, n + 1):
        upper = _mean_before(known, until - sudden.stretch_slots, sudden.upper_slots)
        steepest = max(steepest, upper - _mean_before(known, until, sudden.lower_slots))
    whole = largest(known[:n]) - _mean_before(known, n, sudden.lower_slots)
    return steepest / whole if whole > 0 else 1.0


@compiled
def _drop_unknown(shares: Floats) -> tuple[Floats, int]:
    """Return the known shares, and how many they are."""
    known, n = np.empty(len(shares)), 0
    for share in shares:
        if not math.isnan(share):
            known[n] = share
            n += 1
    return known, n


@compiled
def _mean_before(shares: Floats, until: int, slots: int) -> float:
    """Return the mean of so many slots before one; NaN where one of them is unknown."""
    total = np.float64(0)  # whatever the shares are kept in
    for slot in range(until - slots, until):
        total += shares[slot]
    return total / slots
