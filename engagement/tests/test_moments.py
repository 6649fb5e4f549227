from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.moments import from_microseconds, is_rfc3339, read_moment, to_microseconds, write_moment

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1900, 1, 2), datetime(9999, 12, 30), timezones=zones)


@given(moments)
def test_what_is_written_is_read_again(at):
    assert read_moment(write_moment(at)) == at
    assert is_rfc3339(write_moment(at))
    assert from_microseconds(to_microseconds(at)) == at


def test_read_moment_answers_in_utc():
    assert read_moment("2026-03-02T10:00:00+01:00").tzinfo is UTC


@pytest.mark.parametrize("text", ["", "now", "1772442000", "2026-02-31T09:00:00Z", "9999-12-31T23:59:59-01:00"])
def test_read_moment_refuses_what_is_none(text):
    with pytest.raises(ValueError, match=r"^is no RFC 3339 timestamp$"):
        read_moment(text)
