"""Numbers of two bytes, as a state holds them: IEEE 754's binary16, of which compiled code sees the bits. Pure."""

import math

import numpy as np

from anomalies.detector.compiled import compiled

FRACTION_BITS = 10
FRACTION = 1 << FRACTION_BITS
EXPONENT_BIAS = 15
NO_NUMBER = 31  # the exponent of what is infinite or unknown
LEAST_NORMAL, UNIT = 2.0**-14, 2.0**-24  # the smallest with a digit before its point, and the smallest of all
TOO_LARGE = 65520.0  # rounds to what is infinite
INFINITE, UNKNOWN, NEGATIVE = 0x7C00, 0x7E00, 0x8000
# Of the last digit of a number, by its exponent.
VALUES = 2.0 ** (np.arange(NO_NUMBER) - EXPONENT_BIAS - FRACTION_BITS)


@compiled
def read_half(bits: int) -> float:
    """Return the number of these bits.

    >>> [float(read_half(bits)) for bits in (0x3C00, 0xC000, 0x0001, 0x7C00, 0x7E00)]
    [1.0, -2.0, 5.960464477539063e-08, inf, nan]
    """
    exponent, fraction = (bits >> FRACTION_BITS) & NO_NUMBER, bits & (FRACTION - 1)
    if exponent == NO_NUMBER:
        size = math.nan if fraction else math.inf
    elif exponent == 0:
        size = fraction * UNIT
    else:
        size = (FRACTION + fraction) * VALUES[exponent]
    return -size if bits & NEGATIVE else size


@compiled
def write_half(value: float) -> int:
    """Return the bits of the nearest number, of two as near the even one.

    >>> [hex(write_half(value)) for value in (1.0, -2.0, 1 / 3, 1e-7, 65520.0, math.nan)]
    ['0x3c00', '0xc000', '0x3555', '0x2', '0x7c00', '0x7e00']
    """
    if math.isnan(value):
        return UNKNOWN
    size = abs(value)
    if size >= TOO_LARGE:
        bits = INFINITE
    elif size < LEAST_NORMAL:
        bits = int(np.rint(size / UNIT))
    else:
        part, exponent = math.frexp(size)  # part is 0.5 or more, so that twice it has a digit before its point
        bits = ((exponent - 1 + EXPONENT_BIAS) << FRACTION_BITS) + int(np.rint((2 * part - 1) * FRACTION))
    return bits | NEGATIVE if math.copysign(1.0, value) < 0 else bits
