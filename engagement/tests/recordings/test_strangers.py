"""What cannot be read is called by its name, and whoever chose it is told what to choose instead."""

import json

import pytest

from engagement.recordings import FORMATS, BadRecording, open_recording
from engagement.recordings.reader import known


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7", "is a PDF: export the report as CSV"),
        (b"\0\0\0\x18ftypmp42", "is a video: choose the chat, the attendance report or the transcript"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a spreadsheet of an old Excel"),
        (b"PK\x03\x04..word/document.xml", "is a document of Word: of a Teams transcript download the .vtt"),
        (b"PK\x03\x04....", "is a zip archive: unpack it"),
        (
            b"PK\x03\x04....mimetypeapplication/vnd.oasis.opendocument.spreadsheetPK",
            "is a spreadsheet of LibreOffice or OpenOffice .* save it as .xlsx or CSV",
        ),
        (b"PK\x03\x04....Index/Document.iwa", "is a spreadsheet of Numbers: export it as .xlsx or CSV"),
        (
            b'<html xmlns:x="urn:schemas-microsoft-com:office:excel"><table><tr><td>Name',
            "for Excel, .*: save it there as .xlsx or CSV",
        ),
        (
            b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
            "for Excel, .*: save it there as .xlsx or CSV",
        ),
        (
            b"=====\nGuild: A room\nChannel: Text / talk\n=====\n\n[3/4/2026 10:00 AM] guest\nhello\n",
            "is a Discord export as text: export it again as JSON",
        ),
        (
            b'{"envelope": {"name": "UserJoined"}, "core": {"body": {}}}\n{"envelope": {}, "core": {}}\n',
            "keep what its webhooks send in the mapped form",
        ),
        (b"<!DOCTYPE html><html><body class='chatlog'>", "is XML|Discord export as a web page"),
        (
            b"Name (Original Name),User Email,Total Duration (Minutes),Guest\nA,a@example.org,60,No\n",
            "Show unique users",
        ),
        (b"Topic,Meeting ID,User Name,Start Time,Participants\nA talk,1,Guest,now,9\n", "is Zoom's list of meetings"),
        (b"Poll Report\nReport Generated:,x\n", "is Zoom's poll report"),
        (b"First Name,Last Name,Email,Registration Time,Approval Status\nA,B,c,d,e\n", "is a list of who registered"),
        ("1. Summary\nMeeting title\tA talk\n".encode("utf-16"), "beginning of a Teams attendance report"),
        (b"Full Name,Role,Email,Duration\nA,Presenter,a@example.org,5m\n", "a list of people by Microsoft Teams"),
        (json.dumps([{"id": "U1", "name": "guest", "real_name": "Guest"}]).encode(), "Slack's list of members"),
        (b"Dear all,\nsee you tomorrow", "is no recording that we know: choose JSON Lines, or an export of Zoom"),
    ],
)
def test_what_cannot_be_read_is_told_from_other_files(content, words):
    with pytest.raises(BadRecording, match=words):
        open_recording(content, "file")


def test_all_that_can_be_read_is_named():
    assert known().count("Twitch") == known().count("YouTube") == 1
    assert all(format_.platform in known() for format_ in FORMATS if format_.platform != "Others")
    assert len({format_.name for format_ in FORMATS}) == len(FORMATS)
