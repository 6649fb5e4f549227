"""Moments as text, which is RFC 3339, and as whole microseconds since 1970. Pure."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


class NoOffset(ValueError):
    """The text is a moment of some zone, and does not say of which."""


def read_moment(text: str) -> datetime:
    """Return a moment that is written with its offset, in UTC.

    Files of others set a space for the T, or leave the seconds out: that is read, too. Who takes nothing but RFC 3339
    asks `is_rfc3339` first. Raises `NoOffset`, or else ValueError; its words say what the text is.

    >>> str(read_moment("2026-03-02T10:00:00.5+01:00")), str(read_moment("2026-03-02 09:00z"))
    ('2026-03-02 09:00:00.500000+00:00', '2026-03-02 09:00:00+00:00')
    >>> read_moment("2026-03-02T09:00:00")
    Traceback (most recent call last):
    engagement.moments.NoOffset: has no offset
    >>> read_moment("2026-02-31T09:00:00Z")
    Traceback (most recent call last):
    ValueError: is no RFC 3339 timestamp
    """
    try:
        at = datetime.fromisoformat(text.upper())
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):  # 31 February; the last hour of the year 9999, further west
        raise ValueError("is no RFC 3339 timestamp") from None
    raise NoOffset("has no offset")


def is_rfc3339(text: str) -> bool:
    """Tell whether a text has the form of RFC 3339, be there such a day or not.

    >>> is_rfc3339("2026-03-02T09:00:00Z"), is_rfc3339("2026-03-02 09:00:00Z"), is_rfc3339("2026-03-02T09:00Z")
    (True, False, False)
    """
    return RFC3339.fullmatch(text) is not None


def write_moment(at: datetime, timespec: str = "auto") -> str:
    """Return a moment as RFC 3339 in UTC, to the microsecond only where there is one.

    Another `timespec` of `datetime.isoformat` gives as many digits always.

    >>> nine = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> write_moment(nine), write_moment(nine.replace(microsecond=500_000)), write_moment(nine, "milliseconds")
    ('2026-03-02T09:00:00Z', '2026-03-02T09:00:00.500000Z', '2026-03-02T09:00:00.000Z')
    """
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def write_known_moment(at: datetime | None) -> str | None:
    """Return a moment as `write_moment` does, None where there is none."""
    return None if at is None else write_moment(at)


def read_zone(name: str) -> tzinfo:
    """Return a time zone by its name. A machine without zone files knows UTC all the same."""
    return UTC if name == "UTC" else ZoneInfo(name)


def to_microseconds(at: datetime) -> int:
    """Return the whole microseconds from 1970 to a moment.

    >>> to_microseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)), str(from_microseconds(1_000_005))
    (1000005, '1970-01-01 00:00:01.000005+00:00')
    """
    return (at - EPOCH) // MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the moment, in UTC, so many microseconds after 1970."""
    return EPOCH + microseconds * MICROSECOND
