"""Judge rows against what is usual in their own room, then learn from those that were quiet. Pure.

Works on many sessions at once, a row of each; what it says of one does not depend on the others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalies.detector import baseline
from anomalies.detector.arrays import Floats, Mask, known_mean, or_zero
from anomalies.detector.config import DEFAULT, DetectorConfig
from anomalies.detector.counts import is_rounded
from anomalies.detector.prior import FOREST, Prior
from anomalies.detector.sizes import SLOTS_PER_MINUTE, TREE_WINDOW
from anomalies.detector.state import (
    ACTIVE_SHARE,
    ACTIVITY,
    CHAT_RATE,
    CHATS,
    LEAVE_RATE,
    LEAVERS,
    MEAN_SCORE,
    PEOPLE,
    REACTION_RATE,
    REACTIONS,
    SCORE,
    States,
)

LEAST_SHARE, MOST_SHARE = 0.02, 0.98
SCORE_NOISE_RATE = 0.03  # a row; the score's own noise is only shown, as the width of what is expected
SCORE_NOISE_CLIP = 0.1**2


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was found in one row of each session: arrays of one value (or row of values) a session.

    `is_judged` is False where it is too early to say; the other values mean nothing there. `evidence` holds the
    fused one-sided evidence over 15, 30, 60 and 120 s, against the slow reference, and of a sharp fall, in standard
    deviations; `by_signal` the worst of chat, reactions and activity; `exit_z` that of those who left.
    """

    is_judged: Mask
    score: Floats  # 0..1: 0.7 × trees + 0.3 × z
    trees: Floats  # 0..1: how rare, among quiet rows, a tree score this high is
    tree_score: Floats  # 0..1: the score of the half-space trees itself, 0 where they were not asked
    z: Floats  # the fused evidence at its worst window
    evidence: Floats  # (sessions, 6)
    by_signal: Floats  # (sessions, 3)
    exit_z: Floats
    is_exit: Mask
    has_activity: Mask
    fall: Floats  # the part of the usual engagement score that is gone
    is_falling: Mask  # the active share of the row before lies low, too
    tree_leaves: NDArray[np.uint8]  # (sessions, trees), where the row falls in the trees
    noises: Floats  # (sessions, 13), z before it was scaled

    @property
    def sharp(self) -> Floats:
        """The evidence of a sharp fall of the active share, against the room's own last minute."""
        return self.evidence[:, -1]


def judge(states: States, prior: Prior, config: DetectorConfig = DEFAULT) -> Verdicts:
    """Return the verdicts on the newest row that each session has taken. Changes nothing."""
    sums = _window_sums(states)
    has_activity = baseline.has_activity(states, config.baseline)
    knows_audience = ~np.isnan(states.previous[:, 4])
    usual = baseline.usual_before(states, ~has_activity, config.baseline)
    raw = _standard_scores(states, sums, usual, config)
    # A chat that is all we know is too uneven for its own noise: a fall of minutes would excuse itself.
    noise = np.where(knows_audience[:, None], np.maximum(config.least_noise**2, states.noise.astype(np.float64)), 1)
    evidence, by_signal = _fuse(states, raw / np.sqrt(noise), sums, has_activity, knows_audience, config)
    exit_z, exit_share = _exits(states, sums, config)
    is_exit = exit_z >= config.exit_z
    worst = evidence.max(axis=1)
    leaves = FOREST.find_leaves(_features(evidence, worst, exit_share, config))
    asks_trees = (worst >= config.least_evidence) | (exit_share >= config.least_exit)
    tree_score = np.zeros(len(states))
    tree_score[asks_trees] = score_trees(states[asks_trees], leaves[asks_trees], prior, config)
    trees = np.where(asks_trees, np.minimum(1.0, prior.rarity(tree_score) / config.tail_full), 0.0)
    worst_z = np.maximum(worst, np.where(is_exit, exit_z / config.exit_z * config.z_full, 0))
    fused = config.tree_weight * trees + config.z_weight * np.clip(worst_z / config.z_full, 0, 1)
    certain_exit = np.minimum(1.0, config.warning_from + 0.1 * (exit_z - config.exit_z))
    fused = np.where(is_exit, np.maximum(fused, certain_exit), fused)
    is_falling = _sharp_z(states, sums[:, PEOPLE, 0], 2, config) >= config.sharp_pair
    is_judged = (states.slots >= config.warm_slots) & (states.n_blocks >= 1)
    return Verdicts(
        is_judged, np.where(is_judged, fused, 0.0), trees, tree_score, worst, evidence, by_signal, exit_z,
        is_exit & is_judged, has_activity, _fall(states, sums, usual, knows_audience), is_falling, leaves, raw,
    )  # fmt: skip


def _features(evidence: Floats, worst: Floats, exit_share: Floats, config: DetectorConfig) -> Floats:
    """Return what the trees see: evidence by window, sharpest first, its worst, and the share that left."""
    by_window = np.column_stack([evidence[:, -1], evidence[:, :3], np.maximum(evidence[:, 3], evidence[:, 4])])
    features = np.column_stack([by_window, worst]) / config.z_feature_full
    return np.column_stack([np.clip(features, 0, 1), exit_share])


def _fall(states: States, sums: Floats, usual: Floats, knows_audience: Mask) -> Floats:
    """Return the part of the usual engagement score that is gone; 1 where nothing is known any more.

    Where chat and reactions are all we know, it is that of their rates if more of it is gone: the score is full
    at 20 messages a minute, and a chat of 200 that falls to 40 is as good as before to it.
    """
    usual_score = states.usual[:, MEAN_SCORE].astype(np.float64)
    now_score = states.history[:, SCORE, -1].astype(np.float64)
    fall = np.where(usual_score > LEAST_SHARE, (usual_score - now_score) / np.maximum(LEAST_SHARE, usual_score), 0.0)
    minute = SLOTS_PER_MINUTE - 1
    expected = (or_zero(usual[:, CHAT_RATE]) + or_zero(usual[:, REACTION_RATE])) * sums[:, PEOPLE, minute]
    quieter = 1 - (sums[:, CHATS, minute] + sums[:, REACTIONS, minute] + 0.5) / (expected + 0.5)
    fall = np.where(np.isnan(fall), 1.0, fall)
    return np.where(knows_audience, fall, np.maximum(fall, quieter))


def learn(states: States, verdicts: Verdicts, may_learn: Mask, config: DetectorConfig = DEFAULT) -> None:
    """Learn the newest rows of these sessions, in place: what is usual, how noisy it is, and the trees.

    `may_learn` leaves out what was just flagged: a dip must not become normal.
    """
    quiet = may_learn & verdicts.is_judged
    noise = states.noise.astype(np.float64)
    taught = noise + config.noise_rate * (np.minimum(config.noise_clip, verdicts.noises**2) - noise)
    states.noise = np.where(quiet[:, None], taught, noise)
    off = states.history[:, SCORE, -1].astype(np.float64) - states.usual[:, MEAN_SCORE]
    score_noise = states.score_noise.astype(np.float64)
    taught = score_noise + SCORE_NOISE_RATE * (np.minimum(SCORE_NOISE_CLIP, off**2) - score_noise)
    states.score_noise = np.where(quiet & ~np.isnan(off), taught, score_noise)
    baseline.learn(states, may_learn, config.baseline)
    _learn_trees(states, verdicts.tree_leaves, quiet)


def score_trees(states: States, leaves: NDArray[np.uint8], prior: Prior, config: DetectorConfig) -> Floats:
    """Return what River's half-space trees say of the leaves that a row of each session falls into.

    They are made of the shared prior and of the session's own rows.
    """
    counted = np.arange(TREE_WINDOW) < states.n_tree_leaves[:, :1]
    return FOREST.score(leaves, states.tree_leaves[:, 0], counted, prior.masses, config.own_row_weight)


def _learn_trees(states: States, leaves: NDArray[np.uint8], which: Mask) -> None:
    """Remember a row in the window that is filling; when it is full it becomes the one that rows are judged by."""
    row = np.flatnonzero(which)
    filled = states.n_tree_leaves[row, 1]
    states.tree_leaves[row, 1, filled] = leaves[row]
    states.n_tree_leaves[row, 1] = filled + 1
    full = row[filled + 1 == TREE_WINDOW]
    states.tree_leaves[full, 0] = states.tree_leaves[full, 1]
    states.n_tree_leaves[full, 0], states.n_tree_leaves[full, 1] = TREE_WINDOW, 0


def _window_sums(states: States) -> Floats:
    """Return sums over the newest 1, 2, ... slots: (sessions, signals, slots); unknown counts as nothing."""
    newest_first = states.history[:, : PEOPLE + 1, ::-1].astype(np.float64)
    return np.cumsum(or_zero(newest_first), axis=2)


def _standard_scores(states: States, sums: Floats, usual: Floats, config: DetectorConfig) -> Floats:
    """Return one-sided z of chat and reactions over the windows, of activity, of all against the reference, and of
    the newest active share against the last minute's.
    """
    reference = states.reference.astype(np.float64)
    rounding = np.where(is_rounded(states, config.rounding), config.rounding.spread, 0.0)
    columns = [
        _count_z(sums, signal, usual[:, rate], window, rounding, config)
        for signal, rate in ((CHATS, CHAT_RATE), (REACTIONS, REACTION_RATE))
        for window in config.windows
    ]
    people = sums[:, PEOPLE, 0]
    shares = states.history[:, ACTIVITY].astype(np.float64)
    activity = np.where(people < config.few_people, known_mean(shares[:, -4:]), known_mean(shares[:, -2:]))
    columns.append(_share_z(activity, usual[:, ACTIVE_SHARE], people, config.activity_spread, config))
    longest = config.windows[-1]
    columns.append(_count_z(sums, CHATS, reference[:, CHAT_RATE], longest, rounding, config))
    columns.append(_count_z(sums, REACTIONS, reference[:, REACTION_RATE], longest, rounding, config))
    columns.append(_share_z(activity, reference[:, ACTIVE_SHARE], people, config.activity_spread, config))
    columns.append(_sharp_z(states, people, 1, config))
    return np.stack(columns, axis=1)


def _sharp_z(states: States, people: Floats, rows: int, config: DetectorConfig) -> Floats:
    """Return how far the active share of the newest rows lies below that of the minute before them."""
    shares = states.history[:, ACTIVITY].astype(np.float64)
    before = shares[:, -1 - config.sharp_slots[1] : -config.sharp_slots[0]]
    is_known = (~np.isnan(before)).sum(axis=1) >= config.sharp_least_rows
    before = np.where(is_known, known_mean(before), np.nan)
    return _share_z(known_mean(shares[:, -rows:]), before, people, config.sharp_spread, config)


def _count_z(sums: Floats, signal: int, rate: Floats, window: int, rounding: Floats, config: DetectorConfig) -> Floats:
    """Return how far a count lies below what the room's usual rate gives, in standard deviations of its logarithm."""
    seen = sums[:, signal, window - 1]
    expected = rate * sums[:, PEOPLE, window - 1]
    variance = config.dispersion / (expected + 1.0) + config.rate_spread**2 + (rounding / (expected + 1.0)) ** 2
    spread = np.sqrt(variance)
    return or_zero(-np.log((seen + 0.5) / (expected + 0.5)) / spread)


def _share_z(share: Floats, usual: Floats, people: Floats, least_spread: float, config: DetectorConfig) -> Floats:
    """Return how far the active share lies below its usual value; 0 where it is unknown or always full.

    In people, and half a person is the least: of seven people none active is no catastrophe. A fall of less than
    `turned_away_people` counts for less.
    """
    of_people = np.clip(usual, LEAST_SHARE, MOST_SHARE)
    spread = np.sqrt((1 - of_people) / (people * of_people + 0.5) + least_spread**2)
    expected, seen = usual * people, share * people
    z = np.log((expected + 0.5) / (seen + 0.5)) / spread
    z = np.where(z > 0, z * np.clip((expected - seen) / config.turned_away_people, 0, 1), z)
    return or_zero(np.where(usual < config.baseline.full_activity, z, 0.0))


def _fuse(
    states: States, z: Floats, sums: Floats, has_activity: Mask, knows_audience: Mask, config: DetectorConfig
) -> tuple[Floats, Floats]:
    """Fuse the signals of each window by weight; a signal weighs as much as it carries events."""
    n_windows = len(config.windows)
    chat = np.clip(z[:, [*range(n_windows), -4, 0]], -1.5, 6.0)
    reactions = np.clip(z[:, [*range(n_windows, 2 * n_windows), -3, n_windows]], -1.5, 6.0)
    activity = np.clip(z[:, [2 * n_windows] * n_windows + [-2, -1]], -1.5, [8.0] * (n_windows + 1) + [12.0])
    usual = or_zero(states.usual.astype(np.float64))
    people = sums[:, PEOPLE, SLOTS_PER_MINUTE - 1]
    people = people / np.where(is_rounded(states, config.rounding), config.rounding.full_events, config.full_events)
    weight = np.stack(
        [
            config.weight_chat * np.minimum(1.0, usual[:, CHAT_RATE] * people),
            config.weight_reactions * np.minimum(1.0, usual[:, REACTION_RATE] * people),
            config.weight_activity * has_activity,
        ],
        axis=1,
    )
    by_window = np.repeat(weight[:, None, :], n_windows + 2, axis=1)
    by_window[:, -1, :2] *= config.sharp_events
    length = np.sqrt(by_window[:, :, 0] ** 2 + by_window[:, :, 1] ** 2 + by_window[:, :, 2] ** 2)
    parts = np.stack([chat, reactions, activity], axis=2) * by_window
    fused = (parts[:, :, 0] + parts[:, :, 1] + parts[:, :, 2]) / np.maximum(0.5, length)
    fused[:, -2] *= config.slow_part
    fused[:, -1] = np.where(has_activity, config.sharp_part * fused[:, -1], -1.0)
    # Of a handful of people each one is a large share, and they act as one: their evidence counts for less. So
    # does that of short windows where nobody says who listens: chat alone comes in bursts.
    size = np.where(knows_audience, np.minimum(1.0, np.sqrt(sums[:, PEOPLE, 0] / config.full_audience)), 1.0)
    fused *= size[:, None] * np.where(has_activity[:, None], 1.0, np.array(config.window_parts))
    activity[:, -1] *= config.sharp_turned_away
    return fused, np.where(weight > 0, np.stack([chat, reactions, activity], axis=2).max(axis=1), 0.0)


def _exits(states: States, sums: Floats, config: DetectorConfig) -> tuple[Floats, Floats]:
    """Return the root deviance of the leavers against the session's own churn, and the share that left in a minute.

    Root deviance of a Poisson count: sqrt(2 (x ln(x / μ) − (x − μ))). It counts only where at least
    `exit_leavers` people left, more than expected, and a share that is on the way to `mass_exit_rate` a minute.
    """
    churn = or_zero(states.usual[:, LEAVE_RATE].astype(np.float64)) + config.least_churn
    present = sums[:, PEOPLE, 0]
    best = np.zeros(len(states))
    for window, part in zip(config.exit_windows, config.exit_shares, strict=True):
        left = sums[:, LEAVERS, window - 1]
        expected = churn * sums[:, PEOPLE, window - 1] + 0.15
        deviance = left * np.log(np.maximum(left, 1e-9) / expected) - (left - expected)
        share = left / np.maximum(1e-9, present + left)
        counts = (left >= config.exit_leavers) & (left > expected) & (share >= part * config.mass_exit_rate)
        best = np.where(counts, np.maximum(best, np.sqrt(2 * np.maximum(0.0, deviance))), best)
    left = sums[:, LEAVERS, SLOTS_PER_MINUTE - 1]
    return best, left / np.maximum(1e-9, present + left)
