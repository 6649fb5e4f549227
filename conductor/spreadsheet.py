"""Tables for a spreadsheet: CSV (RFC 4180) that Excel reads as it is meant, and of which no cell is computed."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

BYTE_ORDER_MARK = "\ufeff"  # without it Excel takes UTF-8 for its own code page
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell begins with that a spreadsheet computes

Cell = str | float | None


def write_table(columns: Sequence[str], lines: Iterable[Iterable[Cell]]) -> str:
    """Return the lines under the names of their columns, the last cells of a short one empty.

    A cell that somebody else wrote is harmless: what a spreadsheet would take for a formula has an apostrophe before.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for line in lines:
        cells = [_harmless(cell) for cell in line]
        writer.writerow(cells + [None] * (len(columns) - len(cells)))
    return BYTE_ORDER_MARK + text.getvalue()


def _harmless(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet computes.

    >>> _harmless("=1+1"), _harmless("Keynote"), _harmless(-0.2)
    ("'=1+1", 'Keynote', -0.2)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
