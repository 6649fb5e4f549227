"""The z-score alone: a score that lies k standard deviations below the 30 rows before it. Pure."""

from collections.abc import Sequence

from anomalies.bench.rivals.rival import Rival, Suspicion, again_after_cooldown, score_rows
from engagement.readings import Reading


def watch(rows: Sequence[Reading]) -> list[Suspicion]:
    """Return how many standard deviations each row lies below its baseline."""
    return [Suspicion(row.reading.timestamp, -row.z, row.type) for row in score_rows(rows) if row.z is not None]


Z_SCORE = Rival("z-score, k = 3", watch, 3.0, (6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.0), again_after_cooldown)
