"""Read the times that platforms write for people: local dates, times of the day, times since the start. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

TIME = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,6})?)?\s?([AaPp]\.?[Mm]\.?)?\s?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
NUMERIC = re.compile(rf"(\d{{1,4}})([/.-])(\d{{1,2}})\2(\d{{1,4}})(?:T|,?\s){TIME}", re.ASCII)
SPOKEN = re.compile(rf"([A-Z][a-z]{{2}})[a-z]{{0,6}}\.? (\d{{1,2}}), (\d{{4}}),? {TIME}")
SPACE = re.compile(r"\s+")
CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,]\d{1,6})?", re.ASCII)
MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
HALF_A_DAY = timedelta(hours=12)
DAY = timedelta(days=1)


def is_day_first(texts: Iterable[str]) -> bool | None:
    """Tell which of 03/04 is the day, by all dates of a file: None where none of them says it.

    >>> is_day_first(["03/04/2026 09:00:00", "13/04/2026 09:00:00"]), is_day_first(["03/04/2026 09:00"])
    (True, None)
    """
    for text in texts:
        if (found := NUMERIC.match(text)) and len(found[1]) <= 2:
            if found[2] == "." or int(found[1]) > 12:
                return True
            if int(found[3]) > 12:
                return False
    return None


def read_date(text: str, zone: tzinfo, *, day_first: bool = False) -> datetime | None:
    """Return a moment with its date, in UTC, or None where the text is none; without an offset it is of `zone`.

    >>> str(read_date("03/02/2026 02:05:09 PM", UTC)), str(read_date("2026-03-02 14:05", UTC))
    ('2026-03-02 14:05:09+00:00', '2026-03-02 14:05:00+00:00')
    >>> str(read_date("Mar 2, 2026 14:05:09", UTC)), read_date("02/31/2026 09:00:00", UTC), read_date("--", UTC)
    ('2026-03-02 14:05:09+00:00', None, None)
    """
    text = SPACE.sub(" ", text[:80].strip())  # some exports set narrow spaces before AM and PM
    if found := NUMERIC.fullmatch(text):
        first, _, second, third, *time = found.groups()
        if len(first) == 4:
            year, month, day = int(first), int(second), int(third)
        else:
            month, day = (int(second), int(first)) if day_first else (int(first), int(second))
            year = int(third) if len(third) == 4 else 2000 + int(third)
    elif found := SPOKEN.fullmatch(text):
        name, spoken_day, spoken_year, *time = found.groups()
        year, month, day = int(spoken_year), MONTHS.get(name, 0), int(spoken_day)
    else:
        return None
    hour, minute, second, half, offset = time
    try:
        return datetime(
            year, month, day, _hour(int(hour), half), int(minute), int(second or 0), tzinfo=_zone(offset, zone)
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _hour(hour: int, half: str | None) -> int:
    """Return the hour of a day of 24.

    >>> _hour(12, "AM"), _hour(12, "PM"), _hour(3, "p.m."), _hour(15, None)
    (0, 12, 15, 15)
    """
    return hour if half is None else hour % 12 + 12 * (half[0] in "Pp")


def _zone(offset: str | None, zone: tzinfo) -> tzinfo:
    if offset is None:
        return zone
    return datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo or zone if offset[0] in "+-" else UTC


def read_clock(text: str) -> timedelta | None:
    """Return a time without a date, as 18:21:17, 1:02:03 or 2:03 (two minutes and three seconds).

    >>> str(read_clock("18:21:17")), str(read_clock("2:03")), read_clock("soon")
    ('18:21:17', '0:02:03', None)
    """
    found = CLOCK.fullmatch(text)
    if not found or int(found[2]) > 59 or int(found[3]) > 59:
        return None
    return timedelta(hours=int(found[1] or 0), minutes=int(found[2]), seconds=int(found[3]))


class Undated:
    """Puts times without a date on the calendar, in the order in which the file tells them.

    A log counts from its start or shows the clock on the wall, and does not say which. The first line decides: it is
    what lies nearer to `anchor`, when the session is known to have started. Later lines go on over midnight.
    """

    def __init__(self, anchor: datetime, zone: tzinfo):
        self._anchor, self._zone = anchor, zone
        self._midnight: datetime | None = None
        self._counts = False
        self._last = timedelta()

    def place(self, clock: timedelta) -> datetime:
        """Return the moment of a time that `read_clock` read.

        >>> undated = Undated(datetime(2026, 3, 2, 23, tzinfo=UTC), UTC)
        >>> [str(undated.place(timedelta(hours=hours))) for hours in (23.5, 0.5)]
        ['2026-03-02 23:30:00+00:00', '2026-03-03 00:30:00+00:00']
        >>> str(Undated(datetime(2026, 3, 2, 23, tzinfo=UTC), UTC).place(timedelta(minutes=5)))
        '2026-03-02 23:05:00+00:00'
        """
        if self._midnight is None:
            self._midnight = self._nearest_midnight(clock)
            as_clock = abs(self._midnight + clock - self._anchor)
            self._counts = clock <= as_clock or clock >= DAY
        elif not self._counts and clock < self._last - HALF_A_DAY:
            self._midnight += DAY
        self._last = clock
        return self._anchor + clock if self._counts else (self._midnight + clock).astimezone(UTC)

    def _nearest_midnight(self, clock: timedelta) -> datetime:
        midnight = self._anchor.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return min((midnight + n * DAY for n in (-1, 0, 1)), key=lambda start: abs(start + clock - self._anchor))
