"""Arrays of values of which some are unknown, kept as NaN. Pure."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", bound=np.floating)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

OLDEST, NEWEST = 0, -1  # along an axis of time
ALMOST_NONE = 1e-9  # in place of 0, to divide by


def or_zero(values: NDArray[Float]) -> NDArray[Float]:
    """Return the values with 0 for what is unknown.

    >>> or_zero(np.array([1.0, np.nan]))
    array([1., 0.])
    """
    return np.where(np.isnan(values), 0.0, values)


def known_mean(values: Floats) -> Floats:
    """Return the mean of the known values along each row, in their order; NaN where none is known.

    >>> known_mean(np.array([[1.0, np.nan, 3.0]]))
    array([2.])
    """
    known = ~np.isnan(values)
    total = np.cumsum(np.where(known, values, 0.0), axis=1)[..., -1]  # in order, whatever the batch
    return np.where(known.any(axis=1), total / np.maximum(1, known.sum(axis=1)), np.nan)


def interquartile_mean(values: Floats) -> Floats:
    """Return the mean of the middle half of the known values along the last axis; NaN where none is known.

    >>> interquartile_mean(np.array([[1.0, 2.0, 3.0, 100.0, np.nan]]))
    array([2.5])
    """
    ordered = np.sort(values, axis=-1)  # NaN goes last
    n = (~np.isnan(values)).sum(axis=-1)[..., None]
    place = np.arange(values.shape[-1])
    is_middle = (place >= n // 4) & (place < n - n // 4)
    total = np.cumsum(np.where(is_middle, ordered, 0.0), axis=-1)[..., -1]  # in order, whatever the batch
    size = is_middle.sum(axis=-1)
    return np.where(size > 0, total / np.maximum(1, size), np.nan)
