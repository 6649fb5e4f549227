"""The detectors that ours is compared with, each as it is usually built. Pure."""

from anomalies.rivals.adwin import ADWIN
from anomalies.rivals.cusum import CUSUM
from anomalies.rivals.half_space import HALF_SPACE_TREES
from anomalies.rivals.published import PUBLISHED
from anomalies.rivals.rival import Rival
from anomalies.rivals.z_score import Z_SCORE

RIVALS: tuple[Rival, ...] = (PUBLISHED, Z_SCORE, CUSUM, ADWIN, HALF_SPACE_TREES)

__all__ = ["RIVALS", "Rival"]
