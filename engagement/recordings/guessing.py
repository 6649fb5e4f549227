"""Find the columns of a table by what they hold, where nobody knows what they are called. Pure."""

from collections.abc import Sequence

from engagement.recordings.dates import Written, read_written
from engagement.recordings.tables import Row
from engagement.recordings.vocabulary import Columns, Kind

LEAST_COLUMNS = 3
LEAST_ROWS = 2
MOST_ACTIONS = 4  # joined, joined before, left, and one more
LOOKED_AT = 12  # rows of a table


def is_header(row: Row) -> bool:
    """Tell whether a row could name columns: several, and no moment among them."""
    return sum(map(bool, row)) >= LEAST_COLUMNS and not any(map(read_written, row))


def guess_columns(rows: Sequence[Row]) -> Columns | None:
    """Return the columns of the first table in rows; None where there is none of people and moments.

    Where its kind is None it is one, and what its moments mean cannot be told.
    """
    for place, row in enumerate(rows[:-1]):
        if is_header(row) and any(map(read_written, rows[place + 1])):
            return guess_table(row, rows[place + 1 :])
    return None


def guess_table(header: Row, rows: Sequence[Row]) -> Columns | None:
    """Return the columns of a table with this header and these first rows."""
    table = [row for row in rows[:LOOKED_AT] if len(row) >= LEAST_COLUMNS and any(map(read_written, row))]
    width = len(header)
    columns = [[row[place] if place < len(row) else "" for row in table] for place in range(width)]
    moments = {place: found for place, cells in enumerate(columns) if (found := _moments(cells)) is not None}
    texts = [place for place in range(width) if place not in moments and _is_text(columns[place])]
    fields = ["" for _ in header]
    if len(table) < LEAST_ROWS or not moments or not texts:
        return None
    fields[texts[0]] = "name"
    mails = [place for place in texts if sum("@" in cell for cell in columns[place]) * 2 > len(table)]
    if mails and mails[0] != texts[0]:
        fields[mails[0]] = "email"
    kind = _mark_moments(fields, moments, columns, texts)
    return Columns(tuple(fields), "", kind, 0)


def _mark_moments(
    fields: list[str], moments: dict[int, list[Written]], columns: list[list[str]], texts: list[int]
) -> Kind | None:
    """Name the columns of moments; return what the table tells, None where that is open."""
    if len(moments) == 2:
        first, second = sorted(moments)
        if all(_stamp(left) >= _stamp(joined) for joined, left in zip(moments[first], moments[second], strict=False)):
            fields[first], fields[second] = "joined", "left"
            return Kind.STAYS
    if len(moments) == 1 and len(texts) > 1:
        [at] = moments
        actions = [place for place in texts[1:] if len({*columns[place]} - {""}) <= MOST_ACTIONS]
        if actions:
            fields[at], fields[actions[0]] = "at", "action"
            return Kind.ACTIONS
    return None


def _moments(cells: list[str]) -> list[Written] | None:
    """Return what a column of moments holds; one cell in ten may be none."""
    found = [written for cell in cells if (written := read_written(cell)) is not None]
    filled = sum(map(bool, cells))
    return found if found and len(found) * 10 >= filled * 9 else None


def _stamp(written: Written) -> tuple[int, ...]:
    return (written.year, written.first + written.second, written.hour, written.minute, written.second_)


def _is_text(cells: list[str]) -> bool:
    return any(any(letter.isalpha() for letter in cell) for cell in cells)
