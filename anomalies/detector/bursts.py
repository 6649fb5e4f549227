"""Too few chats or reactions of an audience that nobody counts: they are all that is known, and come in bursts. Pure.

A count is negative binomial: its rate is not the same from minute to minute, and one message brings others. How much
they cluster is the room's own and is learnt, block by block. With the mean m of what is usual, a dispersion d and a
spread s the variance is d m + (s m)²; see Hilbe, "Negative Binomial Regression", 2nd ed., Cambridge 2011, chapter 8.
"""

import math

from anomalies.detector.compiled import State, Tuning, compiled
from anomalies.detector.halves import read_half
from anomalies.detector.scalars import add_known, clip
from anomalies.detector.sizes import EARLIER_SLOTS, HISTORY_SLOTS
from anomalies.detector.state import Figure

LEAST_TAIL = 1e-300  # of a tail nothing smaller is told


@compiled
def knows_audience(state: State) -> bool:
    """Tell whether the newest row that was taken says how many listen."""
    return not math.isnan(state.previous[Figure.PRESENT])


@compiled
def sum_long(state: State, signal: int, slots: int) -> float:
    """Return how many have come within so many of the newest slots, more than the history holds."""
    total = add_known(state.history[signal])
    for slot in range(EARLIER_SLOTS + HISTORY_SLOTS - slots, EARLIER_SLOTS):
        total += read_half(state.earlier[signal, slot])
    return total


@compiled
def find_burst_z(state: State, signal: int, seen: float, expected: float, rounding: float, bursts: Tuning) -> float:
    """Return how far a count lies below what is expected, in standard deviations; 0 where nothing is expected.

    That is the normal deviate of its negative binomial tail, and where more came than expected a plain deviation.
    """
    if not expected > 0:
        return 0.0
    scale = min(1.0, bursts.most_expected / expected)
    mean = expected * scale
    variance = _dispersion_of(state, signal, bursts) * mean + (bursts.spread * mean) ** 2 + rounding**2
    if seen * scale >= mean:
        return (mean - seen * scale) / math.sqrt(variance)
    return max(0.0, deviate_of(tail_of(seen * scale, mean, variance)))


@compiled
def tail_of(seen: float, mean: float, variance: float) -> float:
    """Return how probable it is that a negative binomial count is no larger; its variance exceeds its mean.

    Between two whole numbers it is between theirs.

    >>> round(tail_of(0.0, 10.0, 35.0), 5), round(tail_of(4.0, 10.0, 35.0), 5), round(tail_of(0.5, 10.0, 35.0), 5)
    (0.00666, 0.16899, 0.01618)
    """
    part = mean / variance
    size = mean * part / (1 - part)
    term = total = part**size
    number = 1.0
    while number <= seen:
        term *= (size + number - 1) / number * (1 - part)
        total += term
        number += 1
    term *= (size + number - 1) / number * (1 - part)
    return total + term * (seen - number + 1)


@compiled
def deviate_of(tail: float) -> float:
    """Return what a standard normal number exceeds with this probability, to three digits after the point.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.23, for a probability of a half and less.

    >>> [round(deviate_of(tail), 2) for tail in (0.5, 0.158655, 0.00135, 1e-10)]
    [0.0, 1.0, 3.0, 6.36]
    """
    if tail >= 0.5:
        return 0.0
    t = math.sqrt(-2 * math.log(max(LEAST_TAIL, tail)))
    over = 2.515517 + 0.802853 * t + 0.010328 * t**2
    return t - over / (1 + 1.432788 * t + 0.189269 * t**2 + 0.001308 * t**3)


@compiled
def learn_dispersion(state: State, signal: int, count: float, expected: float, bursts: Tuning) -> None:
    """Learn, in place, how far the count of a block was off what is expected."""
    if not expected >= bursts.least_learnt or math.isnan(count):
        return
    n = min(bursts.most_blocks, state.n_dispersion[signal] + 1)
    off = min(bursts.limit, (count - expected) ** 2 / expected)
    state.n_dispersion[signal] = n
    state.dispersion[signal] += (off - state.dispersion[signal]) / n


@compiled
def _dispersion_of(state: State, signal: int, bursts: Tuning) -> float:
    """Return the variance of a count in its means: the room's own, as far as it is known."""
    n, first = state.n_dispersion[signal], bursts.first_blocks
    own = (first * bursts.dispersion_at_first + n * state.dispersion[signal]) / (first + n)
    return clip(own, bursts.least_dispersion, bursts.most_dispersion)
