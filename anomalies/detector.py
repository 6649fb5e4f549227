"""Judge rows against what is usual in their own room, then learn from those that were quiet. Pure.

Works on many sessions at once, a row of each; what it says of one does not depend on the others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalies import baseline
from anomalies.config import DEFAULT, SLOTS_PER_MINUTE, TREE_WINDOW, DetectorConfig
from anomalies.prior import FOREST, Prior
from anomalies.state import (
    ACTIVE_SHARE,
    ACTIVITY,
    CHAT_RATE,
    CHATS,
    LEAVE_RATE,
    LEAVES,
    MEAN_SCORE,
    PEOPLE,
    REACTION_RATE,
    REACTIONS,
    SCORE,
    States,
)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_SHARE, MOST_SHARE = 0.02, 0.98
SCORE_NOISE_RATE = 0.03  # a row; the score's own noise is only shown, as the width of what is expected
SCORE_NOISE_CLIP = 0.1**2


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was found in one row of each session: arrays of one value (or row of values) a session.

    `is_judged` is False where it is too early to say; the other values mean nothing there. `evidence` holds the
    fused one-sided evidence over 15, 30, 60 and 120 s and against the slow reference, in standard deviations;
    `by_signal` the worst of chat, reactions and activity; `exit_z` that of the leaves.
    """

    is_judged: Mask
    score: Floats  # 0..1: 0.7 × trees + 0.3 × z
    trees: Floats  # 0..1: how rare, among quiet rows, a tree score this high is
    tree_score: Floats  # 0..1: the score of the half-space trees itself
    z: Floats  # the fused evidence at its worst window
    evidence: Floats  # (sessions, 5)
    by_signal: Floats  # (sessions, 3)
    exit_z: Floats
    is_exit: Mask
    has_activity: Mask
    fall: Floats  # the part of the usual engagement score that is gone
    features: Floats  # (sessions, 6), what the trees saw
    noises: Floats  # (sessions, 12), z before it was scaled


def judge(states: States, prior: Prior, config: DetectorConfig = DEFAULT) -> Verdicts:
    """Return the verdicts on the newest row that each session has taken. Changes nothing."""
    sums = _window_sums(states)
    raw = _standard_scores(states, sums, config)
    noise = np.maximum(config.least_noise**2, states["noise"].astype(np.float64))
    z = raw / np.sqrt(noise)
    evidence, by_signal = _fuse(states, z, sums, config)
    exit_z, exit_share = _exits(states, sums, config)
    is_exit = exit_z >= config.exit_z
    worst = evidence.max(axis=1)
    features = np.clip(
        np.column_stack([evidence[:, :3], np.maximum(evidence[:, 3], evidence[:, 4]), worst]) / config.z_feature_full,
        0,
        1,
    )
    features = np.column_stack([features, exit_share])
    tree_score = score_trees(states, features, prior, config)
    trees = np.minimum(1.0, prior.rarity(tree_score) / config.tail_full)
    z_part = np.clip(
        np.maximum(worst, np.where(is_exit, exit_z / config.exit_z * config.z_full, 0)) / config.z_full, 0, 1
    )
    fused = config.tree_weight * trees + config.z_weight * z_part
    certain_exit = np.minimum(1.0, config.warning_from + 0.1 * (exit_z - config.exit_z))
    fused = np.where(is_exit, np.maximum(fused, certain_exit), fused)
    usual_score = states["usual"][:, MEAN_SCORE].astype(np.float64)
    now_score = states["history"][:, SCORE, -1].astype(np.float64)
    fall = np.where(usual_score > LEAST_SHARE, (usual_score - now_score) / np.maximum(LEAST_SHARE, usual_score), 0.0)
    is_judged = (states["slots"] >= config.warm_slots) & (states["n_blocks"] >= 1)
    return Verdicts(
        is_judged, np.where(is_judged, fused, 0.0), trees, tree_score, worst, evidence, by_signal, exit_z,
        is_exit & is_judged, baseline.has_activity(states, config), np.nan_to_num(fall, nan=1.0), features, raw,
    )  # fmt: skip


def learn(states: States, verdicts: Verdicts, may_learn: Mask, config: DetectorConfig = DEFAULT) -> None:
    """Learn the newest rows of these sessions, in place: what is usual, how noisy it is, and the trees.

    `may_learn` leaves out what was just flagged: a dip must not become normal.
    """
    quiet = may_learn & verdicts.is_judged
    noise = states["noise"].astype(np.float64)
    taught = noise + config.noise_rate * (np.minimum(config.noise_clip, verdicts.noises**2) - noise)
    states["noise"] = np.where(quiet[:, None], taught, noise)
    off = states["history"][:, SCORE, -1].astype(np.float64) - states["usual"][:, MEAN_SCORE]
    score_noise = states["score_noise"].astype(np.float64)
    taught = score_noise + SCORE_NOISE_RATE * (np.minimum(SCORE_NOISE_CLIP, off**2) - score_noise)
    states["score_noise"] = np.where(quiet & ~np.isnan(off), taught, score_noise)
    baseline.learn(states, may_learn)
    _learn_trees(states, FOREST.find_leaves(verdicts.features), quiet)


def score_trees(states: States, features: Floats, prior: Prior, config: DetectorConfig) -> Floats:
    """Return what River's half-space trees say of each session's features, from the shared prior and its own rows."""
    counted = np.arange(TREE_WINDOW) < states["n_leaves"][:, :1]
    return FOREST.score(
        FOREST.find_leaves(features), states["leaves"][:, 0], counted, prior.masses, config.own_row_weight
    )


def _learn_trees(states: States, leaves: NDArray[np.uint8], which: Mask) -> None:
    """Remember a row in the window that is filling; when it is full it becomes the one that rows are judged by."""
    row = np.flatnonzero(which)
    filled = states["n_leaves"][row, 1]
    states["leaves"][row, 1, filled] = leaves[row]
    states["n_leaves"][row, 1] = filled + 1
    full = row[filled + 1 == TREE_WINDOW]
    states["leaves"][full, 0] = states["leaves"][full, 1]
    states["n_leaves"][full, 0], states["n_leaves"][full, 1] = TREE_WINDOW, 0


def _window_sums(states: States) -> Floats:
    """Return sums over the newest 1, 2, ... slots: (sessions, signals, slots); unknown counts as nothing."""
    newest_first = states["history"][:, :, ::-1].astype(np.float64)
    return np.cumsum(np.nan_to_num(newest_first), axis=2)


def _standard_scores(states: States, sums: Floats, config: DetectorConfig) -> Floats:
    """Return one-sided z of chat and reactions over the windows, of activity, and of all against the reference."""
    usual, reference = (states[name].astype(np.float64) for name in ("usual", "reference"))
    columns = [
        _count_z(sums, signal, usual[:, rate], window, config)
        for signal, rate in ((CHATS, CHAT_RATE), (REACTIONS, REACTION_RATE))
        for window in config.windows
    ]
    people = sums[:, PEOPLE, 0]
    shares = states["history"][:, ACTIVITY].astype(np.float64)
    activity = np.where(people < config.few_people, known_mean(shares[:, -4:]), known_mean(shares[:, -2:]))
    columns.append(_share_z(activity, usual[:, ACTIVE_SHARE], people, config))
    longest = config.windows[-1]
    columns.append(_count_z(sums, CHATS, reference[:, CHAT_RATE], longest, config))
    columns.append(_count_z(sums, REACTIONS, reference[:, REACTION_RATE], longest, config))
    columns.append(_share_z(activity, reference[:, ACTIVE_SHARE], people, config))
    return np.stack(columns, axis=1)


def _count_z(sums: Floats, signal: int, rate: Floats, window: int, config: DetectorConfig) -> Floats:
    """Return how far a count lies below what the room's usual rate gives, in standard deviations of its logarithm."""
    seen = sums[:, signal, window - 1]
    expected = rate * sums[:, PEOPLE, window - 1]
    spread = np.sqrt(config.dispersion / (expected + 1.0) + config.rate_spread**2)
    return np.nan_to_num(-np.log((seen + 0.5) / (expected + 0.5)) / spread)


def _share_z(share: Floats, usual: Floats, people: Floats, config: DetectorConfig) -> Floats:
    """Return how far the active share lies below its usual value; 0 where it is unknown or always full.

    In people, and half a person is the least: of seven people none active is no catastrophe. A fall of less than
    `turned_away_people` counts for less.
    """
    of_people = np.clip(usual, LEAST_SHARE, MOST_SHARE)
    spread = np.sqrt((1 - of_people) / (people * of_people + 0.5) + config.activity_spread**2)
    expected, seen = usual * people, share * people
    z = np.log((expected + 0.5) / (seen + 0.5)) / spread
    z = np.where(z > 0, z * np.clip((expected - seen) / config.turned_away_people, 0, 1), z)
    return np.nan_to_num(np.where(usual < config.full_activity, z, 0.0))


def known_mean(values: Floats) -> Floats:
    """Return the mean of the known values along each row, in their order; NaN where none is known."""
    known = ~np.isnan(values)
    total = np.cumsum(np.where(known, values, 0.0), axis=1)[:, -1]
    return np.where(known.any(axis=1), total / np.maximum(1, known.sum(axis=1)), np.nan)


def _fuse(states: States, z: Floats, sums: Floats, config: DetectorConfig) -> tuple[Floats, Floats]:
    """Fuse the signals of each window by weight; a signal weighs as much as it carries events."""
    n_windows = len(config.windows)
    chat = np.clip(z[:, [*range(n_windows), -3]], -1.5, 6.0)
    reactions = np.clip(z[:, [*range(n_windows, 2 * n_windows), -2]], -1.5, 6.0)
    activity = np.clip(z[:, [2 * n_windows] * n_windows + [-1]], -1.5, 8.0)
    usual = np.nan_to_num(states["usual"].astype(np.float64))
    people = sums[:, PEOPLE, SLOTS_PER_MINUTE - 1]
    weight = np.stack(
        [
            config.weight_chat * np.minimum(1.0, usual[:, CHAT_RATE] * people / 3),
            config.weight_reactions * np.minimum(1.0, usual[:, REACTION_RATE] * people / 3),
            config.weight_activity * baseline.has_activity(states, config),
        ],
        axis=1,
    )
    length = np.maximum(0.5, np.sqrt(weight[:, 0] ** 2 + weight[:, 1] ** 2 + weight[:, 2] ** 2))
    parts = np.stack([chat, reactions, activity], axis=2) * weight[:, None, :]
    fused = (parts[:, :, 0] + parts[:, :, 1] + parts[:, :, 2]) / length[:, None]
    fused[:, -1] *= config.slow_part
    # Of a handful of people each one is a large share, and they act as one: their evidence counts for less.
    fused *= np.minimum(1.0, np.sqrt(sums[:, PEOPLE, 0] / config.full_audience))[:, None]
    return fused, np.where(weight > 0, np.stack([chat, reactions, activity], axis=2).max(axis=1), 0.0)


def _exits(states: States, sums: Floats, config: DetectorConfig) -> tuple[Floats, Floats]:
    """Return the root deviance of the leaves against the session's own churn, and the share that left in a minute.

    Root deviance of a Poisson count: sqrt(2 (x ln(x / μ) − (x − μ))). It counts only where at least
    `exit_leavers` people left, more than expected, and a share that is on the way to `mass_exit_rate` a minute.
    """
    churn = np.nan_to_num(states["usual"][:, LEAVE_RATE].astype(np.float64)) + config.least_churn
    present = sums[:, PEOPLE, 0]
    best = np.zeros(len(states))
    for window, part in zip(config.exit_windows, config.exit_shares, strict=True):
        left = sums[:, LEAVES, window - 1]
        expected = churn * sums[:, PEOPLE, window - 1] + 0.15
        deviance = left * np.log(np.maximum(left, 1e-9) / expected) - (left - expected)
        share = left / np.maximum(1e-9, present + left)
        counts = (left >= config.exit_leavers) & (left > expected) & (share >= part * config.mass_exit_rate)
        best = np.where(counts, np.maximum(best, np.sqrt(2 * np.maximum(0.0, deviance))), best)
    left = sums[:, LEAVES, SLOTS_PER_MINUTE - 1]
    return best, left / np.maximum(1e-9, present + left)
