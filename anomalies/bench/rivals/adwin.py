"""ADWIN of River on the score: two parts of an adaptive window whose means differ, the later one lower. Pure.

Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007.
"""

from collections.abc import Iterator, Sequence

from river import drift

from anomalies.bench.rivals.rival import Rival, Suspicion, score_rows
from engagement.readings import Reading

DELTA = 0.002  # River's own


def watch(rows: Sequence[Reading]) -> list[Suspicion]:
    """Return the score of each row: what ADWIN does with it depends on how sure it has to be."""
    return [Suspicion(row.reading.timestamp, row.score, row.type) for row in score_rows(rows)]


def alert(scores: Sequence[Suspicion], threshold: float) -> Iterator[Suspicion]:
    """Yield the moments at which the mean has changed downwards; the threshold is ADWIN's delta."""
    adwin = drift.ADWIN(delta=threshold)  # type: ignore[no-untyped-call]
    before = 0.0
    for score in scores:
        adwin.update(score.strength)  # type: ignore[no-untyped-call]
        if adwin.drift_detected and adwin.estimation < before:
            yield score
        before = adwin.estimation


ADWIN = Rival("ADWIN", watch, DELTA, (1e-12, 1e-9, 1e-6, 1e-4, DELTA, 0.02, 0.1, 0.3, 0.6), alert)
