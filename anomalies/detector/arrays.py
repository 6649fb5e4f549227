"""The types of arrays, in which what is unknown is NaN. Pure."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

NEWEST = -1  # along an axis of time
ALMOST_NONE = 1e-9  # in place of 0, to divide by
