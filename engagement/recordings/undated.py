"""Put times without a date on the calendar. Pure."""

from datetime import UTC, datetime, timedelta, tzinfo

DAY = timedelta(days=1)
OUT_OF_ORDER = timedelta(minutes=5)  # so far lines may stand before the one that they follow
OVER_MIDNIGHT = timedelta(hours=6)  # so long nobody may have said anything, for midnight to be between


class RunsBack(ValueError):
    """The clock of a file runs back, so it holds more than one session."""


class Undated:
    """Puts times without a date on the calendar, in the order in which the file tells them.

    A log counts from its start or shows the clock on the wall, and does not say which. The first line decides: it is
    what lies nearer to `anchor`, when the session is known to have started. Later lines go on over midnight. Where
    they run back and no midnight explains it, a second session was appended to the first.
    """

    def __init__(self, anchor: datetime, zone: tzinfo):
        self._anchor, self._zone = anchor, zone
        self._midnight: datetime | None = None
        self._counts = False
        self._last = timedelta()

    def place(self, clock: timedelta) -> datetime:
        """Return the moment of a time that `read_clock` read. Raises `RunsBack`.

        >>> undated = Undated(datetime(2026, 3, 2, 23, tzinfo=UTC), UTC)
        >>> [str(undated.place(timedelta(hours=hours))) for hours in (23.5, 0.5)]
        ['2026-03-02 23:30:00+00:00', '2026-03-03 00:30:00+00:00']
        >>> str(Undated(datetime(2026, 3, 2, 23, tzinfo=UTC), UTC).place(timedelta(minutes=5)))
        '2026-03-02 23:05:00+00:00'
        >>> undated.place(timedelta(hours=0.2))
        Traceback (most recent call last):
        engagement.recordings.undated.RunsBack: the clock runs back by 0:18:00, so a second meeting begins here
        """
        if self._midnight is None:
            self._midnight = self._nearest_midnight(clock)
            as_clock = abs(self._midnight + clock - self._anchor)
            self._counts = clock <= as_clock or clock >= DAY
        elif clock < self._last - OUT_OF_ORDER:
            self._pass_midnight(clock)
        self._last = clock
        return self._anchor + clock if self._counts else (self._midnight + clock).astimezone(UTC)

    def _pass_midnight(self, clock: timedelta) -> None:
        is_next_day = not self._counts and clock + DAY - self._last <= OVER_MIDNIGHT
        if not is_next_day or self._midnight is None:
            back = str(self._last - clock)
            raise RunsBack(f"the clock runs back by {back}, so a second meeting begins here")
        self._midnight += DAY

    def _nearest_midnight(self, clock: timedelta) -> datetime:
        midnight = self._anchor.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return min((midnight + n * DAY for n in (-1, 0, 1)), key=lambda start: abs(start + clock - self._anchor))
