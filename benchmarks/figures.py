"""A figure beside what it is compared with; all of them as one table, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

NONE = "—"


@dataclass(frozen=True, slots=True)
class Figure:
    """A cost and its baseline of the same run, in the same unit. Less is better, unless `more_is_better`.

    `full` and `baseline_full` say what there is to say where there is no cost.
    """

    name: str
    unit: str
    cost: float | None
    baseline_name: str = ""
    baseline: float | None = None
    full: str = ""
    baseline_full: str = ""
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        return self.cost / self.baseline if self.cost is not None and self.baseline else None

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"ratio": self.ratio}


def write_table(figures: Sequence[Figure]) -> str:
    """Return figure, cost, baseline and ratio, a line each.

    >>> print(write_table([Figure("a row", "µs", 210.0, "floor", 21.0), Figure("a frame", "ms", None, full="full")]))
    figure     cost       baseline  ratio
    a row    210 µs  21.0 µs floor   10.0
    a frame    full              —      —
    """
    lines = [("figure", "cost", "baseline", "ratio")]
    lines += [
        (figure.name, figure.full or _with_unit(figure.cost, figure.unit), _baseline(figure), _number(figure.ratio))
        for figure in figures
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in lines
    )


def _baseline(figure: Figure) -> str:
    if figure.baseline is None:
        return f"{figure.baseline_name} {figure.baseline_full}" if figure.baseline_full else NONE
    return f"{_with_unit(figure.baseline, figure.unit)} {figure.baseline_name}"


def _with_unit(value: float | None, unit: str) -> str:
    return NONE if value is None else f"{_number(value)} {unit}"


def _number(value: float | None) -> str:
    """Write a number with three digits, or with all that are before the point.

    >>> [_number(value) for value in (0.0421, 1.25, 21.04, 24512.3, None)]
    ['0.042', '1.25', '21.0', '24,512', '—']
    """
    if value is None:
        return NONE
    digits = next((digits for least, digits in ((100, 0), (10, 1), (1, 2)) if abs(value) >= least), 3)
    return f"{value:,.{digits}f}"
