"""Read the logs of IRC clients: HexChat, WeeChat, irssi, mIRC, Textual, ZNC, and Chatty for Twitch. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo

from engagement.recordings.dates import Written, read_clock, read_date, read_written
from engagement.recordings.formats import Format, Look
from engagement.recordings.recording import Gathering
from engagement.recordings.source import LINE_HEAD, Source
from engagement.recordings.undated import Undated

TELLS_NO_DATE = "tells no date: give the planned start"
OPENING = re.compile(
    r"(?:\*{4} BEGIN LOGGING AT|--- Log opened|--- Day changed|# Log started:|Session Start:|Session Time:) ?(.+)"
)
CLOSING = re.compile(r"\*{4} ENDING LOGGING|--- Log closed|# Log closed|Session Close:")
MONTH_DAY = r"[^\W\d]{3,5}\.? \d{1,2}"
COLOURS = re.compile(r"\x03(?:\d{1,2}(?:,\d{1,2})?)?|[\x02\x0f\x11\x16\x1d\x1e\x1f]")  # mIRC keeps them in its logs
STAMP = re.compile(
    rf"\[?(?:(?P<date>\d{{4}}-\d\d-\d\d|{MONTH_DAY})[ T])?(?P<clock>\d{{1,2}}:\d\d(?::\d\d)?)"
    r"(?P<offset>[+-]\d\d:?\d\d)?\]?"
    r"(?P<between>\t| +)(?P<rest>.+)"
)
SPOKEN = re.compile(r"<[ ~&@%+!]*([^\s<>]{1,60})>(?:\s|$)|\* ([^\s*]{1,60}) \S|• ([^\s:]{1,60}):\s")
WEECHAT = re.compile(r"[ ~&@%+]*([^\s\t<>]{1,60})\t(.*)")
NO_NICK = {"-->", "<--", "--", "=!=", "*", "***", "-!-"}
NOTICE = re.compile(  # which mIRC and botbot begin as they do what somebody does
    r"(?:\* |-!- )?(?:Now talking|Topic is|Set by|Joins:|Parts:|Quits:|Disconnected|Rejoined|Attempting|Retrieving|"
    r"[^\s<]\S* (?:[(\[]\S+@\S+[)\]] |(?:has )?(?:joined|left) (?:the channel|IRC|[#&+!]\S)|has (?:joined|left|quit)\b|"
    r"sets mode|change[sd] (?:the )?topic|is now known as|was kicked by|has been kicked))"
)
LEAST_LINES = 2


@dataclass(frozen=True, slots=True)
class _Line:
    date: str | None
    clock: str
    nick: str | None  # None where nobody speaks
    is_notice: bool = False  # of who came and went, and of the room


def _split(line: str) -> _Line | None:
    """Return what a line tells, None for one without a time.

    >>> _split("Mar 04 10:00:00 <guest>\\thello").nick, _split("2026-03-04 10:00:00\\t@guest\\thello").nick
    ('guest', 'guest')
    >>> _split("[10:00] -!- guest [~g@example.org] has joined #room").nick is None, _split("hello")
    (True, None)
    """
    found = STAMP.match(COLOURS.sub("", line[:LINE_HEAD]))
    if found is None:
        return None
    rest, clock = found["rest"], found["clock"] + (found["offset"] or "" if found["date"] else "")
    if NOTICE.match(rest.lstrip()):
        return _Line(found["date"], clock, None, is_notice=True)
    spoken = SPOKEN.match(rest.lstrip())
    if spoken is not None:
        return _Line(found["date"], clock, spoken[1] or spoken[2] or spoken[3])
    tabbed = WEECHAT.match(rest) if found["between"] == "\t" else None
    nick = tabbed[1] if tabbed and tabbed[1] not in NO_NICK else None
    if tabbed is not None and tabbed[1] == "*":  # "* somebody waves"
        nick = tabbed[2].split(" ")[0] or None
    return _Line(found["date"], clock, nick)


def _knows(look: Look) -> bool:
    lines = [line for line in map(_split, look.lines) if line is not None]
    told = [line for line in lines if line.nick is not None or line.is_notice]  # a quiet room's are notices
    is_opened = any(map(OPENING.match, look.lines[:10]))
    is_dated = len([line for line in told if line.date]) >= LEAST_LINES
    return bool(told) and (is_opened or is_dated) and len(told) * 3 >= len(lines)


def _read(source: Source, gathering: Gathering) -> None:
    calendar = _Calendar(gathering)
    for line in source.lines("replace"):
        opening = OPENING.match(line[:LINE_HEAD])
        if opening is not None:
            calendar.open(opening[1])
            continue
        found = _split(line)
        if found is None:
            if line.strip() and not CLOSING.match(line):
                gathering.skip("lines that are no message")
            continue
        try:
            at = calendar.place(found)
            if found.nick is None:  # who was there before the log began, nobody knows: so nor how many there are
                gathering.skip("lines of who came and went, and other notices")
            else:
                gathering.add("chat", at, gathering.person(("name", found.nick)))
        except ValueError as error:
            raise source.wrong(str(error)) from None
    calendar.note_zone()


class _Calendar:
    """Dates the lines by what they say themselves, and else by the last line that told when the log was opened."""

    def __init__(self, gathering: Gathering):
        self._gathering = gathering
        self._zone: tzinfo = gathering.zone
        self._opened: Written | None = None
        self._undated: Undated | None = None
        self._names_no_zone = False

    def open(self, text: str) -> None:
        """Take when the log was opened, or the day that began."""
        written = read_written(text.strip()) or read_written(f"{text.strip()} 00:00:00")
        if written is None:
            return
        self._opened = written
        if written.offset is not None:
            self._zone = timezone(written.offset)
        at = written.moment(self._zone)
        self._undated = Undated(at, self._zone) if at is not None else None

    def place(self, line: _Line) -> datetime:
        """Return the moment of a line. Raises ValueError where there is none."""
        self._names_no_zone |= self._zone is self._gathering.zone
        at = self._place_dated(line) if line.date else self._place_clock(line.clock)
        if at is None:
            raise ValueError("a time cannot be read")
        return at

    def _place_dated(self, line: _Line) -> datetime | None:
        date = str(line.date)
        if date[0].isdigit():
            return read_date(f"{date} {line.clock}", self._zone)
        anchor = self._opened.year if self._opened else self._gathering.anchor and self._gathering.anchor.year
        if not anchor:
            raise ValueError("tells no year: give the planned start")
        return read_date(f"{date}, {anchor} {line.clock}", self._zone)

    def _place_clock(self, clock: str) -> datetime | None:
        if self._undated is None:
            if self._gathering.anchor is None:
                raise ValueError(TELLS_NO_DATE)
            self._undated = Undated(self._gathering.anchor, self._zone)
        time = read_clock(clock if clock.count(":") == 2 else f"{clock}:00")
        return None if time is None else self._undated.place(time)

    def note_zone(self) -> None:
        if self._names_no_zone:
            self._gathering.note_zone()


FORMAT = Format(
    name="IRC log",
    platform="IRC",
    export="The log of a channel by HexChat, WeeChat, irssi, mIRC, Textual, ZNC or Chatty.",
    knows=_knows,
    read=_read,
    may_lack_dates=True,
)
