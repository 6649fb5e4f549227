"""One-sided evidence that a room is worse than usual: what each signal did, and all of them together. Pure."""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from anomalies.detector import baseline
from anomalies.detector.arrays import Floats
from anomalies.detector.baseline import WhatIsUsual, usual_of
from anomalies.detector.bursts import find_burst_z, knows_audience, sum_long
from anomalies.detector.compiled import State, Tuning, compiled
from anomalies.detector.counts import is_rounded
from anomalies.detector.halves import read_half
from anomalies.detector.scalars import clip, count_known, fill, known_mean, largest, or_zero
from anomalies.detector.sizes import HISTORY_SLOTS, SLOTS_PER_MINUTE, WINDOWS
from anomalies.detector.state import N_DEVIATIONS, N_EVENTS, Deviation, Series, Usual


class Horizon(IntEnum):
    """What evidence is gathered over: the four windows, the slow reference, and a sharp fall."""

    SHORTEST = 0
    SHORT = 1
    LONG = 2
    LONGEST = 3
    SLOW = 4
    SHARP = 5


# Where the standard scores of chats and of reactions begin, and where their slow ones are.
FIRST_OF = (int(Deviation.CHAT), int(Deviation.REACTIONS))
SLOW_OF = (int(Deviation.SLOW_CHAT), int(Deviation.SLOW_REACTIONS))
N_HORIZONS, N_LASTING = len(Horizon), int(Horizon.SHARP)  # all, and those before that of a sharp fall
N_SUMMED = Series.PEOPLE + 1  # of series, the first ones


class Room(NamedTuple):
    """What the newest row is judged by."""

    sums: Floats  # (signals up to people, slots), over the newest 1, 2, ... slots
    activity: Floats  # of each slot
    usual: WhatIsUsual
    people: float
    has_activity: bool
    knows_audience: bool
    is_rounded: bool
    rounding: float  # the standard deviation of a count by its rounding alone, in events


class Evidence(NamedTuple):
    """What was found in a row, in standard deviations, positive where it is worse than usual."""

    by_horizon: Floats  # fused from the signals
    worst: float  # of the horizons
    chat: float  # a signal at its worst horizon, 0 where it weighs nothing
    reactions: float
    activity: float
    sharp: float  # the evidence of a sharp fall of the active share, against the room's own last minute
    is_falling: bool  # the active share of the row before lies low, too
    unscaled: Floats  # by `Deviation`, before they were scaled by the room's own noise


class _Signals(NamedTuple):
    """A value of each signal."""

    chat: float
    reactions: float
    activity: float


class _Horizons(NamedTuple):
    """A value of each signal over every horizon."""

    chat: Floats
    reactions: Floats
    activity: Floats


@compiled
def look_around(state: State, config: Tuning) -> Room:
    """Return what the newest row is judged by."""
    has_activity = baseline.has_activity(state, config.baseline)
    is_coarse = is_rounded(state, config.rounding)
    sums = _sum_up(state)
    return Room(
        sums,
        state.history[Series.ACTIVITY],
        baseline.usual_before(state, not has_activity),
        sums[Series.PEOPLE, 0],
        has_activity,
        knows_audience(state),
        is_coarse,
        config.rounding.spread if is_coarse else 0.0,
    )


@compiled
def sum_of(room: Room, signal: int, slots: int) -> float:
    """Return the sum over so many of the newest slots; unknown counts as nothing."""
    return room.sums[signal, slots - 1]


@compiled
def gather_evidence(state: State, room: Room, config: Tuning) -> Evidence:
    """Return the evidence in the newest row."""
    unscaled = _standard_scores(state, room, config)
    signals = _by_horizon(_scaled(state, room, unscaled, config.noise), config.weighing)
    weights = _weigh(state, room, config)
    if room.knows_audience:
        by_horizon = _fuse(signals, weights, room, config)
    else:
        by_horizon = _fuse_bursts(signals, weights, config)
    worst = _worst_of_each(signals, weights, config.sharp_falls)
    is_falling = _sharp_z(room, config.sharp_falls.pair_rows, config) >= config.sharp_falls.pair_from
    return Evidence(
        by_horizon,
        largest(by_horizon),
        worst.chat,
        worst.reactions,
        worst.activity,
        by_horizon[Horizon.SHARP],
        is_falling,
        unscaled,
    )


@compiled
def _sum_up(state: State) -> Floats:
    sums = np.empty((N_SUMMED, HISTORY_SLOTS))
    for signal in range(N_SUMMED):
        total = 0.0
        for slots in range(HISTORY_SLOTS):
            total += or_zero(state.history[signal, HISTORY_SLOTS - 1 - slots])
            sums[signal, slots] = total
    return sums


@compiled
def _standard_scores(state: State, room: Room, config: Tuning) -> Floats:
    z = np.empty(N_DEVIATIONS)
    for signal in range(N_EVENTS):
        if room.knows_audience:
            _compare_rates(state, room, signal, z, config)
        else:
            _find_too_few(state, room, signal, z, config)
    spread, activity = config.shares.spread, _latest_activity(room, config)
    z[Deviation.ACTIVITY] = _share_z(room, activity, room.usual.active_share, spread, config)
    z[Deviation.SLOW_ACTIVITY] = _share_z(room, activity, _reference_of(state, Usual.ACTIVE_SHARE), spread, config)
    z[Deviation.SHARP] = _sharp_z(room, 1, config)
    return z


@compiled
def _compare_rates(state: State, room: Room, signal: int, z: Floats, config: Tuning) -> None:
    """Write the standard scores of chats or reactions against what is usual; the slow one is the longest."""
    windows, first = config.counts.windows, FIRST_OF[signal]
    usual = room.usual.chat_rate if signal == Series.CHATS else room.usual.reaction_rate
    for place in range(WINDOWS):
        z[first + place] = _count_z(room, signal, usual, windows[place], config)
    z[SLOW_OF[signal]] = _count_z(room, signal, _reference_of(state, signal), windows[WINDOWS - 1], config)


@compiled
def _find_too_few(state: State, room: Room, signal: int, z: Floats, config: Tuning) -> None:
    """Write the standard scores of chats or reactions where they are all that is known; the slow one is the longest."""
    bursts, windows = config.bursts, config.counts.windows
    first, slow = FIRST_OF[signal], SLOW_OF[signal]
    usual = read_half(state.settled[signal])
    for place in range(WINDOWS):
        seen, expected = sum_of(room, signal, windows[place]), usual * sum_of(room, Series.PEOPLE, windows[place])
        z[first + place] = find_burst_z(state, signal, seen, expected, room.rounding, bursts)
    seen = sum_long(state, signal, bursts.long_slots)
    z[slow] = find_burst_z(state, signal, seen, usual * bursts.long_slots, room.rounding, bursts)


@compiled
def _reference_of(state: State, what: int) -> float:
    return read_half(state.reference[what])


@compiled
def _count_z(room: Room, signal: int, rate: float, window: int, config: Tuning) -> float:
    """Return how far a count lies below what the room's usual rate gives, in standard deviations of its logarithm."""
    if math.isnan(rate):
        return 0.0
    counts = config.counts
    seen = sum_of(room, signal, window)
    expected = rate * sum_of(room, Series.PEOPLE, window)
    at_least = expected + counts.variance_offset
    variance = counts.dispersion / at_least + counts.rate_spread**2 + (room.rounding / at_least) ** 2
    return -math.log((seen + counts.offset) / (expected + counts.offset)) / math.sqrt(variance)


@compiled
def _latest_activity(room: Room, config: Tuning) -> float:
    """Return the active share of now: of a few people over a longer time."""
    shares = config.shares
    return known_mean(room.activity[-(shares.few_slots if room.people < shares.few_people else shares.slots) :])


@compiled
def _sharp_z(room: Room, rows: int, config: Tuning) -> float:
    """Return how far the active share of the newest rows lies below that of the minute before them."""
    sharp = config.sharp_falls
    before = room.activity[-1 - sharp.since_slots : -sharp.skipped_slots]
    usual = known_mean(before) if count_known(before) >= sharp.least_rows else math.nan
    return _share_z(room, known_mean(room.activity[-rows:]), usual, sharp.spread, config)


@compiled
def _share_z(room: Room, share: float, usual: float, least_spread: float, config: Tuning) -> float:
    """Return how far the active share lies below its usual value; 0 where it is unknown or always full.

    In people, and half a person is the least: of seven people none active is no catastrophe. A fall of less than
    `turned_away_people` counts for less.
    """
    shares, people = config.shares, room.people
    if math.isnan(share) or not usual < config.baseline.full_activity:
        return 0.0
    of_people = clip(usual, shares.least, shares.most)
    spread = math.sqrt((1 - of_people) / (people * of_people + shares.offset) + least_spread**2)
    expected, seen = usual * people, share * people
    z = math.log((expected + shares.offset) / (seen + shares.offset)) / spread
    return z * clip((expected - seen) / shares.turned_away_people, 0.0, 1.0) if z > 0 else z


@compiled
def _scaled(state: State, room: Room, unscaled: Floats, noise: Tuning) -> Floats:
    """Return z in units of the room's own noise.

    A chat that is all we know is too uneven for that: a fall of minutes would excuse itself.
    """
    z = np.empty(N_DEVIATIONS)
    for which in range(N_DEVIATIONS):
        variance = max(noise.least**2, read_half(state.noise[which])) if room.knows_audience else 1.0
        z[which] = unscaled[which] / math.sqrt(variance)
    return z


@compiled
def _by_horizon(z: Floats, weighing: Tuning) -> _Horizons:
    """Return each signal's z over every horizon, within limits; events of a sharp fall are those of the shortest."""
    chat, reactions, activity = np.empty(N_HORIZONS), np.empty(N_HORIZONS), np.empty(N_HORIZONS)
    for window in range(WINDOWS):
        chat[window], reactions[window] = z[Deviation.CHAT + window], z[Deviation.REACTIONS + window]
        activity[window] = z[Deviation.ACTIVITY]
    chat[Horizon.SLOW], chat[Horizon.SHARP] = z[Deviation.SLOW_CHAT], z[Deviation.CHAT]
    reactions[Horizon.SLOW], reactions[Horizon.SHARP] = z[Deviation.SLOW_REACTIONS], z[Deviation.REACTIONS]
    activity[Horizon.SLOW], activity[Horizon.SHARP] = z[Deviation.SLOW_ACTIVITY], z[Deviation.SHARP]
    for horizon in range(N_HORIZONS):
        worst = weighing.worst_sharp if horizon == Horizon.SHARP else weighing.worst_activity
        chat[horizon] = clip(chat[horizon], weighing.best, weighing.worst_events)
        reactions[horizon] = clip(reactions[horizon], weighing.best, weighing.worst_events)
        activity[horizon] = clip(activity[horizon], weighing.best, worst)
    return _Horizons(chat, reactions, activity)


@compiled
def _weigh(state: State, room: Room, config: Tuning) -> _Signals:
    """Return what each signal weighs: as much as it carries events in a minute, the active share where it tells."""
    weighing = config.weighing
    full_events = weighing.full_events if room.knows_audience else config.bursts.full_events
    if room.is_rounded:
        full_events = config.rounding.full_events
    people = sum_of(room, Series.PEOPLE, SLOTS_PER_MINUTE) / full_events
    chat, reactions = or_zero(usual_of(state, Usual.CHAT_RATE)), or_zero(usual_of(state, Usual.REACTION_RATE))
    return _Signals(
        weighing.weight_chat * min(1.0, chat * people),
        weighing.weight_reactions * min(1.0, reactions * people),
        weighing.weight_activity if room.has_activity else 0.0,
    )


@compiled
def _fuse(signals: _Horizons, weights: _Signals, room: Room, config: Tuning) -> Floats:
    """Return the evidence of all signals by horizon."""
    weighing, sharp = config.weighing, config.sharp_falls
    fused = np.empty(N_HORIZONS)
    for horizon in range(N_HORIZONS):
        event_part = sharp.event_part if horizon == Horizon.SHARP else 1.0
        chat, reactions, activity = weights.chat * event_part, weights.reactions * event_part, weights.activity
        length = math.sqrt(chat**2 + reactions**2 + activity**2)
        of_events = signals.chat[horizon] * chat + signals.reactions[horizon] * reactions
        total = of_events + signals.activity[horizon] * activity
        fused[horizon] = total / max(weighing.least_weight, length)
    fused[Horizon.SLOW] *= weighing.slow_part
    fused[Horizon.SHARP] = sharp.part * fused[Horizon.SHARP] if room.has_activity else sharp.without_activity
    for horizon in range(N_HORIZONS):
        fused[horizon] *= _credit(room, horizon, weighing)
    return fused


@compiled
def _fuse_bursts(signals: _Horizons, weights: _Signals, config: Tuning) -> Floats:
    """Return the evidence where chat and reactions are all that is known: at every horizon that of the worst.

    How the horizons go together is known of rooms whose noise was taken off; here it would tell nothing.
    """
    length = max(config.weighing.weight_chat, math.sqrt(weights.chat**2 + weights.reactions**2))
    worst = -math.inf
    for horizon in range(N_LASTING):
        total = signals.chat[horizon] * weights.chat + signals.reactions[horizon] * weights.reactions
        worst = max(worst, config.bursts.worth * total / length)
    fused = np.empty(N_HORIZONS)
    fill(fused, worst)
    fused[Horizon.SHARP] = config.sharp_falls.without_activity
    return fused


@compiled
def _credit(room: Room, horizon: int, weighing: Tuning) -> float:
    """Return what evidence counts for.

    Of a handful of people each one is a large share, and they act as one: their evidence counts for less. So does
    that of short windows where nobody says who listens: chat comes in bursts.
    """
    size = min(1.0, math.sqrt(room.people / weighing.full_audience))
    return size if room.has_activity else size * weighing.unheard_parts[horizon]


@compiled
def _worst_of_each(signals: _Horizons, weights: _Signals, sharp: Tuning) -> _Signals:
    """Return each signal at its worst horizon, 0 where it weighs nothing."""
    sharply = signals.activity[Horizon.SHARP] * sharp.turned_away_part
    turned_away = max(largest(signals.activity[: Horizon.SHARP]), sharply)
    return _Signals(
        largest(signals.chat) if weights.chat > 0 else 0.0,
        largest(signals.reactions) if weights.reactions > 0 else 0.0,
        turned_away if weights.activity > 0 else 0.0,
    )
