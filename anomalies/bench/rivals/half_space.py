"""River's half-space trees alone, used as its documentation says: features within [0, 1], judged, then learnt. Pure."""

from collections.abc import Sequence

from river.anomaly import HalfSpaceTrees

from anomalies.bench.rivals.rival import BASELINE_ROWS, Rival, Suspicion, again_after_cooldown, score_rows
from engagement.readings import BY_NAME, Reading
from engagement.scoring import fullness

SEED = 42


def watch(rows: Sequence[Reading]) -> list[Suspicion]:
    """Return the trees' score of each row, from what the engagement score is made of and the leave rate.

    The window is the published baseline of 30 rows: with River's own 250 nothing is said for 20 minutes.
    """
    trees = HalfSpaceTrees(window_size=BASELINE_ROWS, seed=SEED)
    found: list[Suspicion] = []
    for row in score_rows(rows):
        features = _features(row.reading)
        found.append(Suspicion(row.reading.timestamp, trees.score_one(features), row.type))  # type: ignore[no-untyped-call]
        trees.learn_one(features)  # type: ignore[no-untyped-call]
    return found


def _features(reading: Reading) -> dict[str, float]:
    return {
        "chats": fullness(BY_NAME["chat_msgs_per_min"], reading.chat_msgs_per_min or 0.0),
        "reactions": fullness(BY_NAME["reactions_per_min"], reading.reactions_per_min or 0.0),
        "active": reading.active_share or 0.0,
        "left": reading.user_leave_rate or 0.0,
    }


HALF_SPACE_TREES = Rival(
    "HalfSpaceTrees",
    watch,
    0.95,
    (0.99, 0.98, 0.97, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5),
    again_after_cooldown,
)
