"""What a scenario found: its figures, the promises that it saw broken, and the times that it saw missed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles

Figure = int | float | str


@dataclass
class Outcome:
    """What came of one scenario. `broken` are promises of the product, `missed` only times on this machine."""

    scenario: str
    seed: int
    figures: dict[str, Figure] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def verdict(self) -> str:
        if self.skipped:
            return f"SKIPPED: {self.skipped}"
        if self.broken:
            return "BROKEN"
        return "kept, missed in time" if self.missed else "kept"

    def promise(self, holds: bool, broken: str) -> None:
        """Note a promise that does not hold."""
        if not holds:
            self.broken.append(broken)

    def expect_within(self, limit: float, seconds: Sequence[float], what: str) -> None:
        """Keep the percentiles of some durations, and note where the 99th is above the limit."""
        self.figures |= spread(what, seconds)
        if seconds and percentile(seconds, 99) > limit:
            self.missed.append(f"{what}: p99 is {percentile(seconds, 99):.2f} s, not {limit:g} s")


def percentile(values: Sequence[float], place: int) -> float:
    """Return a percentile, from 1 to 99.

    >>> percentile([4.0], 99), percentile(range(1, 101), 50), round(percentile(range(1, 101), 99))
    (4.0, 50.5, 99)
    """
    return quantiles(values, n=100, method="inclusive")[place - 1] if len(values) > 1 else values[0]


def spread(what: str, seconds: Sequence[float]) -> dict[str, Figure]:
    """Return how many durations there are, their median, 99th percentile and maximum, as text."""
    if not seconds:
        return {what: "none"}
    p99 = percentile(seconds, 99)
    return {what: f"{len(seconds)}: p50 {median(seconds):.2f}, p99 {p99:.2f}, max {max(seconds):.2f} s"}


def write_table(outcomes: Sequence[Outcome]) -> str:
    """Return all that was found as one table, a figure a line."""
    lines = []
    for outcome in outcomes:
        lines += [("scenario", outcome.scenario, ""), ("", "verdict", outcome.verdict), ("", "seed", str(outcome.seed))]
        lines += [("", name, str(figure)) for name, figure in outcome.figures.items()]
        lines += [("", "BROKEN", text) for text in outcome.broken] + [("", "missed", text) for text in outcome.missed]
    width = max((len(name) for _, name, _ in lines), default=0)
    return "\n".join(f"{head:9} {name:{width}}  {text}".rstrip() for head, name, text in lines)


def write_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(each) | {"verdict": each.verdict} for each in outcomes], indent=1) + "\n")


def read_outcome(path: Path) -> Outcome:
    return Outcome(**json.loads(path.read_text()))


def write_outcome(path: Path, outcome: Outcome) -> None:
    path.write_text(json.dumps(asdict(outcome)))
