"""Numbers of which some are unknown, kept as NaN. Pure."""

import math

import numpy as np

from anomalies.detector.arrays import Floats
from anomalies.detector.compiled import compiled


@compiled
def or_zero(value: float) -> float:
    """Return the value, 0 where it is unknown.

    >>> or_zero(1.0), or_zero(math.nan)
    (1.0, 0.0)
    """
    return 0.0 if math.isnan(value) else value


@compiled
def at_least(value: float, least: float) -> float:
    """Return the value, or the least that it counts as; what is unknown stays so.

    >>> at_least(0.5, 1.0), at_least(2.0, 1.0), at_least(math.nan, 1.0)
    (1.0, 2.0, nan)
    """
    return least if value < least else value


@compiled
def at_most(value: float, most: float) -> float:
    """Return the value, or the most that it counts as; what is unknown stays so.

    >>> at_most(0.5, 1.0), at_most(2.0, 1.0), at_most(math.nan, 1.0)
    (0.5, 1.0, nan)
    """
    return most if value > most else value


@compiled
def clip(value: float, least: float, most: float) -> float:
    """Return the value within limits; what is unknown stays so.

    >>> clip(0.5, 0.0, 1.0), clip(-3.0, 0.0, 1.0), clip(3.0, 0.0, 1.0), clip(math.nan, 0.0, 1.0)
    (0.5, 0.0, 1.0, nan)
    """
    return at_most(at_least(value, least), most)


@compiled
def largest(values: Floats) -> float:
    """Return the largest of some known values.

    >>> float(largest(np.array([1.0, 3.0, 2.0])))
    3.0
    """
    found = values[0]
    for value in values:
        found = max(found, value)
    return found


@compiled
def count_known(values: Floats) -> int:
    """Return how many of the values are known.

    >>> count_known(np.array([1.0, math.nan, 3.0]))
    2
    """
    n = 0
    for value in values:
        n += not math.isnan(value)
    return n


@compiled
def add_known(values: Floats) -> float:
    """Return the sum of the known values, in their order.

    >>> float(add_known(np.array([1.0, math.nan, 3.0])))
    4.0
    """
    total = np.float64(0)  # whatever the values are kept in
    for value in values:
        total += or_zero(value)
    return total


@compiled
def known_mean(values: Floats) -> float:
    """Return the mean of the known values, added in their order; NaN where none is known.

    >>> float(known_mean(np.array([1.0, math.nan, 3.0])))
    2.0
    """
    n = count_known(values)
    return add_known(values) / n if n else math.nan


@compiled
def interquartile_mean(values: Floats) -> float:
    """Return the mean of the middle half of the known values; NaN where none is known.

    >>> float(interquartile_mean(np.array([1.0, 2.0, 3.0, 100.0, math.nan])))
    2.5
    """
    ordered, n = np.empty(len(values)), 0
    for value in values:
        if not math.isnan(value):
            _insert(ordered, n, value)
            n += 1
    return known_mean(ordered[n // 4 : n - n // 4])


@compiled
def _insert(ordered: Floats, n: int, value: float) -> None:
    """Put a value among the n that are in order."""
    place = n
    while place > 0 and ordered[place - 1] > value:
        ordered[place] = ordered[place - 1]
        place -= 1
    ordered[place] = value


@compiled
def fill(values: Floats, value: float) -> None:
    """Write a value into all places."""
    for place in range(len(values)):
        values[place] = value
