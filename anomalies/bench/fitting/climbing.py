"""Find better numbers step by step, and as many sweeps as hold on sessions of a maker that was left out. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from anomalies.bench.fitting.folds import Fold
from anomalies.bench.fitting.numbers import STEPS, step_down, step_up
from anomalies.bench.tally import Tally, sum_up
from anomalies.detector.config import DetectorConfig

LEAST_GAIN = 1e-4  # of worth
SHRINKING = 0.6  # a sweep's steps are so much of those of the one before


@dataclass(frozen=True, slots=True)
class Aim:
    """What is wanted where so much is known: its weight, and how many false alarms an hour are too many."""

    weight: float
    most_false_alarms: float


AIMS: Mapping[str, Aim] = MappingProxyType(
    {"activity": Aim(1.0, 0.05), "actors": Aim(0.35, 0.08), "connected": Aim(0.35, 0.08)}
)
WITHIN_30, WITHIN_10 = 0.3, 0.2  # what it is worth beside recall to tell of an incident so soon
FALSE_ALARM, TOO_MANY = 0.5, 1.5  # what one an hour costs, and what it costs besides beyond the aim


def worth_of(tallies: Mapping[str, Tally]) -> float:
    """Return how good the outcome is, by what is known: incidents found, and soon, less what false alarms cost."""
    return sum(aim.weight * _worth(tallies[known], aim) for known, aim in AIMS.items() if known in tallies)


def _worth(tally: Tally, aim: Aim) -> float:
    found = (tally.recall or 0) + WITHIN_30 * (tally.within(30) or 0) + WITHIN_10 * (tally.within(10) or 0)
    alarms = tally.false_alarms_per_hour or 0
    return found - FALSE_ALARM * alarms - TOO_MANY * max(0.0, alarms - aim.most_false_alarms)


def judge_folds(folds: Sequence[Fold], config: DetectorConfig) -> dict[str, Tally]:
    """Return what comes out of all folds together, by what is known."""
    names = list(dict.fromkeys(name for fold in folds for name in fold.groups))
    return {name: sum_up(fold.groups[name].judge(config) for fold in folds if name in fold.groups) for name in names}


def climb(
    folds: Sequence[Fold], start: DetectorConfig, sweeps: int, progress: Callable[[int], object] = lambda n: None
) -> list[DetectorConfig]:
    """Return the start, and what each sweep over all numbers came to.

    A number is moved up, else down, and stays there if all folds together gain by it. So the same folds give the
    same numbers.
    """
    path, config, parts = [start], start, dict(STEPS)
    best = worth_of(judge_folds(folds, config))
    for _ in range(sweeps):
        for name, part in parts.items():
            for step in (step_up, step_down):
                moved = step(config, name, part)
                worth = worth_of(judge_folds(folds, moved))
                if worth > best + LEAST_GAIN:
                    config, best = moved, worth
                    break
            progress(1)
            parts[name] = part * SHRINKING
        path.append(config)
    return path


def choose_sweeps(left_out: Sequence[Sequence[float]]) -> int:
    """Return after how many sweeps the folds that were left out were worth most on the average, given each one's path.

    >>> choose_sweeps([[1.0, 1.2, 1.1], [1.0, 1.1, 1.3]])
    2
    """
    means = [sum(worths) / len(worths) for worths in zip(*left_out, strict=True)]
    return means.index(max(means))
