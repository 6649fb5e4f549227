"""Say what a file seems to be that cannot be read, and which one to export instead. Pure."""

from collections.abc import Callable, Sequence

from engagement.recordings.bigbluebutton import OF_EXCEL
from engagement.recordings.formats import Look
from engagement.recordings.vocabulary import Kind, load, normal

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "is a zip archive: unpack it and choose the files in it"),
    (b"%PDF", "is a PDF: export the report as CSV, not as a document"),
    (b"\xd0\xcf\x11\xe0", "is a spreadsheet of an old Excel (.xls): save it as .xlsx or CSV"),
    (b"\x1aE\xdf\xa3", "is a video: choose the chat, the attendance report or the transcript that lies beside it"),
    (b"OggS", "is a sound recording: choose the chat, the attendance report or the transcript that lies beside it"),
    (b"ID3", "is a sound recording: choose the chat, the attendance report or the transcript that lies beside it"),
    (b"\x89PNG", "is a picture: export the report as CSV"),
    (b"\xff\xd8\xff", "is a picture: export the report as CSV"),
    (b"SQLite format 3", "is a database: export from it what was said and who was there"),
    (b"BZh", "is packed with bzip2: unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "is packed with xz: unpack it, or pack it with gzip"),
    (b"7z\xbc\xaf", "is packed with 7-Zip: unpack it, or pack it with gzip"),
    (b"Rar!", "is packed with RAR: unpack it, or pack it with gzip"),
)
VIDEO = "is a video: choose the chat, the attendance report or the transcript that lies beside it"
NO_TABLE = "is a spreadsheet in which there is no table of who joined and left"
WORD = "is a document of Word: of a Teams transcript download the .vtt instead"
UNIQUE_USERS = (
    "is Zoom's list of participants with how long each was there in all, and not when: "
    "export it again without “Show unique users”"
)
MEETINGS = "is Zoom's list of meetings: open the number of participants of one, and export that"
POLLS = "is Zoom's {} report: export the attendee report of the webinar, or the participants of the meeting"
REGISTRATIONS = (
    "is a list of who registered, and tells nothing of who came: export the attendee report after the session"
)
TEAMS_SUMMARY = (
    "is the beginning of a Teams attendance report: its table of participants is missing, so download it anew"
)
NO_MOMENTS = (
    "seems to be {}, but has no column of when people joined and left: in {}, choose the report that tells both"
)
WEB_PAGE = "is a web page, and no events.xml of BigBlueButton: export the chat as JSON or text, not as HTML"
EXCEL_PAGE = "is a page or a document for Excel, whatever its name ends in: save it there as .xlsx or CSV"
OPEN_DOCUMENT = "is a spreadsheet of LibreOffice or OpenOffice (.ods): save it as .xlsx or CSV"
NUMBERS = "is a spreadsheet of Numbers: export it as .xlsx or CSV"
DISCORD_TEXT = "is a Discord export as text: export it again as JSON"
RAW_WEBHOOKS = "holds BigBlueButton’s events as they are inside: keep what its webhooks send in the mapped form"
DISCORD_PAGE = "is a Discord export as a web page: export it again as JSON"
LIST_OF_MEMBERS = (
    "is Slack's list of members or channels: choose a day out of the folder of a channel, such as 2026-03-04.json"
)


def say_what_it_seems(look: Look) -> str | None:
    """Return what a file seems to be that is no recording, and what to do; None where nothing is known of it."""
    if look.is_spreadsheet:
        return _of_rows(look) or NO_TABLE
    return _of_bytes(look.bytes) or _of_text(look) or say_what_objects_seem(look) or _of_rows(look)


def _of_bytes(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return VIDEO
    if head.startswith(b"PK\x03\x04") and b"word/" in head:
        return WORD
    if head.startswith(b"PK\x03\x04") and b"opendocument.spreadsheet" in head[:200]:
        return OPEN_DOCUMENT
    if head.startswith(b"PK\x03\x04") and b"Index/" in head and b".iwa" in head:
        return NUMBERS
    return next((words for signature, words in SIGNATURES if head.startswith(signature)), None)


def _of_text(look: Look) -> str | None:
    start = look.start[:2000].lower()
    if OF_EXCEL in start:
        return EXCEL_PAGE
    if start.startswith("=====") and "\nguild: " in start and "\nchannel: " in start:
        return DISCORD_TEXT
    if start.startswith(("<!doctype html", "<html")):
        return DISCORD_PAGE if "discord" in start or "chatlog" in look.text else WEB_PAGE
    return None


def say_what_objects_seem(look: Look) -> str | None:
    """Return what JSON seems to be that is no recording, and what to do; None where nothing is known of it."""
    if any(isinstance(item.get("envelope"), dict) and "core" in item for item in look.items):
        return RAW_WEBHOOKS
    if any("real_name" in item or ("is_archived" in item and "members" in item) for item in look.items):
        return LIST_OF_MEMBERS
    return None


def _of_rows(look: Look) -> str | None:
    names = {normal(cell) for row in look.rows for cell in row}
    found = [check(look, names) for check in TABLES]
    return next((words for words in found if words is not None), None)


def _find_unique_users(look: Look, names: set[str]) -> str | None:
    headers = [load("zoom").read_header(row) for row in look.rows]
    return UNIQUE_USERS if any(header.kind is Kind.TOTALS for header in headers) else None


def _find_zoom_lists(look: Look, names: set[str]) -> str | None:
    if "pollreport" in names or "polldetails" in names:
        return POLLS.format("poll")
    if "qareport" in names or "questionreport" in names:
        return POLLS.format("Q&A")
    if names >= {"topic", "meetingid"} and names & {"participants", "starttime", "creationtime"}:
        return MEETINGS
    if names & {"registrationtime", "approvalstatus", "registrationdate"} and not names & {"jointime"}:
        return REGISTRATIONS
    return None


def _find_summary(look: Look, names: set[str]) -> str | None:
    return TEAMS_SUMMARY if names & {"meetingtitle", "attendedparticipants", "totalnumberofparticipants"} else None


def _find_people(look: Look, names: set[str]) -> str | None:
    """Name the platform whose words most columns are."""
    known = {
        platform: max((load(platform).read_header(row).known for row in look.rows), default=0)
        for platform in ("zoom", "teams", "webex", "meet")
    }
    best = max(known, key=lambda platform: known[platform])
    if known[best] < 3:
        return None
    return NO_MOMENTS.format(f"a list of people by {load(best).platform}", load(best).platform)


TABLES: Sequence[Callable[[Look, set[str]], str | None]] = (
    _find_unique_users, _find_zoom_lists, _find_summary, _find_people,
)  # fmt: skip
