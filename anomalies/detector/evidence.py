"""One-sided evidence that a room is worse than usual: what each signal did, and all of them together. Pure."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from anomalies.detector import baseline
from anomalies.detector.arrays import Floats, Mask, known_mean, or_zero
from anomalies.detector.config import DetectorConfig, Noise, SharpFalls, Weighing
from anomalies.detector.counts import is_rounded
from anomalies.detector.sizes import SLOTS_PER_MINUTE
from anomalies.detector.state import Figure, Series, StandardScores, States, Usual


class Horizon(IntEnum):
    """What evidence is gathered over: the four windows, the slow reference, and a sharp fall."""

    SHORTEST = 0
    SHORT = 1
    LONG = 2
    LONGEST = 3
    SLOW = 4
    SHARP = 5


_IN_WINDOWS = slice(Horizon.SHORTEST, Horizon.LONGEST + 1)
_IS_SHARP = np.arange(len(Horizon)) == Horizon.SHARP


@dataclass(frozen=True, slots=True)
class Room:
    """What the newest row of each session is judged by."""

    sums: Floats  # (sessions, signals up to people, slots), over the newest 1, 2, ... slots
    activity: Floats  # (sessions, slots)
    usual: Floats  # (sessions, what is usual)
    has_activity: Mask
    knows_audience: Mask
    is_rounded: Mask
    rounding: Floats  # the standard deviation of a count by its rounding alone, in events

    def sum_of(self, signal: Series, slots: int) -> Floats:
        """Return the sum over so many of the newest slots; unknown counts as nothing."""
        return self.sums[:, signal, slots - 1]

    @property
    def people(self) -> Floats:
        return self.sum_of(Series.PEOPLE, 1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found in one row of each session, in standard deviations, positive where it is worse than usual."""

    by_horizon: Floats  # (sessions, horizons), fused from the signals
    worst: Floats  # of the horizons
    chat: Floats  # a signal at its worst horizon, 0 where it weighs nothing
    reactions: Floats
    activity: Floats
    is_falling: Mask  # the active share of the row before lies low, too
    unscaled: StandardScores  # before they were scaled by the room's own noise

    @property
    def sharp(self) -> Floats:
        """The evidence of a sharp fall of the active share, against the room's own last minute."""
        return self.by_horizon[:, Horizon.SHARP]


def look_around(states: States, config: DetectorConfig) -> Room:
    """Return what the newest row of each session is judged by."""
    newest_first = states.history[:, : Series.PEOPLE + 1, ::-1].astype(np.float64)
    has_activity = baseline.has_activity(states, config.baseline)
    is_coarse = is_rounded(states, config.rounding)
    return Room(
        sums=np.cumsum(or_zero(newest_first), axis=2),
        activity=states.history[:, Series.ACTIVITY].astype(np.float64),
        usual=baseline.usual_before(states, ~has_activity),
        has_activity=has_activity,
        knows_audience=~np.isnan(states.previous[:, Figure.PRESENT]),
        is_rounded=is_coarse,
        rounding=np.where(is_coarse, config.rounding.spread, 0.0),
    )


def gather_evidence(states: States, room: Room, config: DetectorConfig) -> Evidence:
    """Return the evidence in the newest row of each session."""
    unscaled = _standard_scores(states, room, config)
    signals = _by_horizon(_scaled(states, room, unscaled, config.noise), config.weighing)
    weights, sharp = _weigh(states, room, config), config.sharp_falls
    by_horizon, worst_of = _fuse(signals, weights, room, config), _worst_of_each(signals, weights, sharp)
    return Evidence(
        by_horizon=by_horizon,
        worst=by_horizon.max(axis=1),
        chat=worst_of.chat,
        reactions=worst_of.reactions,
        activity=worst_of.activity,
        is_falling=_sharp_z(room, sharp.pair_rows, config) >= sharp.pair_from,
        unscaled=unscaled,
    )


@dataclass(frozen=True, slots=True)
class _Signals:
    """A value of each signal: (sessions,) or (sessions, horizons)."""

    chat: Floats
    reactions: Floats
    activity: Floats


def _standard_scores(states: States, room: Room, config: DetectorConfig) -> StandardScores:
    windows, reference = config.counts.windows, states.reference.astype(np.float64)
    activity = _latest_activity(room, config)
    z = StandardScores.zeros(len(states))
    for place, window in enumerate(windows):
        z.chat[:, place] = _count_z(room, Series.CHATS, room.usual[:, Usual.CHAT_RATE], window, config)
        z.reactions[:, place] = _count_z(room, Series.REACTIONS, room.usual[:, Usual.REACTION_RATE], window, config)
    z.activity = _share_z(room, activity, room.usual[:, Usual.ACTIVE_SHARE], config.shares.spread, config)
    z.slow_chat = _count_z(room, Series.CHATS, reference[:, Usual.CHAT_RATE], max(windows), config)
    z.slow_reactions = _count_z(room, Series.REACTIONS, reference[:, Usual.REACTION_RATE], max(windows), config)
    z.slow_activity = _share_z(room, activity, reference[:, Usual.ACTIVE_SHARE], config.shares.spread, config)
    z.sharp = _sharp_z(room, 1, config)
    return z


def _count_z(room: Room, signal: Series, rate: Floats, window: int, config: DetectorConfig) -> Floats:
    """Return how far a count lies below what the room's usual rate gives, in standard deviations of its logarithm."""
    counts = config.counts
    seen = room.sum_of(signal, window)
    expected = rate * room.sum_of(Series.PEOPLE, window)
    at_least = expected + counts.variance_offset
    variance = counts.dispersion / at_least + counts.rate_spread**2 + (room.rounding / at_least) ** 2
    spread = np.sqrt(variance)
    return or_zero(-np.log((seen + counts.offset) / (expected + counts.offset)) / spread)


def _latest_activity(room: Room, config: DetectorConfig) -> Floats:
    """Return the active share of now: of a few people over a longer time."""
    shares = config.shares
    of_few, of_many = (known_mean(room.activity[:, -slots:]) for slots in (shares.few_slots, shares.slots))
    return np.where(room.people < shares.few_people, of_few, of_many)


def _sharp_z(room: Room, rows: int, config: DetectorConfig) -> Floats:
    """Return how far the active share of the newest rows lies below that of the minute before them."""
    sharp = config.sharp_falls
    before = room.activity[:, -1 - sharp.since_slots : -sharp.skipped_slots]
    is_known = (~np.isnan(before)).sum(axis=1) >= sharp.least_rows
    usual = np.where(is_known, known_mean(before), np.nan)
    return _share_z(room, known_mean(room.activity[:, -rows:]), usual, sharp.spread, config)


def _share_z(room: Room, share: Floats, usual: Floats, least_spread: float, config: DetectorConfig) -> Floats:
    """Return how far the active share lies below its usual value; 0 where it is unknown or always full.

    In people, and half a person is the least: of seven people none active is no catastrophe. A fall of less than
    `turned_away_people` counts for less.
    """
    shares, people = config.shares, room.people
    of_people = np.clip(usual, shares.least, shares.most)
    spread = np.sqrt((1 - of_people) / (people * of_people + shares.offset) + least_spread**2)
    expected, seen = usual * people, share * people
    z = np.log((expected + shares.offset) / (seen + shares.offset)) / spread
    z = np.where(z > 0, z * np.clip((expected - seen) / shares.turned_away_people, 0, 1), z)
    return or_zero(np.where(usual < config.baseline.full_activity, z, 0.0))


def _scaled(states: States, room: Room, unscaled: StandardScores, noise: Noise) -> StandardScores:
    """Return z in units of the room's own noise.

    A chat that is all we know is too uneven for that: a fall of minutes would excuse itself.
    """
    learnt = np.maximum(noise.least**2, states.noise.astype(np.float64))
    return StandardScores.from_matrix(unscaled.matrix / np.sqrt(np.where(room.knows_audience[:, None], learnt, 1)))


def _by_horizon(z: StandardScores, weighing: Weighing) -> _Signals:
    """Return each signal's z over every horizon, within limits; events of a sharp fall are those of the shortest."""
    chat = _columns(z.chat, z.slow_chat, z.chat[:, Horizon.SHORTEST])
    reactions = _columns(z.reactions, z.slow_reactions, z.reactions[:, Horizon.SHORTEST])
    activity = _columns(z.activity[:, None], z.slow_activity, z.sharp)
    return _Signals(
        np.clip(chat, weighing.best, weighing.worst_events),
        np.clip(reactions, weighing.best, weighing.worst_events),
        np.clip(activity, weighing.best, np.where(_IS_SHARP, weighing.worst_sharp, weighing.worst_activity)),
    )


def _columns(windows: Floats, slow: Floats, sharp: Floats) -> Floats:
    z = np.empty((len(windows), len(Horizon)))
    z[:, _IN_WINDOWS] = windows
    z[:, Horizon.SLOW], z[:, Horizon.SHARP] = slow, sharp
    return z


def _weigh(states: States, room: Room, config: DetectorConfig) -> _Signals:
    """Return what each signal weighs: as much as it carries events in a minute, the active share where it tells."""
    weighing = config.weighing
    full_events = np.where(room.is_rounded, config.rounding.full_events, weighing.full_events)
    people = room.sum_of(Series.PEOPLE, SLOTS_PER_MINUTE) / full_events
    chat, reactions = or_zero(states.usual_of(Usual.CHAT_RATE)), or_zero(states.usual_of(Usual.REACTION_RATE))
    return _Signals(
        weighing.weight_chat * np.minimum(1.0, chat * people),
        weighing.weight_reactions * np.minimum(1.0, reactions * people),
        np.where(room.has_activity, weighing.weight_activity, 0.0),
    )


def _fuse(signals: _Signals, weights: _Signals, room: Room, config: DetectorConfig) -> Floats:
    """Return the evidence of all signals by horizon."""
    weighing, sharp = config.weighing, config.sharp_falls
    event_parts = np.where(_IS_SHARP, sharp.event_part, 1.0)
    chat, reactions = weights.chat[:, None] * event_parts, weights.reactions[:, None] * event_parts
    activity = weights.activity[:, None]
    length = np.sqrt(chat**2 + reactions**2 + activity**2)
    total = signals.chat * chat + signals.reactions * reactions + signals.activity * activity
    fused = total / np.maximum(weighing.least_weight, length)
    fused[:, Horizon.SLOW] *= weighing.slow_part
    of_sharp = sharp.part * fused[:, Horizon.SHARP]
    fused[:, Horizon.SHARP] = np.where(room.has_activity, of_sharp, sharp.without_activity)
    return fused * _credit(room, weighing)


def _credit(room: Room, weighing: Weighing) -> Floats:
    """Return what evidence counts for: (sessions, horizons).

    Of a handful of people each one is a large share, and they act as one: their evidence counts for less. So does
    that of short windows where nobody says who listens: chat alone comes in bursts.
    """
    of_audience = np.minimum(1.0, np.sqrt(room.people / weighing.full_audience))
    size = np.where(room.knows_audience, of_audience, 1.0)
    return size[:, None] * np.where(room.has_activity[:, None], 1.0, np.array(weighing.unheard_parts))


def _worst_of_each(signals: _Signals, weights: _Signals, sharp: SharpFalls) -> _Signals:
    """Return each signal at its worst horizon, 0 where it weighs nothing."""

    def worst(z: Floats, weight: Floats) -> Floats:
        return np.where(weight > 0, z.max(axis=1), 0.0)

    turned_away = signals.activity * np.where(_IS_SHARP, sharp.turned_away_part, 1.0)
    return _Signals(
        worst(signals.chat, weights.chat),
        worst(signals.reactions, weights.reactions),
        worst(turned_away, weights.activity),
    )
