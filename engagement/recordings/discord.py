"""Read a channel as DiscordChatExporter stores it, as JSON or as a table. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engagement.recordings.date_order import Clues, DateOrder, find_order
from engagement.recordings.dates import Written, read_written
from engagement.recordings.documents import JsonObject
from engagement.recordings.formats import Format, Look
from engagement.recordings.messages import Offsets, chat_format, get, is_repeat, person, read_stamp, skip_reactions
from engagement.recordings.recording import Gathering
from engagement.recordings.source import Source
from engagement.recordings.tables import read_rows
from engagement.recordings.vocabulary import normal

COLUMNS = ("messageid", "authorid", "author", "date", "content", "attachments", "reactions")
NEEDED = {"authorid", "author", "date", "content"}
COUNTED = re.compile(r"\((\d{1,9})\)")  # behind each emoji
TELLS_LESS = "A table tells no bots and no notices apart: export the channel as JSON to leave them out."
UNREADABLE_DATE = "a date cannot be read: export the channel again as JSON"
SPOKEN = {"Default", "Reply", "ChatInputCommand", "ThreadStarterMessage", "0", "19", "20", "21"}


def _looks(item: JsonObject) -> bool:
    return isinstance(item.get("timestamp"), str) and "content" in item and isinstance(item.get("author"), dict)


def _take(item: JsonObject, offsets: Offsets, gathering: Gathering) -> None:
    if is_repeat(gathering, item.get("id")):
        return
    if str(item.get("type", "Default")) not in SPOKEN:
        gathering.skip("notices of the platform")
    elif get(item, "author", "isBot") is True:
        gathering.skip("messages of bots")
    else:
        at = read_stamp(item.get("timestamp")) or offsets.place(None)
        gathering.add("chat", at, person(gathering, get(item, "author", "id"), get(item, "author", "name")))
        skip_reactions(item, gathering)


FORMAT = chat_format(
    "Discord export",
    "Discord",
    "A channel as DiscordChatExporter stores it (JSON).",
    _looks,
    _take,
)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    written: Written
    user: str | None


def _is_table(look: Look) -> bool:
    names = [normal(cell) for cell in look.rows[0]] if look.rows else []
    return {*names} >= NEEDED and {*names} <= {*COLUMNS}


def _read_table(source: Source, gathering: Gathering) -> None:
    lines = list(_read_lines(source, gathering))
    clues = Clues(
        chosen=gathering.date_order,
        around=[gathering.starts_at] if gathering.starts_at is not None else [],
        now=gathering.now,
    )
    found = find_order([line.written for line in lines], clues, gathering.zone)
    if found is not None:
        gathering.take_dates(found)
    if any(line.written.offset is None for line in lines):  # newer versions write it
        gathering.note_zone()
    for line in lines:
        source.where = line.number
        at = line.written.moment(gathering.zone, day_first=found is not None and found.order is DateOrder.DAY_FIRST)
        if at is None:
            raise source.wrong(UNREADABLE_DATE)
        try:
            gathering.add("chat", at, line.user)
        except ValueError as error:
            raise source.wrong(str(error)) from None
    gathering.note(TELLS_LESS)


def _read_lines(source: Source, gathering: Gathering) -> Iterator[_Line]:
    rows = (row for row in read_rows(source) if any(row))
    names = [normal(cell) for cell in next(rows, [])]
    for row in rows:
        cells = dict(zip(names, row, strict=False))
        if is_repeat(gathering, cells.get("messageid")):
            continue
        written = read_written(cells.get("date", ""))
        if written is None:
            raise source.wrong(UNREADABLE_DATE)
        for count in COUNTED.findall(cells.get("reactions", "")):
            gathering.skip("reactions that tell no time", int(count))
        yield _Line(source.where, written, person(gathering, cells.get("authorid"), cells.get("author")))


TABLE = Format(
    name="Discord export (table)",
    platform="Discord",
    export="A channel as DiscordChatExporter stores it as CSV, which tells no bots apart.",
    knows=_is_table,
    read=_read_table,
)
