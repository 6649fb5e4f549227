"""What a format is, and the look of a file by which it is known. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeVar, cast

from engagement.recordings import documents, tables
from engagement.recordings.recording import Gathering
from engagement.recordings.source import Source

LOOKED_AT = 100  # lines of a text, or rows of a table, until one says what it is
Found = TypeVar("Found")


class Look:
    """The first bytes of a file, as text, as lines, as the objects or the rows in it."""

    def __init__(self, source: Source):
        self.name = source.name
        self._source = source
        self._found: dict[Callable[[Look], object], object] = {}
        self.bytes = source.head
        self.is_spreadsheet = tables.is_spreadsheet(source.head)
        self.text = "" if self.is_spreadsheet else source.head.decode(source.encoding, "replace").removeprefix("\ufeff")

    @cached_property
    def start(self) -> str:
        return self.text.lstrip()

    @cached_property
    def lines(self) -> list[str]:
        """The first lines that are not blank."""
        return [line for line in self.text.splitlines() if line.strip()][:LOOKED_AT]

    @cached_property
    def rows(self) -> list[tables.Row]:
        """The first rows, if it is a table; of a spreadsheet, too."""
        if not self.is_spreadsheet:
            return tables.split_lines(self.lines)
        try:
            return [row for row in islice(tables.read_rows(self._source), LOOKED_AT) if any(row)]
        finally:
            self._source.where, self._source.place = 0, ""

    def once(self, find: "Callable[[Look], Found]") -> Found:
        """Return what a function finds in it, which is looked for once."""
        if find not in self._found:
            self._found[find] = find(self)
        return cast(Found, self._found[find])

    @cached_property
    def is_json(self) -> bool:
        return documents.is_json(self.start)

    @cached_property
    def items(self) -> list[dict[str, object]]:
        """The first objects of a JSON document or of JSON Lines, as far as they are whole."""
        return documents.first_items(self.start) if self.is_json else []


@dataclass(frozen=True, slots=True)
class Format:
    """A format of recordings, and all that is said of it.

    `name` is what a recording is called that was read as one, `platform` where it comes from, and `export` which file
    that is and how one gets it, in a sentence for people. `knows` tells by its look whether a file is one; `read`
    gathers what it holds, or raises `BadRecording`. Where it `may_lack_dates` the others of a session are read before
    it, as they may date it.
    """

    name: str
    platform: str
    export: str
    knows: Callable[[Look], bool]
    read: Callable[[Source, Gathering], None]
    may_lack_dates: bool = False
