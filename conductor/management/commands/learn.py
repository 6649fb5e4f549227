"""`manage.py learn`: learn the detector's numbers from simulated sessions of several makers, and write them."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand
from tqdm import tqdm

from anomalies.bench.fitting.climbing import choose_sweeps, climb, judge_folds, worth_of
from anomalies.bench.fitting.folds import Fold, play_fold
from anomalies.bench.fitting.names import gather_falls, named_rightly, with_names
from anomalies.bench.fitting.numbers import dumps
from anomalies.bench.tally import Tally
from anomalies.detector.config import LEARNT, START, DetectorConfig

SEED = 7300
SESSIONS = 150  # of each maker, of which it is known who is active
OTHERS = 0.2  # of them, for each of the two ways in which less is known
SWEEPS = 0  # the numbers that are there were found so, and another search finds no better ones
MAKERS = (("people", True), ("rates", True), ("people", False), ("rates", False))  # and whether they vary widely
SEEDS_APART = 10

# What the processes of the search share: they are copies of this one.
_folds: list[Fold] = []


class Command(BaseCommand):
    help = (
        "Learns from simulated sessions of several makers by what a fall gets its last name, and with --sweeps the "
        "detector's numbers, by hill climbing, for as many sweeps as pay on the maker that is left out. Prints what "
        "comes of it on each. The same seed gives the same bytes."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--seed", type=int, default=SEED, metavar="S", help=f"default {SEED}")
        parser.add_argument(
            "--sessions",
            type=int,
            default=SESSIONS,
            metavar="N",
            help=f"of each maker (default {SESSIONS}); and a fifth of them for each of two ways in which less is known",
        )
        parser.add_argument("--sweeps", type=int, default=SWEEPS, metavar="N", help=f"at most (default {SWEEPS})")
        parser.add_argument("--out", type=Path, default=LEARNT, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        _folds[:] = self._play(options["seed"], options["sessions"])
        config = self._learn_names(self._learn_numbers(options["sweeps"]) if options["sweeps"] else START)
        text = dumps(START, config)
        options["out"].write_text(text)
        self.stdout.write(f"{options['out']}: {len(text)} bytes")

    def _play(self, seed: int, sessions: int) -> list[Fold]:
        others = max(1, round(OTHERS * sessions))
        sizes = {"activity": sessions, "actors": others, "connected": others}
        seeds = [seed + SEEDS_APART * place for place in range(len(MAKERS))]
        with ProcessPoolExecutor(os.cpu_count(), get_context("fork")) as pool:
            folds = pool.map(play_fold, *zip(*MAKERS, strict=True), seeds, [sizes] * len(MAKERS))
            return list(tqdm(folds, "simulating", total=len(MAKERS), unit="maker", disable=None))

    def _learn_numbers(self, most_sweeps: int) -> DetectorConfig:
        """Climb for as many sweeps as pay on the maker that is left out, and print what that comes to on each."""
        whole, *left_out = self._climb(most_sweeps)
        sweeps = choose_sweeps([_worths_on(fold, path) for fold, path in zip(_folds, left_out, strict=True)])
        self._tell([path[sweeps] for path in left_out])
        self.stdout.write(f"{sweeps} of {most_sweeps} sweeps pay")
        return whole[sweeps]

    def _climb(self, sweeps: int) -> list[list[DetectorConfig]]:
        """Return a path for all folds, and one for each that is left out."""
        jobs = [None, *range(len(_folds))]
        with ProcessPoolExecutor(os.cpu_count(), get_context("fork")) as pool:
            paths = pool.map(_climb_without, jobs, [sweeps] * len(jobs))
            return list(tqdm(paths, "searching", total=len(jobs), unit="search", disable=None))

    def _tell(self, chosen: Sequence[DetectorConfig]) -> None:
        """Print what came of each fold with the numbers that were learnt without it, beside those at the start."""
        for fold, config in zip(_folds, chosen, strict=True):
            before, after = (judge_folds([fold], each) for each in (START, config))
            self.stdout.write(f"left out: {fold.name}\n{_compare(before, after)}")

    def _learn_names(self, config: DetectorConfig) -> DetectorConfig:
        """Learn by what a fall gets its last name, and print how many do where their fold was left out."""
        falls = [gather_falls([fold], config) for fold in _folds]
        for place, fold in enumerate(_folds):
            others = [each for other, each in enumerate(falls) if other != place]
            learnt = with_names(config, *_join(others))
            self.stdout.write(f"last names of falls, left out {fold.name}: {named_rightly(learnt, *falls[place]):.2f}")
        return with_names(config, *_join(falls))


def _climb_without(left_out: int | None, sweeps: int) -> list[DetectorConfig]:
    return climb([fold for place, fold in enumerate(_folds) if place != left_out], START, sweeps)


def _worths_on(fold: Fold, path: Sequence[DetectorConfig]) -> list[float]:
    return [worth_of(judge_folds([fold], config)) for config in path]


def _join(falls: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    figures, kinds = zip(*falls, strict=True)
    return np.concatenate(figures), np.concatenate(kinds)


def _compare(before: Mapping[str, Tally], after: Mapping[str, Tally]) -> str:
    lines = (f"  {known}: {_sum_up(before[known])} → {_sum_up(tally)} an hour" for known, tally in after.items())
    return "\n".join(lines)


def _sum_up(tally: Tally) -> str:
    found, alarms = (
        "–" if figure is None else f"{figure:.3f}" for figure in (tally.recall, tally.false_alarms_per_hour)
    )
    return f"{found} found, {alarms} false alarms"
