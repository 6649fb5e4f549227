"""What quiet rooms look like to the trees: masses that every session starts from, and how rare a score is. Pure."""

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anomalies.detector.arrays import Floats, Integers
from anomalies.detector.sizes import N_TREES, STEPS_A_DECADE
from anomalies.detector.trees import Forest, Leaves, Masses, without_masses

# Evidence over 15, 30, 60 and 120 s, at its worst, and the share that left: the names only order them.
FOREST = Forest(("a_sharp", "b_15s", "c_30s", "d_60s", "e_120s", "f_worst", "g_left"), n_trees=N_TREES)
MOST_STEPS = 50  # of a tail
BEYOND = 3  # quiet rows: more must lie beyond each step of a tail
DIGITS = 9  # of a tail
BELOW_ALL = -(10.0**-DIGITS)  # under every tree score


class Quiet(NamedTuple):
    """What quiet rooms look like, as compiled code reads it: the trees' splits, and the prior's masses and tail."""

    split_on: Integers
    split_at: Floats
    masses: Masses
    tail: Floats


@dataclass(frozen=True, eq=False)
class Prior:
    """Leaf counts of quiet rows, and `tail`: the tree score that 1 in 10^(k/10) of quiet rows exceeds, k = 0, 1, ..."""

    masses: Masses
    tail: Floats

    @cached_property
    def quiet(self) -> Quiet:
        """The same beside the trees that it is of, which River builds at the first call."""
        return Quiet(*FOREST.splits, self.masses, self.tail)


def nothing_known() -> Prior:
    """Return a prior that knows no room and holds no score to be rare."""
    return Prior(without_masses(FOREST), np.array([np.inf]))


def masses_of(leaves: Leaves) -> Masses:
    """Return the shared masses of quiet rows: (rows, trees) → (trees, nodes)."""
    return FOREST.count_masses(leaves)


def tail_of(tree_scores: Floats) -> Floats:
    """Return the tail of quiet rows' tree scores, as far out as enough rows lie beyond."""
    parts = [10 ** (-k / STEPS_A_DECADE) for k in range(MOST_STEPS + 1)]
    tail = np.quantile(tree_scores, [1 - part for part in parts if part * len(tree_scores) > BEYOND])
    tail[0] = BELOW_ALL
    return np.round(tail, DIGITS)


def dumps(prior: Prior) -> str:
    """Write a prior as JSON, the same bytes for the same prior: of each tree the leaves that hold rows."""
    first_leaf = FOREST.n_nodes // 2
    trees = [{str(leaf): int(mass) for leaf, mass in enumerate(tree[first_leaf:]) if mass} for tree in prior.masses]
    return json.dumps({"leaves": trees, "tail": [float(score) for score in prior.tail]}, indent=0) + "\n"


def loads(text: str) -> Prior:
    """Read what `dumps` wrote."""
    stored = json.loads(text)
    first_leaf = FOREST.n_nodes // 2
    masses = without_masses(FOREST)
    for tree, leaves in enumerate(stored["leaves"]):
        for leaf, mass in leaves.items():
            node = first_leaf + int(leaf)
            while True:
                masses[tree, node] += mass
                if node == 0:
                    break
                node = (node - 1) // 2
    return Prior(masses, np.array(stored["tail"], np.float64))


@cache
def shipped() -> Prior:
    """Return the prior that comes with the project; `manage.py learn_prior` makes it."""
    return loads((Path(__file__).parent / "prior.json").read_text())
