"""CUSUM: the shortfalls of the score add up, less an allowance a row, until they are too much (Page, 1954). Pure."""

from collections.abc import Iterator, Sequence

from anomalies.bench.rivals.rival import LEAST_ROWS, LEAST_SPREAD, Rival, Suspicion, score_rows
from engagement.readings import Reading

ALLOWANCE = 0.5  # standard deviations; half of the shift that is to be found
FORGET = 0.005  # how fast mean and variance follow the session, a row: minutes, or a decline becomes usual


def watch(rows: Sequence[Reading]) -> list[Suspicion]:
    """Return each row's shortfall: standard deviations below the session's own running mean."""
    found: list[Suspicion] = []
    mean = variance = 0.0
    for n, row in enumerate(score_rows(rows)):
        if n >= LEAST_ROWS:
            found.append(
                Suspicion(row.reading.timestamp, (mean - row.score) / max(LEAST_SPREAD, variance**0.5), row.type)
            )
        rate = max(FORGET, 1 / (n + 1))
        off = row.score - mean
        mean += rate * off
        variance += rate * (off * (row.score - mean) - variance)
    return found


def alert(shortfalls: Sequence[Suspicion], threshold: float) -> Iterator[Suspicion]:
    """Yield the moments at which the sum reaches the threshold, from where it starts anew at 0."""
    total = 0.0
    for shortfall in shortfalls:
        total = max(0.0, total + shortfall.strength - ALLOWANCE)
        if total >= threshold:
            total = 0.0
            yield shortfall


CUSUM = Rival("CUSUM", watch, 20.0, (160.0, 80.0, 60.0, 40.0, 30.0, 20.0, 10.0, 5.0), alert)
