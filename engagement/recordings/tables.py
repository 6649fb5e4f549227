"""The rows of a table: of a CSV with any delimiter and in any encoding, or of a spreadsheet. Pure."""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import BinaryIO

from engagement.recordings.recording import BadRecording
from engagement.recordings.source import Source

DELIMITERS = "\t;,"
MAX_ROW_LINES = 100
MAX_CELL = 1000  # characters that are kept of one
MAX_COLUMNS = 100
MAX_ROWS = 500_000
MAX_SHEETS = 20
MAX_EMPTY = 1000  # rows in sequence; what comes after them is no report
MAX_UNPACKED = 64 * 1024 * 1024  # of a spreadsheet, the parser of which holds all its texts at once
MAX_PARTS = 2000
ZIP = b"PK\x03\x04"
FORMULA = re.compile(r'="(.*)"')  # so Webex keeps Excel from reading a date in its own way
UNREADABLE = "is a spreadsheet that cannot be read: save it as CSV"
Row = list[str]


def is_spreadsheet(head: bytes) -> bool:
    """Tell whether a file is a workbook of Excel, as others are zip archives as well."""
    return head.startswith(ZIP) and (b"xl/" in head or (b"[Content_Types].xml" in head and b"word/" not in head))


def read_rows(source: Source) -> Iterator[Row]:
    """Yield the rows of a file, those that hold nothing as well; `source.where` is the one that is read."""
    if is_spreadsheet(source.head):
        yield from _read_workbook(source)
    else:
        yield from _read_lines(source)


def split_lines(lines: Sequence[str]) -> list[Row]:
    """Return the rows of lines that are no whole file; what is no row is one that holds nothing."""
    delimiter = find_delimiter(lines)
    rows = []
    for line in lines:
        try:
            rows.append(_split(line, delimiter))
        except csv.Error:
            rows.append([])
    return rows


def find_delimiter(lines: Iterable[str]) -> str:
    """Return what stands between the cells: what makes the most of them.

    >>> find_delimiter(["Name\\tJoined", "A\\t3/4/26, 9:00", "B\\t3/4/26, 9:01"])
    '\\t'
    """
    sample = [line[:5000] for line in lines]

    def count(delimiter: str) -> int:
        return sum(_cells(line, delimiter) - 1 for line in sample)

    return max(DELIMITERS, key=count)


def _cells(line: str, delimiter: str) -> int:
    try:
        return len(_split(line, delimiter))
    except csv.Error:
        return 1


def _read_lines(source: Source) -> Iterator[Row]:
    head = source.head.decode(source.encoding, "replace").removeprefix("\ufeff").splitlines()[:100]
    delimiter = find_delimiter(line for line in head if line.strip())
    lines = (line.replace("\0", "") for line in source.lines("replace"))
    try:
        for line in _whole_rows(source, lines):
            yield _split(line, delimiter)
    except csv.Error:
        raise source.wrong("is no row of a table") from None


def _split(line: str, delimiter: str) -> Row:
    """Return the cells of a line. A line that was quoted as a whole, as Excel does with a CSV in a CSV, is one more.

    >>> _split('a,"b, c"', ","), _split('"a,b"', ","), _split('="2026-03-04"', ",")
    (['a', 'b, c'], ['a', 'b'], ['2026-03-04'])
    """
    cells = next(csv.reader([line], delimiter=delimiter), [])
    filled = [cell for cell in cells if cell]
    if len(filled) == 1 and delimiter in filled[0] and line.startswith('"'):
        cells = next(csv.reader([filled[0]], delimiter=delimiter), [])
    return [_clean(cell) for cell in cells]


def _clean(cell: str) -> str:
    cell = cell[:MAX_CELL].strip().lstrip("\ufeff")
    formula = FORMULA.fullmatch(cell)
    return formula[1].strip() if formula else cell


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


def _read_workbook(source: Source) -> Iterator[Row]:
    from openpyxl import load_workbook  # here, as it is 7 MB of all that know what a recording is

    file = io.BytesIO(source.whole)
    _check_parts(source, file)
    try:
        workbook = load_workbook(file, read_only=True, data_only=True)
        sheets = workbook.worksheets[:MAX_SHEETS]
    except Exception:  # whatever a parser of a zip, of XML and of styles may raise
        raise BadRecording(f"{source.name} {UNREADABLE}") from None
    for number, sheet in enumerate(sheets, start=1):
        of_sheet = f"sheet {number}, " if len(sheets) > 1 else ""
        yield []
        try:
            sheet.reset_dimensions()  # what the file says of them may be wrong
            empty = 0
            for row, values in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS, max_row=MAX_ROWS, values_only=True), 1):
                source.where, source.place = row, f", {of_sheet}row {row}"
                cells = [_write(value) for value in values]
                empty = 0 if any(cells) else empty + 1
                if empty > MAX_EMPTY:
                    break
                yield cells
        except BadRecording:
            raise
        except Exception:
            raise BadRecording(f"{source.name} {UNREADABLE}") from None


def _check_parts(source: Source, file: BinaryIO) -> None:
    """Refuse what unpacks to too much, whatever it says of its size, and what could hold entities that grow."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS:
                raise BadRecording(f"{source.name} {UNREADABLE}")
            left = MAX_UNPACKED
            for part in parts:
                with archive.open(part) as unpacked:
                    beginning = unpacked.read(1024)
                    left -= len(beginning)
                    if b"<!DOCTYPE" in beginning or b"<!ENTITY" in beginning:
                        raise BadRecording(f"{source.name} declares a document type, which no spreadsheet does")
                    while piece := unpacked.read(64 * 1024):
                        left -= len(piece)
                        if left < 0:
                            raise BadRecording(f"{source.name} unpacks to more than {MAX_UNPACKED // 2**20} MB")
    except BadRecording:
        raise
    except Exception:  # zipfile raises half a dozen kinds for a broken archive
        raise BadRecording(f"{source.name} {UNREADABLE}") from None


def _write(value: object) -> str:
    """Return a cell of a spreadsheet as its CSV would have it.

    >>> [_write(value) for value in (datetime(2026, 3, 4, 10), 60.0, None, time(10, 30), timedelta(minutes=90))]
    ['2026-03-04 10:00:00', '60', '', '10:30:00', '1:30:00']
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, date | time | timedelta):
        return str(value)
    return _clean(str(value))
