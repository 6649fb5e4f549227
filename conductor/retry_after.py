"""How long a server asks to be left alone, as RFC 9110 writes it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def read_retry_after(header: str, now: datetime) -> float:
    """Return the seconds of a Retry-After header, which holds them or a date; 0 where it holds neither.

    >>> now = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    >>> read_retry_after("7", now), read_retry_after("Thu, 01 Jan 1970 00:01:30 GMT", now)
    (7.0, 30.0)
    >>> read_retry_after("", now), read_retry_after("soon", now), read_retry_after("Thu, 01 Jan 1970 00:00:00 GMT", now)
    (0.0, 0.0, 0.0)
    """
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, (at.astimezone(UTC) - now).total_seconds())
