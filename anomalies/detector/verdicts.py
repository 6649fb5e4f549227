"""Judge a row against what is usual in its own room, then learn from it if it was quiet. Pure."""

import math
from typing import NamedTuple

import numpy as np

from anomalies.detector import baseline
from anomalies.detector.arrays import ALMOST_NONE, Floats
from anomalies.detector.baseline import usual_of
from anomalies.detector.compiled import State, Tuning, compiled
from anomalies.detector.evidence import Evidence, Horizon, Room, gather_evidence, look_around, sum_of
from anomalies.detector.halves import read_half, write_half
from anomalies.detector.leaves import find_leaves, score_leaves
from anomalies.detector.losses import find_loss
from anomalies.detector.prior import Quiet
from anomalies.detector.scalars import clip, or_zero
from anomalies.detector.sizes import N_TREES, SLOTS_PER_MINUTE, STEPS_A_DECADE, TREE_WINDOW
from anomalies.detector.state import N_DEVIATIONS, Series, TreeWindow, Usual
from anomalies.detector.trees import Leaves


class Verdict(NamedTuple):
    """What was found in a row. Where it is not judged it is too early to say; the rest means nothing there."""

    is_judged: bool
    score: float  # 0..1: 0.7 × trees + 0.3 × z
    loss: float  # 0..1: the share of the engaged audience that is surely gone
    trees: float  # 0..1: how rare, among quiet rows, a tree score this high is
    tree_score: float  # 0..1: the score of the half-space trees itself, 0 where they were not asked
    tree_leaves: Leaves  # where the row falls in the trees
    evidence: Evidence
    exit_z: float  # the evidence of those who left
    is_exit: bool
    has_activity: bool
    fall: float  # the part of the usual engagement score that is gone


class _Exit(NamedTuple):
    """The leavers of a minute: their root deviance, their share of the audience."""

    z: float
    share: float
    is_exit: bool


class _TreeScore(NamedTuple):
    """Where a row falls in the trees, what they say of it, and how rare that is, 0..1."""

    leaves: Leaves
    score: float
    rarity: float


@compiled
def judge(state: State, quiet: Quiet, config: Tuning) -> Verdict:
    """Return the verdict on the newest row that was taken. Changes nothing."""
    room = look_around(state, config)
    evidence = gather_evidence(state, room, config)
    leavers = _find_exit(room, config.exits)
    trees = _ask_trees(state, evidence, leavers, quiet, config.trees)
    is_judged = state.slots >= config.opening.warm_slots and state.n_blocks >= config.opening.warm_blocks
    return Verdict(
        is_judged,
        _score(evidence, leavers, trees, config) if is_judged else 0.0,
        find_loss(room, leavers.share, config),
        trees.rarity,
        trees.score,
        trees.leaves,
        evidence,
        leavers.z,
        leavers.is_exit and is_judged,
        room.has_activity,
        _fall(state, room, config.fusion),
    )


@compiled
def learn(state: State, verdict: Verdict, config: Tuning) -> None:
    """Learn the newest row, in place: what is usual, how noisy it is, and the trees.

    Not to be asked of what was just flagged: a dip must not become normal.
    """
    if verdict.is_judged:
        _learn_noise(state, verdict.evidence.unscaled, config.noise)
        _learn_score_noise(state, config.noise)
    baseline.learn(state, config.baseline, config.bursts)
    if verdict.is_judged:
        _learn_leaves(state, verdict.tree_leaves)


@compiled
def _find_exit(room: Room, exits: Tuning) -> _Exit:
    """Return the root deviance of the leavers against the session's own churn, and the share that left in a minute.

    Root deviance of a Poisson count: sqrt(2 (x ln(x / μ) − (x − μ))). It counts only where at least
    `least_leavers` people left, more than expected, and a share that is on the way to `mass_rate` a minute.
    """
    churn = or_zero(room.usual.leave_rate) + exits.least_churn
    z = 0.0
    for place in range(len(exits.windows)):
        window, least_share = exits.windows[place], exits.parts[place] * exits.mass_rate
        left = sum_of(room, Series.LEAVERS, window)
        expected = churn * sum_of(room, Series.PEOPLE, window) + exits.least_expected
        if left >= exits.least_leavers and left > expected and _share_of(left, room) >= least_share:
            deviance = left * math.log(left / expected) - (left - expected)
            z = max(z, math.sqrt(2 * max(0.0, deviance)))
    share = _share_of(sum_of(room, Series.LEAVERS, SLOTS_PER_MINUTE), room)
    return _Exit(z, share, z >= exits.exit_from)


@compiled
def _share_of(left: float, room: Room) -> float:
    """Return the share of the audience that so many leavers are."""
    return left / max(ALMOST_NONE, room.people + left)


@compiled
def _ask_trees(state: State, evidence: Evidence, leavers: _Exit, quiet: Quiet, trees: Tuning) -> _TreeScore:
    """Return what the trees say of a row that is worse than usual."""
    leaves = find_leaves(find_features(evidence, leavers.share, trees), quiet.split_on, quiet.split_at)
    if evidence.worst < trees.least_evidence and leavers.share < trees.least_exit:
        return _TreeScore(leaves, 0.0, 0.0)
    remembered = state.tree_leaves[TreeWindow.COMPLETE, : state.n_tree_leaves[TreeWindow.COMPLETE]]
    score = score_leaves(leaves, remembered, quiet.masses, trees.own_row_weight)
    return _TreeScore(leaves, score, min(1.0, find_rarity(score, quiet.tail) / trees.full_rarity))


@compiled
def find_rarity(tree_score: float, tail: Floats) -> float:
    """Return −log10 of the share of quiet rows that score above a score, in steps of a tenth; see `Prior`.

    >>> [find_rarity(score, np.array([0.0, 0.5, 0.9])) for score in (0.0, 0.4, 0.95)]
    [0.0, 0.1, 0.3]
    """
    steps = 0
    while steps < len(tail) and tail[steps] < tree_score:
        steps += 1
    return steps / STEPS_A_DECADE


@compiled
def find_features(evidence: Evidence, left: float, trees: Tuning) -> Floats:
    """Return what the trees see, 0..1: evidence by horizon, sharpest first, its worst, and the share that left."""
    z = evidence.by_horizon
    features = np.empty(7)
    features[0] = z[Horizon.SHARP]
    features[1], features[2], features[3] = z[Horizon.SHORTEST], z[Horizon.SHORT], z[Horizon.LONG]
    features[4] = max(z[Horizon.LONGEST], z[Horizon.SLOW])
    features[5] = evidence.worst
    for place in range(6):
        features[place] = clip(features[place] / trees.full_evidence, 0.0, 1.0)
    features[6] = left
    return features


@compiled
def _score(evidence: Evidence, leavers: _Exit, trees: _TreeScore, config: Tuning) -> float:
    """Return the fused score, 0..1: an exit is at least a WARNING, the surer the larger."""
    fusion, exit_from = config.fusion, config.exits.exit_from
    exit_evidence = leavers.z / exit_from * fusion.full_evidence if leavers.is_exit else 0.0
    z = clip(max(evidence.worst, exit_evidence) / fusion.full_evidence, 0.0, 1.0)
    fused = fusion.tree_weight * trees.rarity + fusion.z_weight * z
    certain = min(1.0, config.opening.warning_from + config.exits.certainty * (leavers.z - exit_from))
    return max(fused, certain) if leavers.is_exit else fused


@compiled
def _fall(state: State, room: Room, fusion: Tuning) -> float:
    """Return the part of the usual engagement score that is gone; 1 where nothing is known any more.

    Where chat and reactions are all we know, it is that of their rates if more of it is gone: the score is full
    at 20 messages a minute, and a chat of 200 that falls to 40 is as good as before to it.
    """
    usual, score = room.usual.mean_score, state.history[Series.SCORE, -1]
    fall = 0.0
    if usual > fusion.least_usual_score:
        fall = 1.0 if math.isnan(score) else (usual - score) / max(fusion.least_usual_score, usual)
    if room.knows_audience:
        return fall
    per_head = or_zero(room.usual.chat_rate) + or_zero(room.usual.reaction_rate)
    expected = per_head * sum_of(room, Series.PEOPLE, SLOTS_PER_MINUTE)
    seen = sum_of(room, Series.CHATS, SLOTS_PER_MINUTE) + sum_of(room, Series.REACTIONS, SLOTS_PER_MINUTE)
    return max(fall, 1 - (seen + fusion.offset) / (expected + fusion.offset))


@compiled
def _learn_noise(state: State, unscaled: Floats, noise: Tuning) -> None:
    for which in range(N_DEVIATIONS):
        variance = read_half(state.noise[which])
        off = min(noise.limit, unscaled[which] ** 2) - variance
        state.noise[which] = write_half(variance + noise.rate * off)


@compiled
def _learn_score_noise(state: State, noise: Tuning) -> None:
    off = state.history[Series.SCORE, -1] - usual_of(state, Usual.MEAN_SCORE)
    if not math.isnan(off):
        variance = np.float64(state.score_noise)
        state.score_noise = variance + noise.score_rate * (min(noise.score_limit**2, off**2) - variance)


@compiled
def _learn_leaves(state: State, leaves: Leaves) -> None:
    """Remember a row in the window that is filling; when it is full it becomes the one that rows are judged by."""
    place = state.n_tree_leaves[TreeWindow.FILLING]
    for tree in range(N_TREES):
        state.tree_leaves[TreeWindow.FILLING, place, tree] = leaves[tree]
    state.n_tree_leaves[TreeWindow.FILLING] = place + 1
    if place + 1 == TREE_WINDOW:
        for row in range(TREE_WINDOW):
            for tree in range(N_TREES):
                state.tree_leaves[TreeWindow.COMPLETE, row, tree] = state.tree_leaves[TreeWindow.FILLING, row, tree]
        state.n_tree_leaves[TreeWindow.COMPLETE] = TREE_WINDOW
        state.n_tree_leaves[TreeWindow.FILLING] = 0
