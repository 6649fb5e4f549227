"""Judge rows against what is usual in their own room, then learn from those that were quiet. Pure.

Works on many sessions at once, a row of each; what it says of one does not depend on the others.
"""

from dataclasses import dataclass

import numpy as np

from anomalies.detector import baseline
from anomalies.detector.arrays import ALMOST_NONE, Floats, Mask, or_zero
from anomalies.detector.config import DEFAULT, DetectorConfig, Exits, Fusion, Noise, Trees
from anomalies.detector.evidence import Evidence, Horizon, Room, gather_evidence, look_around
from anomalies.detector.losses import find_loss
from anomalies.detector.prior import FOREST, Prior
from anomalies.detector.sizes import SLOTS_PER_MINUTE, TREE_WINDOW
from anomalies.detector.state import Series, StandardScores, States, TreeWindow, Usual
from anomalies.detector.trees import Leaves


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was found in one row of each session: arrays of one value (or row of values) a session.

    `is_judged` is False where it is too early to say; the other values mean nothing there.
    """

    is_judged: Mask
    score: Floats  # 0..1: 0.7 × trees + 0.3 × z
    loss: Floats  # 0..1: the share of the engaged audience that is surely gone
    trees: Floats  # 0..1: how rare, among quiet rows, a tree score this high is
    tree_score: Floats  # 0..1: the score of the half-space trees itself, 0 where they were not asked
    tree_leaves: Leaves  # (sessions, trees), where the row falls in the trees
    evidence: Evidence
    exit_z: Floats  # the evidence of those who left
    is_exit: Mask
    has_activity: Mask
    fall: Floats  # the part of the usual engagement score that is gone


def judge(states: States, prior: Prior, config: DetectorConfig = DEFAULT) -> Verdicts:
    """Return the verdicts on the newest row that each session has taken. Changes nothing."""
    room = look_around(states, config)
    evidence = gather_evidence(states, room, config)
    exits = _find_exits(room, config.exits)
    trees = _ask_trees(states, evidence, exits, prior, config.trees)
    is_judged = (states.slots >= config.opening.warm_slots) & (states.n_blocks >= config.opening.warm_blocks)
    return Verdicts(
        is_judged=is_judged,
        score=np.where(is_judged, _score(evidence, exits, trees, config), 0.0),
        loss=find_loss(room, exits.share, config),
        trees=trees.rarity,
        tree_score=trees.score,
        tree_leaves=trees.leaves,
        evidence=evidence,
        exit_z=exits.z,
        is_exit=exits.is_exit & is_judged,
        has_activity=room.has_activity,
        fall=_fall(states, room, config.fusion),
    )


def learn(states: States, verdicts: Verdicts, may_learn: Mask, config: DetectorConfig = DEFAULT) -> None:
    """Learn the newest rows of these sessions, in place: what is usual, how noisy it is, and the trees.

    `may_learn` leaves out what was just flagged: a dip must not become normal.
    """
    is_quiet = may_learn & verdicts.is_judged
    _learn_noise(states, verdicts.evidence.unscaled, is_quiet, config.noise)
    _learn_score_noise(states, is_quiet, config.noise)
    baseline.learn(states, may_learn, config.baseline)
    _learn_trees(states, verdicts.tree_leaves, is_quiet)


def score_trees(states: States, leaves: Leaves, prior: Prior, trees: Trees) -> Floats:
    """Return what River's half-space trees say of the leaves that a row of each session falls into.

    They are made of the shared prior and of the session's own rows.
    """
    counted = np.arange(TREE_WINDOW) < states.n_tree_leaves[:, TreeWindow.COMPLETE, None]
    remembered = states.tree_leaves[:, TreeWindow.COMPLETE]
    return FOREST.score(leaves, remembered, counted, prior.masses, trees.own_row_weight)


@dataclass(frozen=True, slots=True)
class _Exits:
    """The leavers of a minute: their root deviance, their share of the audience."""

    z: Floats
    share: Floats
    is_exit: Mask


@dataclass(frozen=True, slots=True)
class _TreeScores:
    """Where the newest row of each session falls in the trees, what they say of it, and how rare that is, 0..1."""

    leaves: Leaves
    score: Floats
    rarity: Floats


def _find_exits(room: Room, exits: Exits) -> _Exits:
    """Return the root deviance of the leavers against the session's own churn, and the share that left in a minute.

    Root deviance of a Poisson count: sqrt(2 (x ln(x / μ) − (x − μ))). It counts only where at least
    `least_leavers` people left, more than expected, and a share that is on the way to `mass_rate` a minute.
    """
    churn = or_zero(room.usual[:, Usual.LEAVE_RATE]) + exits.least_churn
    z = np.zeros(len(churn))
    for window, part in zip(exits.windows, exits.parts, strict=True):
        left, share = _left(room, window)
        expected = churn * room.sum_of(Series.PEOPLE, window) + exits.least_expected
        deviance = left * np.log(np.maximum(left, ALMOST_NONE) / expected) - (left - expected)
        counts = (left >= exits.least_leavers) & (left > expected) & (share >= part * exits.mass_rate)
        z = np.where(counts, np.maximum(z, np.sqrt(2 * np.maximum(0.0, deviance))), z)
    _, share = _left(room, SLOTS_PER_MINUTE)
    return _Exits(z, share, z >= exits.exit_from)


def _left(room: Room, slots: int) -> tuple[Floats, Floats]:
    """Return how many people left within so many slots, and their share of the audience."""
    left = room.sum_of(Series.LEAVERS, slots)
    return left, left / np.maximum(ALMOST_NONE, room.people + left)


def _ask_trees(states: States, evidence: Evidence, exits: _Exits, prior: Prior, trees: Trees) -> _TreeScores:
    """Return what the trees say of those rows that are worse than usual."""
    leaves = FOREST.find_leaves(_features(evidence, exits.share, trees))
    is_asked = (evidence.worst >= trees.least_evidence) | (exits.share >= trees.least_exit)
    score = np.zeros(len(states))
    score[is_asked] = score_trees(states[is_asked], leaves[is_asked], prior, trees)
    rarity = np.minimum(1.0, prior.rarity(score) / trees.full_rarity)
    return _TreeScores(leaves, score, np.where(is_asked, rarity, 0.0))


def _features(evidence: Evidence, left: Floats, trees: Trees) -> Floats:
    """Return what the trees see, 0..1: evidence by horizon, sharpest first, its worst, and the share that left."""
    by_horizon = evidence.by_horizon
    sharpest = by_horizon[:, [Horizon.SHARP, Horizon.SHORTEST, Horizon.SHORT, Horizon.LONG]]
    slowest = by_horizon[:, [Horizon.LONGEST, Horizon.SLOW]].max(axis=1)
    features = np.column_stack([sharpest, slowest, evidence.worst]) / trees.full_evidence
    return np.column_stack([np.clip(features, 0, 1), left])


def _score(evidence: Evidence, exits: _Exits, trees: _TreeScores, config: DetectorConfig) -> Floats:
    """Return the fused score, 0..1: an exit is at least a WARNING, the surer the larger."""
    fusion, exit_from = config.fusion, config.exits.exit_from
    exit_evidence = np.where(exits.is_exit, exits.z / exit_from * fusion.full_evidence, 0)
    z = np.clip(np.maximum(evidence.worst, exit_evidence) / fusion.full_evidence, 0, 1)
    fused = fusion.tree_weight * trees.rarity + fusion.z_weight * z
    certain = np.minimum(1.0, config.opening.warning_from + config.exits.certainty * (exits.z - exit_from))
    return np.where(exits.is_exit, np.maximum(fused, certain), fused)


def _fall(states: States, room: Room, fusion: Fusion) -> Floats:
    """Return the part of the usual engagement score that is gone; 1 where nothing is known any more.

    Where chat and reactions are all we know, it is that of their rates if more of it is gone: the score is full
    at 20 messages a minute, and a chat of 200 that falls to 40 is as good as before to it.
    """
    usual, least = room.usual[:, Usual.MEAN_SCORE], fusion.least_usual_score
    gone = np.where(usual > least, (usual - states.newest(Series.SCORE)) / np.maximum(least, usual), 0.0)
    fall = np.where(np.isnan(gone), 1.0, gone)
    per_head = or_zero(room.usual[:, Usual.CHAT_RATE]) + or_zero(room.usual[:, Usual.REACTION_RATE])
    expected = per_head * room.sum_of(Series.PEOPLE, SLOTS_PER_MINUTE)
    seen = room.sum_of(Series.CHATS, SLOTS_PER_MINUTE) + room.sum_of(Series.REACTIONS, SLOTS_PER_MINUTE)
    quieter = 1 - (seen + fusion.offset) / (expected + fusion.offset)
    return np.where(room.knows_audience, fall, np.maximum(fall, quieter))


def _learn_noise(states: States, unscaled: StandardScores, which: Mask, noise: Noise) -> None:
    variance = states.noise.astype(np.float64)
    taught = variance + noise.rate * (np.minimum(noise.clip, unscaled.matrix**2) - variance)
    states.noise = np.where(which[:, None], taught, variance)


def _learn_score_noise(states: States, which: Mask, noise: Noise) -> None:
    off = states.newest(Series.SCORE) - states.usual_of(Usual.MEAN_SCORE)
    variance = states.score_noise.astype(np.float64)
    taught = variance + noise.score_rate * (np.minimum(noise.score_clip**2, off**2) - variance)
    states.score_noise = np.where(which & ~np.isnan(off), taught, variance)


def _learn_trees(states: States, leaves: Leaves, which: Mask) -> None:
    """Remember a row in the window that is filling; when it is full it becomes the one that rows are judged by."""
    row = np.flatnonzero(which)
    place = states.n_tree_leaves[row, TreeWindow.FILLING]
    states.tree_leaves[row, TreeWindow.FILLING, place] = leaves[row]
    states.n_tree_leaves[row, TreeWindow.FILLING] = place + 1
    full = row[place + 1 == TREE_WINDOW]
    states.tree_leaves[full, TreeWindow.COMPLETE] = states.tree_leaves[full, TreeWindow.FILLING]
    states.n_tree_leaves[full, TreeWindow.COMPLETE] = TREE_WINDOW
    states.n_tree_leaves[full, TreeWindow.FILLING] = 0
