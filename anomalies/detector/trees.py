"""River's half-space trees as arrays: one skeleton for all sessions, a few hundred bytes for each. Pure.

A session keeps only the leaf that each of its remembered rows fell into. The mass of a node is the number of
remembered rows whose leaf lies below it, so the scores, of which `leaves` knows, are those of
`river.anomaly.HalfSpaceTrees`, bit for bit (Tan, Ting and Liu, "Fast anomaly detection for streaming data", IJCAI
2011).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalies.detector.arrays import Floats, Integers

Leaves = NDArray[np.uint8]
Masses = NDArray[np.int64]


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
    def splits(self) -> tuple[Integers, Floats]:
        """Which feature each node looks at, and where it divides: (trees, nodes) each, root first.

        River makes them once; they are kept for those processes that come, as River is most of a second and 90 MB.
        """
        from anomalies.detector.compiled import keep_arrays  # loads numba

        sizes = f"{self.n_trees}x{self.height}-{self.seed}-{'-'.join(self.features)}"
        on, at = keep_arrays(f"river-{version('river')}-{sizes}", self._make_splits)
        return on, at

    def _make_splits(self) -> tuple[Integers, Floats]:
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

    @property
    def n_nodes(self) -> int:
        return int(2 ** (self.height + 1) - 1)

    def count_masses(self, leaves: Leaves) -> Masses:
        """Return how many of the rows passed each node: (rows, trees) → (trees, nodes), root first."""
        masses = np.zeros((self.n_trees, self.n_nodes), np.int64)
        for tree in range(self.n_trees):
            level = np.bincount(leaves[:, tree], minlength=2**self.height)
            for depth in range(self.height, -1, -1):
                masses[tree, 2**depth - 1 : 2 ** (depth + 1) - 1] = level
                level = level.reshape(-1, 2).sum(1) if depth else level
        return masses


def without_masses(forest: Forest) -> Masses:
    """Return shared masses of nothing, for trees that know only their own rows."""
    return np.zeros((forest.n_trees, forest.n_nodes), np.int64)


def as_features(forest: Forest, row: Sequence[float]) -> dict[str, float]:
    """Name the values of a row the way River takes them.

    >>> as_features(Forest(("a", "b"), n_trees=1, height=2), [0.1, 0.2])
    {'a': 0.1, 'b': 0.2}
    """
    return dict(zip(forest.features, row, strict=True))
