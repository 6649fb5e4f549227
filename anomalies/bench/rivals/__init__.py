"""The detectors that ours is compared with, each as it is usually built. Pure."""

from anomalies.bench.rivals.adwin import ADWIN
from anomalies.bench.rivals.cusum import CUSUM
from anomalies.bench.rivals.half_space import HALF_SPACE_TREES
from anomalies.bench.rivals.published import PUBLISHED
from anomalies.bench.rivals.rival import Rival
from anomalies.bench.rivals.z_score import Z_SCORE

RIVALS: tuple[Rival, ...] = (PUBLISHED, Z_SCORE, CUSUM, ADWIN, HALF_SPACE_TREES)

__all__ = ["RIVALS", "Rival"]
