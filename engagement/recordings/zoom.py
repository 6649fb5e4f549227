"""Read what Zoom exports: the attendee report of a webinar or meeting (CSV), and the saved chat (text). Pure."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from engagement.recordings.dates import Undated, is_day_first, read_clock, read_date
from engagement.recordings.recording import Gathering
from engagement.recordings.source import LINE_HEAD, Source

JOIN, LEAVE, END = "join time", "leave time", "end time"
MEETING = "the meeting itself"  # the section above those who attended, in the report of a meeting
NAMES = ("user name (original name)", "name (original name)", "user name", "name")
EMAILS = ("email", "user email", "e-mail")
DELIMITERS = ",;\t"
MAX_ROW_LINES = 100
MAX_NAME = 200
TELLS_NO_DATE = "tells no date: give the planned start, or choose the attendee report along with it"

# 18:21:17 From NAME to Everyone: …   2026-03-02 18:21:17 From NAME to Everyone:   18:21:17 \t From NAME : …
SAVED_CHAT = re.compile(r"(?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d:\d\d)\s+From\s+")
CLOUD_CHAT = re.compile(r"(\d{1,3}:\d\d:\d\d)\t ?([^\t]+?):\t(.*)")  # of a cloud recording: counts from its start
PRIVATE = re.compile(r"\((direct message|privately)\)", re.IGNORECASE)
ORIGINAL_NAME = re.compile(r"(.+?) *\([^()]*\)")


def is_attendee_header(line: str) -> bool:
    """Tell whether a line names the columns of an attendee report.

    >>> is_attendee_header("Attended,User Name (Original Name),Email,Join Time,Leave Time")
    True
    """
    return JOIN in line[:5000].lower() and LEAVE in line[:5000].lower()


def is_chat_line(line: str) -> bool:
    """Tell whether a line is one of a chat export.

    >>> is_chat_line("18:21:17 From Guest One to Everyone: hello"), is_chat_line("00:01:02\\tGuest One:\\thello")
    (True, True)
    """
    return _head(line) is not None


@dataclass(frozen=True, slots=True)
class _Head:
    date: str | None
    clock: str
    name: str
    to: str
    text: str  # the beginning of the message, where it follows in the same line


def _head(line: str) -> _Head | None:
    line = line[:LINE_HEAD]
    if cloud := CLOUD_CHAT.match(line):
        return _Head(None, cloud[1], cloud[2].strip(), "", cloud[3])
    saved = SAVED_CHAT.match(line)
    people, colon, text = line[saved.end() :].partition(":") if saved else ("", "", "")
    if not (saved and colon):
        return None
    people = " ".join(people.split())
    between = people.lower().rfind(" to ")
    name, to = (people, "") if between < 0 else (people[:between], people[between + 4 :])
    return _Head(saved[1], saved[2], name, to, text)


@dataclass(frozen=True, slots=True)
class _Stay:
    line: int
    user: str
    join: str
    leave: str


def read_attendees(source: Source, gathering: Gathering) -> None:
    """Gather who came and went; one row is one stay, and who comes back has several.

    The report has several tables (host, panelists, attendees, people by telephone), each with its own columns.
    """
    stays: list[_Stay] = []
    ends: list[tuple[int, str]] = []  # when the host left, or the meeting ended
    for section, row in _rows(source):
        if section == MEETING:
            ends += [(source.where, row[END])] if row[END] else []
            continue
        stay = _read_stay(source, row, gathering)
        if stay is not None:
            stays.append(stay)
            if section.startswith("host"):
                ends.append((stay.line, stay.leave))
    day_first = is_day_first(text for stay in stays for text in (stay.join, stay.leave))
    if day_first is None and stays and re.match(r"\d{1,2}[/-]", stays[0].join):
        gathering.note("Dates such as 03/04 were read as Zoom writes them, the month first.")
    if stays:
        gathering.note_zone()
    dates = _Dates(source, gathering.zone, bool(day_first))
    _gather_stays(stays, dates, gathering)
    if ends:
        gathering.ended_at = max(dates.read(line, text) for line, text in ends)


@dataclass(frozen=True, slots=True)
class _Dates:
    source: Source
    zone: tzinfo
    day_first: bool

    def read(self, line: int, text: str) -> datetime:
        at = read_date(text, self.zone, day_first=self.day_first)
        if at is None:
            self.source.where = line
            raise self.source.wrong("a join or leave time cannot be read, or the line breaks off")
        return at


def _rows(source: Source) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of all tables that we need, by the names of their columns, each with its section."""
    lines = (line.replace("\0", "") for line in source.lines("replace"))
    delimiter, last = ",", LEAVE
    section, columns = "", None
    try:
        for line in _whole_rows(source, lines):
            is_of_meeting = columns is None and END in line[:LINE_HEAD].lower()
            if is_attendee_header(line) or is_of_meeting:
                delimiter = max(DELIMITERS, key=line.count)
                columns = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter))]
                section, last = (MEETING, END) if END in columns and LEAVE not in columns else (section, LEAVE)
                columns = columns if last in columns else None
                continue
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
            filled = sum(map(bool, cells))
            if filled < 2:  # a blank line, or the heading of the next table
                section, columns = (cells[0].lower() if filled else ""), None
            elif columns is not None:
                if len(cells) < min(len(columns), columns.index(last) + 1):
                    raise source.wrong("has fewer columns than its table, or breaks off")
                yield section, dict(zip(columns, cells, strict=False))
    except csv.Error:
        raise source.wrong("is no row of a table") from None


def _whole_rows(source: Source, lines: Iterator[str]) -> Iterator[str]:
    """Join the lines of a row whose quoted cell holds line ends."""
    pending: list[str] = []
    is_open = False
    for line in lines:
        pending.append(line)
        is_open ^= line.count('"') % 2 == 1
        if not is_open:
            yield "\n".join(pending)
            pending = []
        elif len(pending) > MAX_ROW_LINES:
            break
    if pending:
        raise source.wrong("a quoted cell does not end")


def _read_stay(source: Source, row: dict[str, str], gathering: Gathering) -> _Stay | None:
    name = next((row[column] for column in NAMES if row.get(column)), "")
    email = next((row[column].lower() for column in EMAILS if row.get(column)), "")
    name, email = name[:MAX_NAME], email[:MAX_NAME]
    join, leave = row[JOIN], row[LEAVE]
    if row.get("attended", "").lower() == "no" or join in ("", "--"):
        gathering.skip("people who registered and did not come")
        return None
    if not (name or email):
        gathering.skip("stays of nobody")
        return None
    aliases = [("name", name)] if name else []
    if found := ORIGINAL_NAME.fullmatch(name):  # the chat uses the name that was shown
        aliases.append(("name", found[1]))
    key, *others = ([("email", email)] if email else []) + aliases
    return _Stay(source.where, gathering.person(key, *others), join, leave)


def _gather_stays(stays: list[_Stay], dates: _Dates, gathering: Gathering) -> None:
    """Add a join and a leave for each stretch in which a person was there, on one device or on several."""
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for stay in stays:
        join, leave = dates.read(stay.line, stay.join), dates.read(stay.line, stay.leave)
        if leave < join:
            gathering.skip("stays that end before they begin")
        else:
            spans.setdefault(stay.user, []).append((join, leave))
    try:
        for user, found in spans.items():
            for join, leave in _merged(found):
                gathering.add("join", join, user)
                gathering.add("leave", leave, user)
    except ValueError as error:
        raise dates.source.wrong(str(error)) from None


def _merged(spans: list[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, datetime]]:
    """Yield the stretches that spans cover together. A reconnect in the same second stays a leave and a join.

    >>> list(_merged([(1, 4), (2, 3), (4, 6), (8, 9)]))
    [(1, 4), (4, 6), (8, 9)]
    """
    begin, end = None, None
    for join, leave in sorted(spans):
        if begin is None or end is None or join >= end:
            if begin is not None and end is not None:
                yield begin, end
            begin, end = join, leave
        else:
            end = max(end, leave)
    if begin is not None and end is not None:
        yield begin, end


@dataclass(slots=True)
class _Message:
    at: datetime
    user: str
    text: str  # only as much as tells a message from a reaction, and only until the next line


def read_chat(source: Source, gathering: Gathering) -> None:
    """Gather the public messages and the reactions to them; what was said is looked at once and dropped."""
    calendar = _Calendar(source, gathering)
    waiting: _Message | None = None
    for line in source.lines("replace"):
        head = _head(line)
        if head is not None:
            _gather_message(source, waiting, gathering)
            at = calendar.place(head)
            waiting = _Message(at, gathering.person(("name", head.name)), head.text.strip()[:20])
            if PRIVATE.search(head.to):
                gathering.skip("private messages")
                waiting = None
        elif waiting is not None and not waiting.text:  # newer exports write the message under its head
            waiting.text = line.strip()[:20]
    _gather_message(source, waiting, gathering)
    gathering.note_zone()


class _Calendar:
    """Dates the heads of messages."""

    def __init__(self, source: Source, gathering: Gathering):
        self._source, self._gathering = source, gathering
        self._undated: Undated | None = None

    def place(self, head: _Head) -> datetime:
        if head.date:
            at = read_date(f"{head.date} {head.clock}", self._gathering.zone)
        else:
            clock = read_clock(head.clock)
            at = None if clock is None else self._place_clock(clock)
        if at is None:
            raise self._source.wrong("a time cannot be read")
        return at

    def _place_clock(self, clock: timedelta) -> datetime:
        if self._undated is None:
            if self._gathering.anchor is None:
                raise self._source.wrong(TELLS_NO_DATE)
            self._undated = Undated(self._gathering.anchor, self._gathering.zone)
        return self._undated.place(clock)


def _gather_message(source: Source, message: _Message | None, gathering: Gathering) -> None:
    if message is None:
        return
    try:
        if message.text.startswith("Reacted to "):
            gathering.add("reaction", message.at, message.user)
        elif message.text.startswith("Removed a "):
            gathering.skip("reactions that were taken back")
        else:
            gathering.add("chat", message.at, message.user)
    except ValueError as error:
        raise source.wrong(str(error)) from None
