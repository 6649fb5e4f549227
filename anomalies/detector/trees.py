"""River's half-space trees as arrays: one skeleton for all sessions, a few hundred bytes for each. Pure.

A session keeps only the leaf that each of its remembered rows fell into. The mass of a node is the number of
remembered rows whose leaf lies below it, so the scores are those of `river.anomaly.HalfSpaceTrees`, bit for bit
(Tan, Ting and Liu, "Fast anomaly detection for streaming data", IJCAI 2011).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalies.detector.arrays import Floats, Integers, Mask

Leaves = NDArray[np.uint8]
Masses = NDArray[np.int64]
ROOT = 0
SIZE_LIMIT = 0.1  # River's: nodes under this part of the window are not looked into


@dataclass(frozen=True)
class Forest:
    """The splits of River's trees for these features, all within [0, 1]; no masses.

    `height` is at most 8, so that a leaf number fits a byte. Features are ordered by name, as River orders them.
    """

    features: tuple[str, ...]
    n_trees: int = 10
    height: int = 8
    seed: int = 42

    def __post_init__(self) -> None:
        if self.height > 8 or tuple(sorted(self.features)) != self.features:
            raise ValueError("height is at most 8, and features are given in the order of their names")

    @cached_property
    def _splits(self) -> tuple[Integers, Floats]:
        """Which feature each node looks at, and where it divides: (trees, nodes) each, root first."""
        # Here, as this costs most of a second and 90 MB, and only who judges needs it.
        from river.anomaly import HalfSpaceTrees

        river = HalfSpaceTrees(n_trees=self.n_trees, height=self.height, window_size=1, seed=self.seed)
        river.learn_one(dict.fromkeys(self.features, 0.5))  # type: ignore[no-untyped-call]  # River builds its trees at the first row
        on = np.zeros((self.n_trees, 2**self.height - 1), np.int64)
        at = np.zeros_like(on, np.float64)
        for tree, root in enumerate(river.trees):
            self._copy_splits(root, 0, on[tree], at[tree])
        return on, at

    def _copy_splits(self, node: Any, place: int, on: Integers, at: Floats) -> None:
        if place >= len(on):
            return
        on[place], at[place] = self.features.index(node.feature), node.threshold
        for side, child in enumerate(node.children):
            self._copy_splits(child, 2 * place + 1 + side, on, at)

    def grow(self) -> None:
        """Have River build the trees now, and not when the first row is judged."""
        self._splits  # noqa: B018

    @property
    def n_nodes(self) -> int:
        return int(2 ** (self.height + 1) - 1)

    def find_leaves(self, rows: Floats) -> Leaves:
        """Return the leaf of each row in each tree: (rows, features) in [0, 1] → (rows, trees)."""
        split_on, split_at = (splits.ravel() for splits in self._splits)
        values = np.ascontiguousarray(rows).ravel()  # one index into a flat array costs a third of two
        root = (2**self.height - 1) * np.arange(self.n_trees)
        row = rows.shape[1] * np.arange(len(rows))[:, None]
        place = np.zeros((len(rows), self.n_trees), np.int64)
        for _ in range(self.height):
            node = root + place
            is_left = values.take(row + split_on.take(node)) < split_at.take(node)
            place = 2 * place + 2 - is_left
        return np.asarray(place - (2**self.height - 1), np.uint8)

    def count_masses(self, leaves: Leaves) -> Masses:
        """Return how many of the rows passed each node: (rows, trees) → (trees, nodes), root first."""
        masses = np.zeros((self.n_trees, self.n_nodes), np.int64)
        for tree in range(self.n_trees):
            level = np.bincount(leaves[:, tree], minlength=2**self.height)
            for depth in range(self.height, -1, -1):
                masses[tree, 2**depth - 1 : 2 ** (depth + 1) - 1] = level
                level = level.reshape(-1, 2).sum(1) if depth else level
        return masses

    def score(self, leaves: Leaves, remembered: Leaves, counted: Mask, shared: Masses, weight: int = 1) -> Floats:
        """Return River's anomaly score of each row: 0 usual, towards 1 where no row was ever seen.

        `leaves` (rows, trees) are judged against `remembered` (rows, window, trees), each row against its own
        window, of which `counted` (rows, window) are there; `shared` (trees, nodes) are masses common to all,
        and a remembered row weighs as much as `weight` of theirs. Where nothing is counted the score is 0.

        Source: `HalfSpaceTrees.score_one` of River 0.26: the sum over trees of mass × 2^depth down to the first
        node under a tenth of the window, turned round and scaled to 1.
        """
        n_rows, _, n_trees = remembered.shape
        depths = np.arange(self.height + 1)
        # Two leaves share the nodes down to the depth of their common prefix.
        apart = np.bitwise_xor(np.ascontiguousarray(remembered.swapaxes(0, 1)), leaves)
        is_counted = counted.T[:, :, None]
        own = np.empty((n_rows, n_trees, self.height + 1), np.int64)
        for depth in depths:
            own[:, :, depth] = ((apart < 2 ** (self.height - depth)) & is_counted).sum(axis=0, dtype=np.uint8)
        node = 2**depths - 1 + (leaves[:, :, None] >> (self.height - depths))
        mass = shared[np.arange(n_trees)[:, None], node] + weight * own
        window = shared[0, ROOT] + weight * counted.sum(1)  # all trees have seen the same rows
        reached = np.ones(mass.shape, bool)
        reached[:, :, 1:] = np.logical_and.accumulate(mass[:, :, :-1] >= SIZE_LIMIT * window[:, None, None], axis=2)
        total = (mass * reached * 2**depths).sum((1, 2)).astype(np.float64)
        most = self.n_trees * np.maximum(window, 1) * self.n_nodes
        return np.where(window > 0, 1 - total / most, 0.0)


def without_masses(forest: Forest) -> Masses:
    """Return shared masses of nothing, for trees that know only their own rows."""
    return np.zeros((forest.n_trees, forest.n_nodes), np.int64)


def as_features(forest: Forest, row: Sequence[float]) -> dict[str, float]:
    """Name the values of a row the way River takes them.

    >>> as_features(Forest(("a", "b"), n_trees=1, height=2), [0.1, 0.2])
    {'a': 0.1, 'b': 0.2}
    """
    return dict(zip(forest.features, row, strict=True))
