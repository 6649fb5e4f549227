"""Where a row falls in the half-space trees, and what they say of it: River's score, bit for bit. Pure."""

import numpy as np

from anomalies.detector.arrays import Floats, Integers
from anomalies.detector.compiled import compiled
from anomalies.detector.trees import Leaves, Masses

ROOT = 0
SIZE_LIMIT = 0.1  # River's: nodes under this part of the window are not looked into


@compiled
def find_leaves(row: Floats, split_on: Integers, split_at: Floats) -> Leaves:
    """Return the leaf of a row in each tree: its features, in [0, 1], against the splits (trees, nodes)."""
    n_trees, n_splits = split_on.shape
    leaves = np.empty(n_trees, np.uint8)
    for tree in range(n_trees):
        node = 0
        while node < n_splits:
            is_left = row[split_on[tree, node]] < split_at[tree, node]
            node = 2 * node + 1 if is_left else 2 * node + 2
        leaves[tree] = node - n_splits
    return leaves


@compiled
def score_leaves(leaves: Leaves, remembered: Leaves, shared: Masses, weight: int) -> float:
    """Return River's anomaly score of a row: 0 usual, towards 1 where no row was ever seen.

    Its leaf in each tree is judged against those of the `remembered` rows (rows, trees), and `shared` (trees, nodes)
    are masses common to all; a remembered row weighs as much as `weight` of theirs. Where there is neither, it is 0.

    Source: `HalfSpaceTrees.score_one` of River 0.26: the sum over trees of mass × 2^depth down to the first
    node under a tenth of the window, turned round and scaled to 1.
    """
    n_trees, n_nodes = shared.shape
    window = shared[ROOT, ROOT] + weight * len(remembered)  # all trees have seen the same rows
    if window == 0:
        return 0.0
    total = 0
    for tree in range(n_trees):
        total += _weigh_path(leaves[tree], remembered[:, tree], shared[tree], weight, SIZE_LIMIT * window)
    return 1 - total / (n_trees * window * n_nodes)


@compiled
def _weigh_path(leaf: int, remembered: Leaves, shared: Integers, weight: int, least: float) -> int:
    """Return the sum of mass × 2^depth from the root of a tree towards a leaf, down to the first of too little mass."""
    total, depth, above = 0, 0, _height(len(shared))
    while above >= 0:
        node = int(leaf) >> above  # of its depth: two leaves share the nodes down to where their numbers differ
        mass = shared[(1 << depth) - 1 + node]
        for other in remembered:
            if other >> above == node:
                mass += weight
        total += mass << depth
        if mass < least:
            break
        depth, above = depth + 1, above - 1
    return total


@compiled
def _height(n_nodes: int) -> int:
    height = 0
    while (2 << height) - 1 < n_nodes:
        height += 1
    return height
