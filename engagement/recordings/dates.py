"""Read the times that platforms write for people: local dates, times of the day, times since the start. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from engagement.recordings.date_words import BETWEEN, find_words, fold

MAX_DATE = 80  # characters
THAI_YEARS = 543  # ahead of ours
HALF_A_DAY_HOURS = 12

OFFSET = re.compile(r"\(?(?<![^\W\d])(?:(Z|UTC|GMT|[A-Z]{1,3}[DS]?T)\b ?)?(?:([+-])(\d{1,2})(?::?(\d{2}))?(?!\d))?\)?")
TIME = re.compile(
    r"(?<!\d)(?P<hour>\d{1,2})[:hH時시点](?P<minute>\d{2})分?(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,12}))?)?秒?(?!\d)"
)
POINTED_TIME = re.compile(r"(?P<hour>\d{1,2})\.(?P<minute>\d{2})(?:\.(?P<second>\d{2}))?(?P<part>$)?")
NUMERIC = re.compile(r"(?<!\d)(\d{1,4})\s?([/.\-年년])\s?(\d{1,2})\s?([/.\-月월])\s?(\d{1,4})(?!\d)[日일.]?")
NUMBER = re.compile(r"\d+")
CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,]\d{1,9})?", re.ASCII)
HALF_OF_A_CLOCK = re.compile(r"(\d{1,2}:\d{2}(?::\d{2})?)\s?(\D{1,8})")
# Those that mean one offset only, as far as meetings go; any other is taken for a word that says nothing.
ABBREVIATIONS = {
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "CET": 1, "CEST": 2, "BST": 1, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """A date and a time as they are written: which of `first` and `second` is the month, may be open."""

    year: int
    first: int
    second: int
    is_plain: bool  # such as 03/04/2026: its form does not say which one is the month
    is_day_first: bool | None  # where its form says it, or its numbers do
    has_american_half: bool  # AM and PM in capital letters, as few write who write the day first
    hour: int
    minute: int
    second_: int
    microsecond: int
    offset: timedelta | None

    @property
    def is_open(self) -> bool:
        """Whether both could be the month, and it makes a difference."""
        return self.is_day_first is None and self.first != self.second

    def moment(self, zone: tzinfo, *, day_first: bool = False, fold: int = 0) -> datetime | None:
        """Return the moment in UTC, or None where there is no such day. `fold` is the second of two such hours."""
        is_day_first = self.is_day_first if self.is_day_first is not None else day_first
        month, day = (self.second, self.first) if is_day_first else (self.first, self.second)
        of = zone if self.offset is None else timezone(self.offset)
        try:
            return datetime(
                self.year, month, day, self.hour, self.minute, self.second_, self.microsecond, of, fold=fold
            ).astimezone(UTC)
        except (ValueError, OverflowError):
            return None


def read_date(text: str, zone: tzinfo, *, day_first: bool = False) -> datetime | None:
    """Return a moment with its date, in UTC, or None where the text is none; without an offset it is of `zone`.

    >>> str(read_date("03/02/2026 02:05:09 PM", UTC)), str(read_date("2026-03-02 14:05", UTC))
    ('2026-03-02 14:05:09+00:00', '2026-03-02 14:05:00+00:00')
    >>> str(read_date("Mar 2, 2026 14:05:09", UTC)), read_date("02/31/2026 09:00:00", UTC), read_date("--", UTC)
    ('2026-03-02 14:05:09+00:00', None, None)
    """
    written = read_written(text)
    return None if written is None else written.moment(zone, day_first=day_first)


def read_written(text: str) -> Written | None:
    """Return a date and a time of any language as they are written, or None where the text is none.

    >>> len({read_written(text) for text in ("2 de março de 2026 14:05", "2. März 2026, 14:05", "2026年3月2日 14:05")})
    1
    >>> read_written("2026. 3. 2. 오후 2:05:09").hour, read_written("2/3/26 2:05 p. m.").is_open
    (14, True)
    >>> read_written("soon 9:00")
    """
    if not any(map(str.isdigit, text[:MAX_DATE])):  # so are most cells, and they need not be looked at
        return None
    text = _plain(text)
    date = NUMERIC.search(text)
    outside = f"{text[: date.start()]} | {text[date.end() :]}" if date else text
    time = TIME.search(outside) or (POINTED_TIME.search(outside) if date else None)
    if time is None:
        return None
    offset, behind = _take_offset(outside[time.end() :])
    rest = f"{outside[: time.start()].removesuffix('T')} {behind}".replace("|", " ")
    named = _name_date(rest) if date is None else None
    half = _half(rest if named is None else named.rest)
    day = _number_date(date) if date else None if named is None else named.day
    if day is None or half is None:
        return None
    hour = _hour(int(time["hour"]), half.is_second)
    part = int((time["part"] or "").ljust(6, "0")[:6])
    minute, second = int(time["minute"]), int(time["second"] or 0)
    year, first, other, is_plain, is_day_first = day
    return Written(year, first, other, is_plain, is_day_first, half.is_american, hour, minute, second, part, offset)


def _plain(text: str) -> str:
    """Return a text with our digits and plain spaces, whatever it is written with, and without marks of direction.

    >>> _plain("٤/٣/٢٠٢٦ ١٠:٠٠ م")
    '4/3/2026 10:00 م'
    """
    text = unicodedata.normalize("NFKC", text[:MAX_DATE])
    return "".join(
        str(unicodedata.digit(each)) if each.isdigit() else each for each in text if unicodedata.category(each) != "Cf"
    ).strip()


Day = tuple[int, int, int, bool, bool | None]


def _number_date(found: re.Match[str]) -> Day | None:
    first, between, second, _, third = found.groups()
    if len(first) == 4:
        return _year(int(first)), int(second), int(third), False, False
    if len(third) not in (2, 4) or len(first) == 3:
        return None
    year = _year(int(third)) if len(third) == 4 else 2000 + int(third)
    if between == ".":
        return year, int(first), int(second), False, True
    if max(int(first), int(second)) > 12:
        return year, int(first), int(second), True, int(first) > 12
    return year, int(first), int(second), True, None


def _year(year: int) -> int:
    return year - THAI_YEARS if 2500 <= year < 2700 else year


@dataclass(frozen=True, slots=True)
class _Named:
    day: Day
    rest: str


def _name_date(text: str) -> _Named | None:
    """Read a date whose month is a word: 2 de março de 2026, Mar 2, 2026."""
    numbers = NUMBER.findall(text)
    years = [number for number in numbers if len(number) == 4]
    days = [number for number in numbers if len(number) <= 2]
    words = BETWEEN.split(NUMBER.sub(" ", text))
    months = {word: month for word in words if (month := find_words().months.get(fold(word)))}
    if len(numbers) != 2 or not years or not days or len(months) != 1:
        return None
    [(name, month)] = months.items()
    rest = " ".join(word for word in words if word != name)
    return _Named((_year(int(years[0])), month, int(days[0]), False, False), rest)


@dataclass(frozen=True, slots=True)
class _Half:
    is_second: bool | None
    is_american: bool


def _half(text: str) -> _Half | None:
    """Read which half of a day the words beside a time name, if they do; None where they say anything else."""
    text = text.strip(" ,;()[]日일년월")
    if not text:
        return _Half(None, False)
    words = find_words()
    if (whole := fold(text)) in words.halves:
        return _Half(words.halves[whole], text in ("AM", "PM"))
    found = [word for each in BETWEEN.split(text) if (word := fold(each)) not in words.silent and word.strip("()'-")]
    together = "".join(found)
    if not together:
        return _Half(None, False)
    if together in words.halves:
        return _Half(words.halves[together], "AM" in text or "PM" in text)
    return None


def _hour(hour: int, is_second: bool | None) -> int:
    """Return the hour of a day of 24.

    >>> _hour(12, False), _hour(12, True), _hour(3, True), _hour(15, None), _hour(15, True)
    (0, 12, 15, 15, 15)
    """
    if is_second is None or hour > HALF_A_DAY_HOURS:
        return hour
    return hour % HALF_A_DAY_HOURS + HALF_A_DAY_HOURS * is_second


def _take_offset(text: str) -> tuple[timedelta | None, str]:
    """Return how far ahead the zone is that stands behind a time, None where there is none, and the rest of the text.

    >>> _take_offset("+01:00")[0] == _take_offset(" PM CET")[0] == _take_offset(" (UTC+1)")[0] == timedelta(hours=1)
    True
    >>> _take_offset(" PM IST")
    (None, ' PM ')
    """
    for found in OFFSET.finditer(text):
        name, sign, hours, minutes = found.groups()
        if not (name or sign):
            continue
        rest = f"{text[: found.start()]}{text[found.end() :]}"
        if sign:
            ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
            if ahead < timedelta(hours=24):
                return (ahead if sign == "+" else -ahead), rest
        elif name in ("Z", "UTC", "GMT"):
            return timedelta(0), rest
        else:
            return (timedelta(hours=ABBREVIATIONS[name]) if name in ABBREVIATIONS else None), rest
    return None, text


def read_clock(text: str) -> timedelta | None:
    """Return a time without a date, as 18:21:17, 1:02:03, 2:03 (two minutes and three seconds) or 6:05 PM.

    >>> str(read_clock("18:21:17")), str(read_clock("2:03")), str(read_clock("6:05 PM")), read_clock("soon")
    ('18:21:17', '0:02:03', '18:05:00', None)
    """
    if halved := HALF_OF_A_CLOCK.fullmatch(_plain(text)):
        half = _half(halved[2])
        if half is None or half.is_second is None:
            return None
        hour, minute, *second = map(int, halved[1].split(":"))
        return timedelta(hours=_hour(hour, half.is_second), minutes=minute, seconds=second[0] if second else 0)
    found = CLOCK.fullmatch(text)
    if not found or int(found[2]) > 59 or int(found[3]) > 59:
        return None
    return timedelta(hours=int(found[1] or 0), minutes=int(found[2]), seconds=int(found[3]))


def read_time_of_day(text: str) -> timedelta | None:
    """Return a time of the day, where two numbers are hours and minutes.

    >>> str(read_time_of_day("10:01")), str(read_time_of_day("10:01 PM")), read_time_of_day("25:00")
    ('10:01:00', '22:01:00', None)
    """
    clock = read_clock(f"{text}:00" if re.fullmatch(r"\d{1,2}:\d{2}", text) else text)
    return clock if clock is not None and clock < timedelta(days=1) else None
