"""The published design as published: 0.7 × River's half-space trees + 0.3 × z-score, with all its defects. Pure."""

from collections.abc import Sequence

from river.anomaly import HalfSpaceTrees
from river.compose import Pipeline
from river.preprocessing import StandardScaler

from anomalies.bench.rivals.rival import Rival, ScoredRow, Suspicion, again_after_cooldown, score_rows
from anomalies.detector.config import DEFAULT
from engagement.readings import Reading

SEED = 42
FULL_Z = 3.0  # at which the z-score is certain
LEAST_DEVIATION = 0.15  # a drop or a decline that deviates less from the baseline is none


def watch(rows: Sequence[Reading]) -> list[Suspicion]:
    """Return the fused score of each row.

    River's own window of 250 rows, on features of mean 0 and variance 1 though the trees ask for [0, 1]; an
    unknown signal is 0; the z-score and the deviation count in both directions; and every row is learnt, whatever
    it was. The published text names no least deviation: this one gives about the false alarms measured of it (9 an
    hour), without any it would have 70.
    """
    fusion = DEFAULT.fusion
    trees = Pipeline(StandardScaler(), HalfSpaceTrees(seed=SEED))
    found: list[Suspicion] = []
    for row in score_rows(rows):
        features = _features(row)
        is_anomaly = row.type in ("MASS_EXIT", "LOW_ENGAGEMENT") or row.deviation >= LEAST_DEVIATION
        if row.z is not None and is_anomaly:
            by_z = min(1.0, abs(row.z) / FULL_Z)
            fused = fusion.tree_weight * trees.score_one(features) + fusion.z_weight * by_z
            found.append(Suspicion(row.reading.timestamp, fused, row.type))
        trees.learn_one(features)
    return found


def _features(row: ScoredRow) -> dict[str, float]:
    reading = row.reading
    return {
        "chat_msgs_per_min": reading.chat_msgs_per_min or 0.0,
        "poll_participation": reading.poll_participation or 0.0,
        "active_share": reading.active_share or 0.0,
        "reactions_per_min": reading.reactions_per_min or 0.0,
        "user_leave_rate": reading.user_leave_rate or 0.0,
        "score": row.score,
    }


PUBLISHED = Rival(
    "published design",
    watch,
    DEFAULT.opening.warning_from,
    (0.98, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.4, 0.3),
    again_after_cooldown,
)
