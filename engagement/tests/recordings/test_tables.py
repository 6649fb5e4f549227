import io
import zipfile
from datetime import datetime

import pytest
from openpyxl import Workbook

from engagement.recordings import BadRecording, open_recording, tables
from engagement.tests.recordings.test_attendance import HEADER, REPORT, SEVEN_PM, told

COLUMNS = HEADER.split(",")


def workbook(*sheets: list[list[object]]) -> bytes:
    book = Workbook()
    book.remove(book.active)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def packed(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return file.getvalue()


SEVEN, HALF_PAST = (SEVEN_PM.replace(tzinfo=None, minute=minute) for minute in (0, 30))


@pytest.mark.parametrize("is_text", [True, False])
def test_a_report_that_excel_saved_is_read(is_text):
    joined, left = (f"{at:%m/%d/%Y %I:%M:%S %p}" if is_text else at for at in (SEVEN, HALF_PAST))
    content = workbook([["Meeting", None], [], COLUMNS, ["Guest One", "one@example.org", joined, left, 30, "No"]])
    assert told(content) == [("join", 0, "u1"), ("leave", 1800, "u1")]
    assert open_recording(content).format == "Zoom attendee report"


def test_a_cell_that_cannot_be_read_is_named_by_its_row():
    content = workbook([COLUMNS, ["Guest One", "", SEVEN, HALF_PAST, 30], ["Guest Two", "", "soon", HALF_PAST, 30]])
    with pytest.raises(BadRecording, match=r"^report.xlsx, row 3: a join or leave time cannot be read"):
        open_recording(content, "report.xlsx")


def test_all_sheets_are_read():
    sheets = [[COLUMNS, [f"Guest {n}", "", SEVEN, HALF_PAST, 30]] for n in range(2)]
    assert open_recording(workbook(*sheets)).people == 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (packed(**{"[Content_Types]_dot_xml": b"<Types/>", "xl__workbook_dot_xml": b"<workbook/>"}), "save it as CSV"),
        (packed(xl__workbook_dot_xml=b'<!DOCTYPE x [<!ENTITY a "b">]><workbook/>'), "declares a document type"),
        (packed(xl__workbook_dot_xml=b"<workbook/>", xl__b=b" " * (tables.MAX_UNPACKED + 1)), "unpacks to more"),
        (packed(xl__workbook_dot_xml=b"x") + b"\0" * 70, "save it as CSV"),
        (workbook([COLUMNS])[:-500], "save it as CSV"),
        (workbook([["Shopping list"], ["Milk"]]), "no table of who joined and left"),
    ],
)
def test_a_workbook_that_cannot_be_read_is_said_to_be_one(content, complaint):
    with pytest.raises(BadRecording, match=complaint):
        open_recording(content, "report.xlsx")


def test_a_workbook_of_a_huge_extent_costs_little():
    book = Workbook()
    book.active.append(COLUMNS)
    book.active.append(["Guest One", "", SEVEN, HALF_PAST, 30])
    book.active.cell(900_000, 9_000, "x")
    file = io.BytesIO()
    book.save(file)
    assert open_recording(file.getvalue()).people == 1


def test_a_report_that_lies_in_quotes_line_by_line_is_read():
    lines = ['"' + line.replace('"', '""') + '"' if "," in line else line for line in REPORT.splitlines()]
    assert told("\n".join(lines).encode()) == told(REPORT.encode())


def test_the_delimiter_is_what_makes_a_table():
    rows = ["Name;Joined, I think;Left", "A;1,5;2,5"]
    assert tables.find_delimiter(rows) == ";"
    assert tables.split_lines(rows)[1] == ["A", "1,5", "2,5"]
    assert datetime(2026, 1, 1).isoformat(" ") == tables._write(datetime(2026, 1, 1))
