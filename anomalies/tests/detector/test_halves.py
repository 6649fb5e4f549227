import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalies.detector.halves import read_half, write_half

ALL = np.arange(2**16, dtype=np.uint16)


@pytest.mark.slow
def test_every_number_of_two_bytes_is_read_as_numpy_reads_it():
    read = np.array([read_half(bits) for bits in ALL])
    assert np.array_equal(read, ALL.view(np.float16).astype(np.float64), equal_nan=True)


@pytest.mark.slow
def test_every_number_of_two_bytes_is_written_as_it_was_read():
    written = np.array([write_half(read_half(bits)) for bits in ALL if not math.isnan(read_half(bits))], np.uint16)
    assert np.array_equal(written, ALL[~np.isnan(ALL.view(np.float16))])


@given(st.floats(width=64) | st.floats(-70_000, 70_000) | st.floats(-1e-4, 1e-4) | st.integers(-5000, 5000).map(float))
def test_any_number_is_rounded_as_numpy_rounds_it(value):
    with np.errstate(over="ignore"):
        expected = np.float16(value)
    assert np.array_equal(np.uint16(write_half(value)).view(np.float16), expected, equal_nan=True)


def test_halfway_goes_to_the_even_one():
    odd, even = np.float16(1 + 1 / 1024), np.float16(1 + 2 / 1024)
    for value in ((1.0 + float(odd)) / 2, (float(odd) + float(even)) / 2):
        assert write_half(value) == np.float16(value).view(np.uint16)
