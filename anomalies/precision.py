"""What reviews say of the alerts: of those that people settled, how many were real. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import sqrt

Z95 = 1.959964  # the standard normal quantile of a 95 % interval
LEAST_ADVICE = 5  # settled alerts, of fewer nothing is advised
MOSTLY = 0.6  # false alarms among them


@dataclass(frozen=True, slots=True)
class Tally:
    """How many alerts were found to be real, to be false alarms, and are not settled yet."""

    real: int = 0
    false: int = 0
    open: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.real + other.real, self.false + other.false, self.open + other.open)

    @property
    def settled(self) -> int:
        return self.real + self.false

    @property
    def precision(self) -> float | None:
        """Of the settled ones, the share that was real; None where none is settled."""
        return self.real / self.settled if self.settled else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the precision (Wilson, "Probable inference", JASA 1927).

        >>> Tally(real=3, false=7).interval
        (0.1078, 0.6032)
        """
        n = self.settled
        if not n:
            return None
        share, square = self.real / n, Z95**2
        centre = (share + square / (2 * n)) / (1 + square / n)
        half = Z95 / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
        return round(max(0.0, centre - half), 4), round(min(1.0, centre + half), 4)

    @property
    def is_telling(self) -> bool:
        """Whether enough are settled to say anything."""
        return self.settled >= LEAST_ADVICE

    @property
    def is_mostly_false(self) -> bool:
        """Whether so many of the settled ones were false alarms that a calmer detector would be better."""
        return self.is_telling and self.false / self.settled >= MOSTLY


@dataclass(frozen=True, slots=True)
class Line:
    """The tally of one group: of a type, a severity, an event, a sensitivity, a month."""

    by: str
    group: str
    tally: Tally


def tally_by(counted: Iterable[tuple[dict[str, str], Tally]]) -> dict[str, list[Line]]:
    """Return the lines of each way to group, from tallies of everything at once; groups in the order of their names.

    >>> march, april = {"type": "exit", "month": "2026-03"}, {"type": "exit", "month": "2026-04"}
    >>> tally_by([(march, Tally(1)), (april, Tally(0, 2))])["type"]
    [Line(by='type', group='exit', tally=Tally(real=1, false=2, open=0))]
    """
    found: dict[tuple[str, str], Line] = {}
    for groups, tally in counted:
        for by, group in groups.items():
            line = found.get((by, group), Line(by, group, Tally()))
            found[by, group] = replace(line, tally=line.tally + tally)
    tables: dict[str, list[Line]] = {}
    for (by, _), line in sorted(found.items(), key=lambda item: item[0]):
        tables.setdefault(by, []).append(line)
    return tables
