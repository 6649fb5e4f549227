"""Which of the detector's numbers are fitted, and by what part a first step moves each. Pure."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from anomalies.detector.classifier import Fall
from anomalies.detector.config import ARTEFACT_REVISION, DetectorConfig, number_of, with_numbers

# By its place in `DetectorConfig`. What was published stays as it is, and so does what only few sessions could tell.
STEPS: Mapping[str, float] = MappingProxyType(
    {
        "baseline.recent_blocks": 0.1,
        "baseline.settled_blocks": 0.2,
        "baseline.doubt_from": 0.12,
        "baseline.doubt_slots": 0.3,
        "counts.dispersion": 0.15,
        "counts.rate_spread": 0.12,
        "shares.spread": 0.15,
        "sharp_falls.spread": 0.2,
        "sharp_falls.event_part": 0.25,
        "sharp_falls.part": 0.08,
        "sharp_falls.at_once_from": 0.1,
        "sharp_falls.pair_from": 0.12,
        "weighing.weight_reactions": 0.2,
        "weighing.weight_activity": 0.2,
        "weighing.full_events": 0.25,
        "weighing.best": 0.3,
        "weighing.worst_events": 0.15,
        "weighing.worst_activity": 0.15,
        "weighing.slow_part": 0.07,
        "weighing.full_audience": 0.25,
        "noise.least": 0.12,
        "noise.rate": 0.4,
        "trees.full_rarity": 0.06,
        "fusion.full_evidence": 0.1,
        "exits.exit_from": 0.08,
        "opening.least_fall": 0.3,
        "opening.least_turned_away": 0.25,
        "opening.clearly_turned_away": 0.15,
        "opening.sure_from": 0.05,
        "opening.patience_slots": 0.3,
    }
)


def step_up(config: DetectorConfig, path: str, part: float) -> DetectorConfig:
    """Return the config with one number larger by a part of itself, a whole number by one at least."""
    return _scale(config, path, 1 + part, 1)


def step_down(config: DetectorConfig, path: str, part: float) -> DetectorConfig:
    """Return the config with one number smaller by as much."""
    return _scale(config, path, 1 / (1 + part), -1)


def _scale(config: DetectorConfig, path: str, factor: float, least: int) -> DetectorConfig:
    number = number_of(config, path)
    if isinstance(number, int):
        moved = round(number * factor)
        return with_numbers(config, {path: max(1, number + least if moved == number else moved)})
    return with_numbers(config, {path: number * factor})


def written(number: float) -> float:
    """Return a number as it is kept: four digits say more of it than any data does.

    >>> written(0.123456), written(12345.6), written(3)
    (0.1235, 12350.0, 3)
    """
    return number if isinstance(number, int) else float(f"{number:.4g}")


def dumps(start: DetectorConfig, config: DetectorConfig) -> str:
    """Write what was learnt, as `read_learnt` takes it: the same bytes for the same numbers."""
    places = [*STEPS, *(f"second_look.{name}" for name in ("constant", *Fall._fields))]
    numbers = {place: written(number_of(config, place)) for place in sorted(places)}
    moved = {place: number for place, number in numbers.items() if number != number_of(start, place)}
    return json.dumps({"revision": ARTEFACT_REVISION, "numbers": moved}, indent=2) + "\n"
