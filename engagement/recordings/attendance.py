"""Read attendance reports: who joined and left, whatever the platform, the language and the file. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import islice

from engagement.recordings.date_order import Clues, DateOrder, find_order
from engagement.recordings.date_words import is_day_first_in
from engagement.recordings.dates import Written, read_time_of_day, read_written
from engagement.recordings.endings import find_end
from engagement.recordings.formats import Format, Look
from engagement.recordings.guessing import LOOKED_AT, guess_columns, guess_table, is_header
from engagement.recordings.recording import MAX_SPAN, Gathering, UnknownColumns
from engagement.recordings.source import Source
from engagement.recordings.stays import Span, Stay, find_span, gather_stays
from engagement.recordings.tables import Row, read_rows
from engagement.recordings.vocabulary import Columns, Kind, Vocabulary, find_kind, load, normal

PLATFORMS = ("zoom", "teams", "webex", "meet", "gotowebinar", "bigbluebutton")
MAX_NAME = 200
MAX_STAYS = 500_000
NUMBERED = re.compile(r"\d\. \S")  # Teams numbers its tables, in every language
ORIGINAL_NAME = re.compile(r"(.+?) *\([^()]*\)")
LENGTH = re.compile(r"(?:(\d+):)?(\d+):(\d\d)")
NOT_THERE = ("", "--", "-", "—", "n/a")
NO = {"no", "nein", "non", "não", "nej", "nie", "нет", "ні", "否", "いいえ", "아니요", "hayır", "không", "tidak"}
TELLS_NO_DATE = "tells the time of the day and no date: give the planned start"
WRONG_TIME = "a join or leave time cannot be read, or the line breaks off"
ENDS_TOGETHER = timedelta(minutes=5)  # so long before the end that is told people may leave because of it


def find_platform(look: Look) -> str | None:
    """Return whose report a file is: "other" for one that nobody knows, None for no report at all."""
    if look.is_json or look.start.startswith("<"):
        return None
    scores = {platform: _score(look.rows, load(platform)) for platform in PLATFORMS}
    best = max(PLATFORMS, key=lambda platform: scores[platform])
    if scores[best]:
        return best
    is_of_totals = any(load("zoom").read_header(row).kind is Kind.TOTALS for row in look.rows)
    if is_of_totals or guess_columns(look.rows) is None:
        return None
    return "teams" if sum(bool(row and NUMBERED.match(row[0])) for row in look.rows) > 1 else "other"


def _score(rows: Sequence[Row], vocabulary: Vocabulary) -> int:
    """Return how many names of a platform stand in the first rows, 0 where none of these names a table that we read."""
    headers = [
        header for row in rows if not any(map(read_written, row)) and (header := vocabulary.read_header(row)).kind
    ]
    labels = [
        row[0] for row in rows if len(row) > 1 and sum(map(bool, row)) == 2 and vocabulary.read_header(row[:1]).known
    ]
    is_readable = any(header.kind not in (Kind.ABOUT, Kind.TOTALS) for header in headers)
    return sum(header.known for header in headers) + len(labels) if is_readable else 0


def report_of(platform: str) -> Format:
    """Return the format of a platform's attendance reports; all of it is in its vocabulary."""
    words = load(platform)
    return Format(
        name=words.title,
        platform=words.platform,
        export=words.export,
        knows=lambda look: look.once(find_platform) == platform,
        read=lambda source, gathering: _Reading(source, gathering, words).read(),
        may_lack_dates=words.lacks_dates,
    )


OTHER = Format(
    name="attendance list",
    platform="Others",
    export="A table of who joined and left (CSV or .xlsx), whatever wrote it and in which language.",
    knows=lambda look: look.once(find_platform) == "other",
    read=lambda source, gathering: _Reading(source, gathering, load("zoom")).read(),
)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    place: str
    row: Row


@dataclass(frozen=True, slots=True)
class _Action:
    line: int
    name: str
    email: str
    action: str
    at: str


class _Reading:
    """One report that is being read, table by table; the words of one stay for people, and go with this object."""

    def __init__(self, source: Source, gathering: Gathering, words: Vocabulary):
        self._source, self._gathering, self._words = source, gathering, words
        self._columns: Columns | None = None
        self._section = ""
        self._locales: set[str] = set()
        self._has_known_table = False
        self._stays: list[Stay] = []
        self._coarse: list[Stay] = []
        self._actions: list[_Action] = []
        self._starts: dict[str, int] = {}  # moments of the meeting itself, as they are written, and their lines
        self._ends: dict[str, int] = {}
        self._ends_after: list[tuple[str, float]] = []
        self._unread: Row | None = None  # the header of a table whose columns nobody knows
        self._places: dict[int, str] = {}

    def read(self) -> None:
        lines = self._lines()
        first = list(islice(lines, 2 * LOOKED_AT))
        headers = [self._words.read_header(line.row) for line in first]
        self._has_known_table = any(each.kind in (Kind.STAYS, Kind.COARSE, Kind.ACTIONS) for each in headers)
        ahead = first
        while ahead:
            line = ahead.pop(0)
            ahead += islice(lines, 1)
            self._take(line, ahead)
        self._finish()

    def _lines(self) -> Iterator[_Line]:
        for row in read_rows(self._source):
            yield _Line(self._source.where, self._source.place, row)

    def _take(self, line: _Line, ahead: list[_Line]) -> None:
        self._source.where, self._source.place = line.number, line.place
        header = self._header(line.row, ahead)
        filled = sum(map(bool, line.row))
        if header is not None:
            self._columns = header if header.kind is not None else None
            self._locales |= {header.locale} - {""}
        elif filled < 2:  # a blank line, or the heading of the next table
            self._section, self._columns = (line.row[0].lower() if filled and line.row[0] else ""), None
        elif self._columns is None:
            self._take_summary(line)
        else:
            self._take_row(line, self._columns)

    def _header(self, row: Row, ahead: list[_Line]) -> Columns | None:
        """Return the columns that a row names, None where it names none."""
        if self._gathering.columns and (mapped := _map_columns(row, self._gathering.columns)) is not None:
            return mapped
        if self._has_known_table:
            known = self._words.read_header(row)
            is_row = any(map(read_written, row))
            return known if known.kind is not None and known.known > 1 and not is_row else None
        if self._columns is None and is_header(row) and not self._gathering.columns:
            guessed = guess_table(row, [each.row for each in ahead[:LOOKED_AT]])
            if guessed is not None and guessed.kind is None:
                self._unread = row
            is_coarse = guessed is not None and self._section.startswith("2.")
            return Columns(guessed.fields, "", Kind.COARSE, 0) if guessed and is_coarse else guessed
        return None

    def _take_summary(self, line: _Line) -> None:
        """Take a line such as "End time", which tells of the meeting itself; in an unknown language the second one."""
        label, value = [cell for cell in line.row if cell][:2]
        if read_written(value) is None:
            return
        field = self._words.read_header([label]).fields[0]
        if not self._has_known_table:
            field = "end" if self._starts else "start"
        if field == "end":
            self._ends.setdefault(value, line.number)
        elif field == "start":
            self._starts.setdefault(value, line.number)

    def _take_row(self, line: _Line, columns: Columns) -> None:
        last = max(place for place, field in enumerate(columns.fields) if field)
        needed = max(
            (place for place, field in enumerate(columns.fields) if field in ("left", "last_left", "at", "end")),
            default=last,
        )
        if len(line.row) <= needed and columns.kind is not Kind.TOTALS:
            raise self._source.wrong("has fewer columns than its table, or breaks off")
        cells = columns.cells(line.row)
        self._note_meeting(line, cells)
        if columns.kind is Kind.ACTIONS:
            self._take_action(line, cells)
        elif columns.kind in (Kind.STAYS, Kind.COARSE):
            self._take_stay(line, cells, columns.kind)

    def _note_meeting(self, line: _Line, cells: dict[str, str]) -> None:
        start, end = cells.get("start", ""), cells.get("end", "")
        if end and read_written(end):
            self._ends.setdefault(end, line.number)
        if start and read_written(start):
            self._starts.setdefault(start, line.number)
            minutes = read_minutes(cells.get("duration", ""))
            if not end and minutes and "joined" not in cells:
                self._ends_after.append((start, minutes))

    def _take_stay(self, line: _Line, cells: dict[str, str], kind: Kind) -> None:
        fields = ("joined", "left") if kind is Kind.STAYS else ("first_joined", "last_left")
        joined, left = (
            cells.get(field) or cells.get(other, "") for field, other in zip(fields, ("joined", "left"), strict=True)
        )
        if cells.get("attended", "").casefold() in NO or joined in NOT_THERE:
            self._gathering.skip("people who registered and did not come")
            return
        name, email = _person(cells)
        if not (name or email):
            self._gathering.skip("stays of nobody")
            return
        original = ORIGINAL_NAME.fullmatch(name)  # the chat uses the name that was shown
        aliases = (original[1],) if original else ()
        minutes = read_minutes(cells.get("duration", "")) if kind is Kind.STAYS else None
        self._remember(line)
        (self._stays if kind is Kind.STAYS else self._coarse).append(
            Stay(line.number, name, email, aliases, joined, left, minutes)
        )
        if self._section.startswith("host"):
            self._ends.setdefault(left, line.number)

    def _take_action(self, line: _Line, cells: dict[str, str]) -> None:
        name, email = _person(cells)
        if not (name or email):
            self._gathering.skip("stays of nobody")
            return
        self._remember(line)
        self._actions.append(_Action(line.number, name, email, cells.get("action", ""), cells.get("at", "")))

    def _remember(self, line: _Line) -> None:
        if len(self._stays) + len(self._coarse) + len(self._actions) >= MAX_STAYS:
            raise self._source.wrong(f"more than {MAX_STAYS:,} stays: split the recording")
        if line.place:
            self._places[line.number] = line.place

    def _finish(self) -> None:
        stays = self._stays or self._coarse
        if self._unread is not None and not (stays or self._actions):
            raise UnknownColumns(self._source.name, [cell for cell in self._unread if cell])
        if self._coarse and not self._stays:
            self._gathering.note("The report says when each person joined first and left last, and not who was away.")
        calendar = _Calendar(self._source, self._gathering, self._places)
        texts = [text for stay in stays for text in (stay.joined, stay.left)] + [each.at for each in self._actions]
        if stays or self._actions:
            self._gathering.note_zone()
        calendar.find_order(texts, [*self._starts, *self._ends], self._locales)
        try:
            spans = self._gather(stays, calendar)
        except ValueError as error:
            raise self._source.wrong(str(error)) from None
        self._find_end(spans, calendar)

    def _gather(self, stays: Sequence[Stay], calendar: "_Calendar") -> list[Span]:
        if self._actions:
            return self._gather_actions(calendar)
        known, spans = [], []
        for stay in stays:
            span = calendar.span(stay)
            if span is None:
                self._gathering.skip("stays that end before they begin")
            else:
                known.append(stay)
                spans.append(span)
        gather_stays(known, spans, self._gathering)
        return spans

    def _gather_actions(self, calendar: "_Calendar") -> list[Span]:
        """Add who joined and left from a list of both. Who joins twice was away without a word of it."""
        dated = sorted(((calendar.moment(each.line, each.at), place, each) for place, each in enumerate(self._actions)))
        leaves = _leaving(dated_action for _, _, dated_action in dated) | self._phrases("left")
        joins = self._phrases("joined")
        here: dict[str, datetime] = {}
        spans: list[Span] = []
        for at, _, each in dated:
            user = self._gathering.person(
                ("email", each.email) if each.email else ("name", each.name), ("name", each.name)
            )
            is_leave = normal(each.action) in leaves and normal(each.action) not in joins
            if is_leave and user in here:
                spans.append((here.pop(user), at))
                self._gathering.add("leave", at, user)
            elif not is_leave and user not in here:
                here[user] = at
                self._gathering.add("join", at, user)
            else:
                self._gathering.skip(
                    "leaves of somebody who was not there" if is_leave else "joins of somebody who was there"
                )
        return [] if here else spans

    def _phrases(self, which: str) -> set[str]:
        of = self._words.phrases.get("actions", {})
        return {normal(phrase) for phrases in of.values() for phrase in phrases[which]}

    def _find_end(self, spans: list[Span], calendar: "_Calendar") -> None:
        told = [calendar.moment(line, text) for text, line in self._ends.items()]
        told += [calendar.moment(0, text) + timedelta(minutes=minutes) for text, minutes in self._ends_after]
        if spans:  # of another day it is the end of another meeting, or was changed by hand
            last = max(left for _, left in spans)
            told = [end for end in told if abs(end - last) <= MAX_SPAN]
        together = find_end(spans)
        if told:
            end = max(told)
            is_close = together is not None and abs(end - together) <= ENDS_TOGETHER
            self._gathering.ended_at = min(end, together) if is_close and together is not None else end


class _Calendar:
    """Reads the moments of a report in the order of its dates, which all of them tell together."""

    def __init__(self, source: Source, gathering: Gathering, places: dict[int, str]):
        self._source, self._gathering, self._places = source, gathering, places
        self._zone: tzinfo = gathering.zone
        self._day_first = False

    def find_order(self, texts: Iterable[str], of_meeting: Iterable[str], locales: set[str]) -> None:
        dates = [written for text in texts if (written := read_written(text)) is not None]
        about = [written for text in of_meeting if (written := read_written(text)) is not None]
        in_words = [moment for each in about if not each.is_plain and (moment := each.moment(self._zone)) is not None]
        usual = {usual for locale in locales if (usual := is_day_first_in(locale)) is not None}
        starts_at = self._gathering.starts_at
        clues = Clues(
            chosen=self._gathering.date_order,
            around=[*in_words, *([starts_at] if starts_at is not None else [])],
            now=self._gathering.now,
            is_day_first_usual=usual.pop() if len(usual) == 1 else None,
        )
        found = find_order([*dates, *(each for each in about if each.is_plain)], clues, self._zone)
        if found is not None:
            self._day_first = found.order is DateOrder.DAY_FIRST
            self._gathering.take_dates(found)

    def span(self, stay: Stay) -> Span | None:
        joined, left = read_written(stay.joined), read_written(stay.left)
        if joined is None or left is None:
            begin, end = self.moment(stay.line, stay.joined), self.moment(stay.line, stay.left)
            return (begin, end) if begin <= end else None
        for written in (joined, left):
            self._at(stay.line, written)
        return find_span(joined, left, stay.minutes, self._zone, day_first=self._day_first)

    def moment(self, line: int, text: str) -> datetime:
        """Return a moment that is written in a line. Raises `BadRecording`."""
        written = read_written(text)
        return self._of_day(line, text) if written is None else self._at(line, written)

    def _at(self, line: int, written: Written) -> datetime:
        at = written.moment(self._zone, day_first=self._day_first)
        if at is None:
            raise self._wrong(line, WRONG_TIME)
        return at

    def _of_day(self, line: int, text: str) -> datetime:
        """Return a moment of which only the time of the day is told, as near to the planned start as there is one."""
        clock = read_time_of_day(text)
        if clock is None:
            raise self._wrong(line, WRONG_TIME)
        anchor = self._gathering.anchor
        if anchor is None:
            raise self._wrong(line, TELLS_NO_DATE)
        midnight = anchor.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        days = (midnight + timedelta(days=n) + clock for n in (-1, 0, 1))
        return min(days, key=lambda at: abs(at - anchor))

    def _wrong(self, line: int, reason: str) -> Exception:
        self._source.where, self._source.place = line, self._places.get(line, "")
        return self._source.wrong(reason)


def _person(cells: dict[str, str]) -> tuple[str, str]:
    name = cells.get("name") or " ".join(filter(None, (cells.get("first_name"), cells.get("last_name"))))
    email = cells.get("email", "").lower()[:MAX_NAME]
    return name[:MAX_NAME], email if "@" in email else ""  # "n/a" would make one person of everybody


def _leaving(actions: Iterable[_Action]) -> set[str]:
    """Return what is said of who leaves, by the order of what is said of people: nobody begins with it."""
    first: dict[str, str] = {}
    seen: set[str] = set()
    for each in actions:
        seen.add(normal(each.action))
        first.setdefault(each.email or each.name, normal(each.action))
    return seen - {*first.values()}


def _map_columns(row: Row, chosen: Mapping[str, str]) -> Columns | None:
    """Return the columns of a row that names all those which somebody chose."""
    of = {normal(name): field for field, name in chosen.items()}
    fields = tuple(of.get(normal(cell), "") for cell in row)
    return Columns(fields, "", find_kind(fields), len(of)) if {*of.values()} <= {*fields} else None


def read_minutes(text: str) -> float | None:
    """Return how long a stay was: 60, 25 mins, 0:30:00, 1h 2m 3s; None where the text does not say it.

    >>> [read_minutes(text) for text in ("60", "25 mins", "0:30:00", "1h 2m 30s", "-")]
    [60.0, 25.0, 30.0, 62.5, None]
    """
    text = text.strip()
    if found := LENGTH.fullmatch(text):
        return (
            int(found[1] or 0) * 60 + int(found[2]) + int(found[3]) / 60
            if found[1]
            else int(found[2]) * 60.0 + int(found[3])
        )
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([^\W\d_]*)", text)
    if len(parts) == 1 and (not parts[0][1] or parts[0][1].lower().startswith(("m", "分", "분", "мин"))):
        return float(parts[0][0])
    units = {"h": 60.0, "m": 1.0, "s": 1 / 60}
    known = [(float(number), units.get(unit[:1].lower())) for number, unit in parts]
    if not known or any(unit is None for _, unit in known):
        return None
    return sum(number * unit for number, unit in known if unit is not None)
