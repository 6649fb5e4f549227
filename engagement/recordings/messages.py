"""Read chats that are JSON: a reader of one message for each platform, and what all of them need. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from engagement.moments import EPOCH, read_moment
from engagement.recordings.dates import read_date
from engagement.recordings.documents import JsonObject, read_items
from engagement.recordings.formats import Format, Look
from engagement.recordings.recording import Gathering, check_year
from engagement.recordings.source import Source

NO_TIME = "a message has no time"
CONTRADICTS = "The dates of the messages contradict how far into the video each one is, which was taken instead."
BY_SECONDS = itemgetter(0, 1)
SHORTER = timedelta(minutes=1)  # so much less time between the dates than in the video may be a clock's fault
COUNTS_FROM_START = "counts its times from the start: give the planned start"
UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))  # up to so much it is seconds, milliseconds, ...


class Offsets:
    """Seconds since the start of the stream; what was written before it is of its start."""

    def __init__(self, gathering: Gathering):
        self._gathering = gathering
        self._anchor: datetime | None = None
        self._dated: list[tuple[float, datetime, str | None]] = []

    def place(self, seconds: float | None) -> datetime:
        """Return a moment. Raises ValueError where there is none, or nobody knows when the stream started."""
        if seconds is None or not -1e6 < seconds < 1e6:
            raise ValueError(NO_TIME)
        if self._anchor is None:
            self._anchor = self._gathering.anchor
            if self._anchor is None:
                raise ValueError(COUNTS_FROM_START)
        return self._anchor + timedelta(seconds=max(0.0, seconds))

    def keep(self, seconds: float, at: datetime, user: str | None) -> None:
        """Keep a message that tells both until `finish`. Raises ValueError for a moment that no session of ours has."""
        check_year(at)
        self._dated.append((seconds, at, user))

    def finish(self) -> None:
        """Add the kept messages by their dates, or by their seconds where these cannot be true.

        Between two messages a clock may go further than the video, which leaves out what was cut or while nothing was
        sent. It never goes less far: then the dates are those of a copy.
        """
        if not self._dated:
            return
        (first, started, _), (last, *_) = min(self._dated, key=BY_SECONDS), max(self._dated, key=BY_SECONDS)
        dates = [at for _, at, _ in self._dated]
        is_told = max(dates) - min(dates) + SHORTER >= timedelta(seconds=last - first)
        if not is_told:
            self._gathering.note(CONTRADICTS)
            self._anchor = self._gathering.starts_at or started - timedelta(seconds=first)
        for seconds, at, user in self._dated:
            self._gathering.add("chat", at if is_told else self.place(seconds), user)


Take = Callable[[JsonObject, Offsets, Gathering], None]


def chat_format(
    name: str,
    platform: str,
    export: str,
    looks: Callable[[JsonObject], bool],
    take: Take,
    *,
    knows_else: Callable[[Look], bool] = lambda look: False,
    lacks_dates: bool = False,
) -> Format:
    """Return the format of a chat whose messages look so, each of which `take` gathers, or raises ValueError.

    `knows_else` knows a file of which no message can be looked at.
    """

    def knows(look: Look) -> bool:
        return any(map(looks, look.items)) or (look.is_json and knows_else(look))

    def read(source: Source, gathering: Gathering) -> None:
        offsets = Offsets(gathering)
        for item in read_items(source):
            try:
                take(item, offsets, gathering)
            except ValueError as error:
                raise source.wrong(str(error)) from None
        try:
            offsets.finish()
        except ValueError as error:
            raise source.wrong(str(error)) from None

    return Format(name, platform, export, knows, read, lacks_dates)


def get(value: object, *keys: str) -> object:
    """Return what an object holds under keys, one in the other; None where it does not."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def get_text(value: object, *keys: str) -> str:
    """Return the text that an object holds, "" where it holds none."""
    found = get(value, *keys)
    return found if isinstance(found, str) else ""


def get_list(value: object, *keys: str) -> list[object]:
    """Return the list that an object holds, an empty one where it holds none."""
    found = get(value, *keys)
    return found if isinstance(found, list) else []


def skip_reactions(item: JsonObject, gathering: Gathering) -> None:
    """Note how many reacted to a message, where it is not told when."""
    for each in get_list(item, "reactions"):
        count = get(each, "count")
        gathering.skip("reactions that tell no time", count if isinstance(count, int) and count > 0 else 1)


def person(gathering: Gathering, *keys: object) -> str | None:
    """Return the pseudonym of whoever goes by the first of the keys that is there, None where none is."""
    key = next((key for key in keys if isinstance(key, str | int) and not isinstance(key, bool) and key != ""), None)
    return None if key is None else gathering.person(("name", str(key)))


def number(value: object) -> float | None:
    """Return a number, also one that is written as text, as YouTube does; None where it is none."""
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e19 else None


def read_stamp(value: object) -> datetime | None:
    """Return a moment: a text with its offset, or a number since 1970, the size of which tells its unit.

    None where there is none. Raises ValueError for what is none.

    >>> len({read_stamp(stamp) for stamp in (1772618400, "1772618400000", 1772618400000000, "2026-03-04T10:00:00Z")})
    1
    """
    if value is None or value == "":
        return None
    stamp = number(value)
    if stamp is not None:
        unit = next((unit for most, unit in UNITS if abs(stamp) < most), None)
        if unit is None:
            raise ValueError(NO_TIME)
        try:
            return EPOCH + timedelta(microseconds=round(stamp / unit * 1e6))
        except (OverflowError, ValueError):
            raise ValueError(NO_TIME) from None
    if not isinstance(value, str):
        raise ValueError(NO_TIME)
    try:
        return read_moment(value)
    except ValueError:
        return read_date(value, UTC)


def is_repeat(gathering: Gathering, key: object) -> bool:
    return gathering.is_repeat(str(key) if isinstance(key, str | int) and key != "" else None)
