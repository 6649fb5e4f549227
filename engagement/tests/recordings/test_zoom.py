from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engagement.recordings import BadRecording, open_recording, open_recordings

SEVEN_PM = datetime(2026, 3, 2, 19, tzinfo=UTC)
REPORT = """\ufeffAttendee Report
Report Generated:,"03/03/2026 10:00:00 AM"
Topic,Webinar ID,Actual Start Time,Actual Duration (minutes),# Registered,Unique Viewers,Total Users
"A talk, and questions",812 3456 7890,"03/02/2026 07:00:00 PM",60,9,3,4
Host Details,,,,,,,
Attended,User Name (Original Name),Email,Join Time,Leave Time,Time in Session (minutes),Is Guest,Country/Region Name
Yes,Guest Host,host@example.org,"03/02/2026 06:55:00 PM","03/02/2026 08:00:00 PM",65,No,Norway
Panelist Details,,,,,,,
Attended,User Name (Original Name),Email,Join Time,Leave Time,Time in Session (minutes),Is Guest,Country/Region Name
Attendee Details,,,,,,,
Attended,User Name (Original Name),First Name,Last Name,Email,Approval Status,Join Time,Leave Time
Yes,Guest One (First Guest),Guest,One,one@example.org,approved,03/02/2026 07:00:00 PM,03/02/2026 07:20:00 PM
Yes,Guest One (First Guest),Guest,One,ONE@example.org,approved,03/02/2026 07:20:30 PM,03/02/2026 08:00:02 PM
No,Guest Two,Guest,Two,two@example.org,approved,--,--
Other Attended
User Name,Join Time,Leave Time,Time in Session (minutes),Country/Region Name
15550100,"03/02/2026 07:05:00 PM","03/02/2026 07:06:00 PM",1,Norway
"""
HEADER = "Name (Original Name),User Email,Join Time,Leave Time,Duration (Minutes),Guest"


def told(*contents: bytes, **options) -> list[tuple[str, float, str | None]]:
    """What the files tell, in seconds since 19:00 UTC."""
    events = open_recordings([(content, "export") for content in contents], **options).events
    return [(each.type, (each.timestamp - SEVEN_PM).total_seconds(), each.user) for each in events]


def test_an_attendee_report_is_read_with_all_its_tables():
    recording = open_recording(REPORT.encode(), "report.csv")
    assert told(REPORT.encode()) == [
        ("join", -300, "u1"),
        ("join", 0, "u2"),
        ("join", 300, "u3"),
        ("leave", 360, "u3"),
        ("leave", 1200, "u2"),
        ("join", 1230, "u2"),
        ("leave", 3600, "u1"),
        ("leave", 3602, "u2"),
    ]
    assert (recording.format, recording.people) == ("Zoom attendee report", 3)
    assert recording.ended_at == SEVEN_PM + timedelta(hours=1)
    assert recording.unused == {"people who registered and did not come": 1}
    assert len(recording.notes) == 2


def test_a_report_says_nothing_of_chat():
    rows = open_recording(REPORT.encode()).readings()
    assert {row.chat_msgs_per_min for row in rows} == {None}
    assert {row.total_users for row in rows} >= {1, 2, 3}


@pytest.mark.parametrize(
    ("join", "leave", "is_noted"),
    [
        ("03/02/2026 07:00:00 PM", "03/02/2026 07:30:00 PM", True),
        ("03/02/2026 19:00:00", "03/02/2026 19:30:00", True),
        ("3/2/2026 7:00 PM", "3/2/2026 7:30 PM", True),
        ("03/02/2026 07:00:00\u202fPM", "03/02/2026 07:30:00\u202fPM", True),
        ("2026-03-02 19:00:00", "2026-03-02 19:30:00", False),
        ("2026-03-02T19:00:00Z", "2026-03-02T20:30:00+01:00", False),
        ("02.03.2026 19:00:00", "02.03.2026 19:30:00", False),
        ('"Mar 2, 2026 19:00:00"', '"Mar 2, 2026 7:30 PM"', False),
    ],
)
def test_dates_are_read_as_zoom_writes_them(join, leave, is_noted):
    content = f"{HEADER}\nGuest One,,{join},{leave},30,No\n".encode()
    assert told(content) == [("join", 0, "u1"), ("leave", 1800, "u1")]
    assert any("month first" in note for note in open_recording(content).notes) == is_noted


def test_one_date_says_for_the_file_that_the_day_comes_first():
    content = (
        f"{HEADER}\nA,,02/03/2026 19:00:00,02/03/2026 19:30:00,30,No\nB,,31/03/2026 19:00:00,31/03/2026 19:01:00,1,No"
    )
    with pytest.raises(BadRecording, match="spans more than 24 hours"):
        open_recording(content.encode())
    one_day = content.replace("31/03", "13/03").replace("02/03", "13/03").encode()
    assert told(one_day)[0] == ("join", 11 * 86_400, "u1")


def test_times_are_of_the_zone_that_is_named():
    content = f"{HEADER}\nGuest One,,2026-03-02 20:00:00,2026-03-02 20:30:00,30,No\n".encode()
    assert told(content, zone=ZoneInfo("Europe/Oslo")) == [("join", 0, "u1"), ("leave", 1800, "u1")]
    assert open_recording(content, zone=ZoneInfo("Europe/Oslo")).notes == (
        "Times that name no zone were read as Europe/Oslo.",
    )


def test_the_report_of_a_meeting_says_when_it_ended():
    meeting = "Meeting ID,Topic,Start Time,End Time,User Email,Duration (Minutes),Participants"
    about = "812 3456 7890,A talk,03/02/2026 06:50:00 PM,03/02/2026 07:30:00 PM,host@example.org,40,1"
    stay = "Guest One,,03/02/2026 07:00:00 PM,03/02/2026 07:30:05 PM,30,No"
    content = "\n".join([meeting, about, ",,,,,,", HEADER, stay]).encode()
    assert told(content) == [("join", 0, "u1"), ("leave", 1805, "u1")]
    assert open_recording(content).ended_at == SEVEN_PM + timedelta(minutes=30)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_report_that_a_spreadsheet_saved_is_read(delimiter):
    content = f"{HEADER}\nGuest One,,2026-03-02 19:00:00,2026-03-02 19:30:00,30,No\n".replace(",", delimiter)
    for encoded in (content.encode(), content.encode("utf-16"), content.replace("\n", "\r\n").encode("utf-8-sig")):
        assert told(encoded) == [("join", 0, "u1"), ("leave", 1800, "u1")]


def test_two_devices_of_a_person_are_one_stay():
    rows = ["19:00:00,2026-03-02 19:10:00", "19:05:00,2026-03-02 19:30:00", "19:06:00,2026-03-02 19:07:00"]
    content = "\n".join([HEADER, *(f"Guest One,one@example.org,2026-03-02 {row},1,No" for row in rows)])
    assert told(content.encode()) == [("join", 0, "u1"), ("leave", 1800, "u1")]


def test_a_null_byte_costs_nothing():
    assert told(REPORT.replace("Guest One", "Guest\0One").encode()) == told(REPORT.encode())


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([HEADER], "nothing in it can be used"),
        ([HEADER, "Guest One,,2026-03-02 19:00:00"], "line 2: has fewer columns than its table, or breaks off"),
        ([HEADER, "Guest One,,2026-03-02 19:00:00,2026-0"], "line 2: a join or leave time cannot be read"),
        ([HEADER, "Guest One,,yesterday,today,1,No"], "line 2: a join or leave time cannot be read"),
        ([HEADER, 'Guest "One,,2026-03-02 19:00:00,2026-03-02 19:30:00,1,No'], "line 2: a quoted cell does not end"),
        ([HEADER, f"{'x' * 200_000},,2026-03-02 19:00:00,2026-03-02 19:30:00,1,No"], "line 2: is no row of a table"),
        ([HEADER, "A,,0001-01-01 00:00:00,0001-01-01 00:10:00,1,No"], "the time does not lie between"),
        ([HEADER, "A,,2026-03-02 19:30:00,2026-03-02 19:00:00,1,No"], "1 stays that end before they begin"),
    ],
)
def test_a_report_that_is_wrong_or_broken_off_is_refused(lines, complaint):
    with pytest.raises(BadRecording, match=complaint) as caught:
        open_recording("\n".join(lines).encode(), "report.csv")
    assert "Guest" not in str(caught.value)
    assert "yesterday" not in str(caught.value)


SAVED = b"""19:00:05 From Guest One to Everyone:
\tgood evening
\tand to all others: hello
19:00:30\t From  Guest Two  to  Everyone : 19:00 sharp: well done
19:01:00 From Guest One to Guest Two(Direct Message):
\ta secret
19:01:10 From Guest Two to Everyone:
\tReacted to "good evening" with \xf0\x9f\x91\x8d
19:01:12 From Guest Two To Everyone : Removed a \xf0\x9f\x91\x8d reaction from "good evening"
19:01:20 From Guest One to Hosts and panelists:
\tReplying to "good evening"

\tindeed
"""


def test_a_saved_chat_is_read_with_the_planned_start():
    recording = open_recording(SAVED, "chat.txt", starts_at=SEVEN_PM)
    assert told(SAVED, starts_at=SEVEN_PM) == [
        ("chat", 5, "u1"),
        ("chat", 30, "u2"),
        ("reaction", 70, "u2"),
        ("chat", 80, "u1"),
    ]
    assert recording.unused == {"private messages": 1, "reactions that were taken back": 1}
    assert recording.format == "Zoom chat"


def test_a_chat_of_clock_times_needs_a_date():
    with pytest.raises(BadRecording, match="line 1: tells no date: give the planned start"):
        open_recording(SAVED, "chat.txt")


def test_a_chat_with_dates_needs_nothing():
    content = b"2026-03-02 19:00:05 From Guest One to Everyone:\n\thello\n2026-03-02 19:00:09 From A to Everyone:\n\thi"
    assert told(content) == [("chat", 5, "u1"), ("chat", 9, "u2")]


def test_a_chat_goes_on_over_midnight():
    content = b"23:59:50 From Guest One to Everyone: a\n00:00:10 From Guest One to Everyone: b\n"
    late = SEVEN_PM.replace(hour=23)
    assert told(content, starts_at=late) == [("chat", 17_990, "u1"), ("chat", 18_010, "u1")]


def test_the_chat_of_a_cloud_recording_counts_from_the_start():
    content = b"00:00:04\tGuest One:\thello\n00:58:20\tGuest Two:\tbye: all\n"
    assert told(content, starts_at=SEVEN_PM) == [("chat", 4, "u1"), ("chat", 3500, "u2")]


def test_the_report_dates_the_chat_and_names_are_the_same_people():
    chat = b"19:10:00 From Guest One to Everyone: hello\n19:11:00 From Guest Four to Everyone: hello\n"
    both = told(chat, REPORT.encode())
    assert both == told(REPORT.encode(), chat)
    assert [each for each in both if each[0] == "chat"] == [("chat", 600, "u2"), ("chat", 660, "u4")]
    recording = open_recordings([(chat, "chat.txt"), (REPORT.encode(), "report.csv")])
    assert recording.format == "Zoom attendee report and Zoom chat"
    row = next(row for row in recording.readings() if row.timestamp == SEVEN_PM + timedelta(minutes=11))
    assert (row.chat_msgs_per_min, row.total_users) == (1.0, 2)


def test_two_people_of_one_name_stay_two():
    rows = [f"Guest,{n}@example.org,2026-03-02 19:0{n}:00,2026-03-02 19:10:00,1,No" for n in range(3)]
    assert {user for _, _, user in told("\n".join([HEADER, *rows]).encode())} == {"u1", "u2", "u3"}
