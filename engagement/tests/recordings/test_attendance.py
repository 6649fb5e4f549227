from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engagement.recordings import BadRecording, DateOrder, Hints, UnknownColumns, open_recording, open_recordings
from engagement.recordings.date_order import DatesRead

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
    events = open_recordings([(content, "export") for content in contents], Hints(**options)).events
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


def test_two_people_of_one_name_stay_two():
    rows = [f"Guest,{n}@example.org,2026-03-02 19:0{n}:00,2026-03-02 19:10:00,1,No" for n in range(3)]
    assert {user for _, _, user in told("\n".join([HEADER, *rows]).encode())} == {"u1", "u2", "u3"}


STAY = "2026-03-02 19:00:00,2026-03-02 19:30:00,30,No"


def peak(recording) -> int:
    return max(row.total_users or 0 for row in recording.readings())


def test_guests_of_one_name_who_are_there_at_once_are_several():
    rows = [f"iPhone,,2026-03-02 19:0{n}:00,2026-03-02 19:5{n}:00,50,Yes" for n in range(5)]
    recording = open_recording("\n".join([HEADER, *rows]).encode())
    assert (recording.people, peak(recording)) == (5, 5)
    assert any(note.startswith("5 people share names") for note in recording.notes)


def test_a_guest_who_comes_back_is_the_same_one():
    rows = [
        "iPhone,,2026-03-02 19:00:00,2026-03-02 19:20:00,20,Yes",
        "iPhone,,2026-03-02 19:19:00,2026-03-02 19:40:00,21,Yes",  # told to be there twice, as reconnects are
        "iPhone,,2026-03-02 19:50:00,2026-03-02 19:55:00,5,Yes",
    ]
    recording = open_recording("\n".join([HEADER, *rows]).encode())
    assert (recording.people, peak(recording)) == (1, 1)


def test_names_in_two_columns_are_names():
    header = "Attended,First Name,Last Name,Email,Join Time,Leave Time,Time in Session (minutes)"
    rows = [f"Yes,Guest,{n},,2026-03-02 19:00:00,2026-03-02 19:30:00,30" for n in range(3)]
    recording = open_recording("\n".join([header, *rows]).encode())
    assert (recording.people, recording.unused) == (3, {})


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("joined", "left", "minutes", "begin", "lasts"),
    [
        ("01:30:00", "02:50:00", 140, "2025-10-25T23:30", 140),
        ("01:30:00", "02:50:00", 80, "2025-10-25T23:30", 80),
        ("02:40:00", "02:20:00", 40, "2025-10-26T00:40", 40),
        ("02:40:00", "02:50:00", 10, "2025-10-26T00:40", 10),
        ("01:31:00", "03:30:00", 179, "2025-10-25T23:31", 179),
        ("02:10:00", "03:10:00", 60, "2025-10-26T01:10", 60),
    ],
)
def test_the_length_of_a_stay_says_which_of_two_hours_is_meant(joined, left, minutes, begin, lasts):
    content = f"{HEADER}\nGuest,,2025-10-26 {joined},2025-10-26 {left},{minutes},No\n".encode()
    first, last = open_recording(content, zone=BERLIN).events
    assert first.timestamp == datetime.fromisoformat(f"{begin}Z")
    assert last.timestamp - first.timestamp == timedelta(minutes=lasts)


def teams(*stays: str, start="3/2/26, 7:00:00 PM", end="3/2/26, 7:30:00 PM", coarse: bool = True) -> str:
    first = [
        f"Guest {n}\t{stay}\t30m 0s\tg{n}@example.org\tg{n}@example.org\tPresenter" for n, stay in enumerate(stays)
    ]
    summary = ["1. Summary", "Meeting title\tA talk", "Attended participants\t3", f"Start time\t{start}"]
    table = ["Name\tFirst Join\tLast Leave\tIn-Meeting Duration\tEmail\tParticipant ID (UPN)\tRole", *first]
    fine = ["Name\tJoin Time\tLeave Time\tDuration\tEmail\tRole"]
    fine += [f"Guest {n}\t{stay}\t30m\tg{n}@example.org\tPresenter" for n, stay in enumerate(stays)]
    lines = [*summary, f"End time\t{end}", "", "2. Participants", *table, ""]
    return "\n".join(lines + ([] if coarse else ["3. In-Meeting Activities", *fine, ""]))


def test_the_report_of_teams_is_one_of_teams_and_says_when_it_ended():
    stays = ["3/2/26, 7:00:00 PM\t3/2/26, 7:30:00 PM", "3/2/26, 7:00:10 PM\t3/2/26, 7:10:00 PM"]
    content = teams(*stays, coarse=False).encode("utf-16")
    assert told(content) == [("join", 0, "u1"), ("join", 10, "u2"), ("leave", 600, "u2"), ("leave", 1800, "u1")]
    recording = open_recording(content)
    assert (recording.format, recording.ended_at) == ("Teams attendance report", SEVEN_PM + timedelta(minutes=30))


def test_who_came_back_is_unknown_where_the_report_tells_only_the_first_and_the_last():
    recording = open_recording(teams("3/2/26, 7:00:00 PM\t3/2/26, 7:30:00 PM").encode())
    assert [event.type for event in recording.events] == ["join", "leave"]
    assert any("not who was away" in note for note in recording.notes)


def test_dates_without_a_comma_are_read():
    stays = ["21/10/26 10:00:00\t21/10/26 10:30:00"]
    recording = open_recording(teams(*stays, start="21/10/26 10:00:00", end="21/10/26 10:30:00").encode())
    assert recording.ended_at == datetime(2026, 10, 21, 10, 30, tzinfo=UTC)


LIST = "Full Name\tUser Action\tTimestamp\nGuest 1\tJoined before\t{0} 7:00:00 PM\nGuest 2\tJoined\t{0} 7:01:00 PM\n"
LEFT = "Guest 2\tLeft\t{0} 7:20:00 PM\nGuest 2\tJoined\t{0} 7:25:00 PM\n"
ACTIONS = [("join", 0, "u1"), ("join", 60, "u2"), ("leave", 1200, "u2"), ("join", 1500, "u2")]


def test_a_list_of_who_joined_and_left_is_read():
    assert told((LIST + LEFT).format("3/2/2026,").encode("utf-16")) == ACTIONS


@pytest.mark.parametrize(
    ("header", "joined", "left"),
    [
        ("Nome Completo\tAtividade\tData e hora", "Entrou", "Saiu"),
        ("Vollständiger Name\tBenutzeraktion\tZeitstempel", "Beigetreten", "Verlassen"),
        ("Täysi nimi\tToiminto\tAikaleima", "Liittyi", "Poistui"),  # that of a language which is not in the tables
    ],
)
def test_a_list_in_another_language_is_read(header, joined, left):
    rows = [
        f"Guest 1\t{joined}\t02/03/2026 19:00:00",
        f"Guest 2\t{joined}\t02/03/2026 19:01:00",
        f"Guest 2\t{left}\t02/03/2026 19:20:00",
        f"Guest 2\t{joined}\t02/03/2026 19:25:00",
    ]
    content = "\n".join([header, *rows]).encode()
    assert told(content, date_order=DateOrder.DAY_FIRST) == ACTIONS


@pytest.mark.parametrize(
    "header",
    [
        "Nombre (nombre original),E-mail del usuario,Hora para unirse,Hora para salir,Duración (minutos),Invitado",
        "Nome (nome original),E-mail,Ingressar na hora,Hora de saída,Duração (minutos),Convidado",
        "名前（元の名前）,ユーザーメール,参加時刻,退出時刻,時間（分）,ゲスト",
        "Nimi (alkuperäinen nimi),Sähköposti,Liittyi,Poistui,Kesto,Vieras",  # in none of the tables
    ],
)
def test_a_report_in_another_language_is_read(header):
    content = f"{header}\nGuest,g@example.org,{STAY}\nOther,o@example.org,{STAY}\n".encode()
    assert told(content)[0] == ("join", 0, "u1")
    assert open_recording(content).people == 2


def test_a_report_that_a_spreadsheet_saved_in_an_old_encoding_is_read():
    header = "Nom (nom d'origine);E-mail de l'utilisateur;Heure d'arrivée;Heure de départ;Durée (minutes);Invité"
    content = f"{header}\nGuest;g@example.org;{STAY.replace(',', ';')}\n".encode("cp1252")
    assert told(content) == [("join", 0, "u1"), ("leave", 1800, "u1")]


def test_columns_that_nobody_knows_are_asked_for():
    moments = "2026-03-01 09:00:00,2026-03-02 19:00:00,2026-03-02 19:30:00"
    content = f"Nimi,Ilmoittautui,Liittyi,Poistui\nGuest 1,{moments}\nGuest 2,{moments}\n".encode()
    with pytest.raises(UnknownColumns, match="what its columns are is not known") as caught:
        open_recording(content)
    assert caught.value.columns == ["Nimi", "Ilmoittautui", "Liittyi", "Poistui"]
    assert "Liittyi" not in str(caught.value)
    columns = {"name": "Nimi", "joined": "Liittyi", "left": "Poistui"}
    assert told(content, columns=columns)[:2] == [("join", 0, "u1"), ("join", 0, "u2")]


AMBIGUOUS = f"{HEADER}\nGuest,g@example.org,04/05/2026 18:00:00,04/05/2026 19:00:00,60,No\n".encode()


def test_dates_of_both_orders_are_doubtful_until_somebody_says_which():
    recording = open_recording(AMBIGUOUS)
    assert recording.dates == DatesRead(DateOrder.MONTH_FIRST, True, date(2026, 4, 5), date(2026, 5, 4))
    for order, day in ((DateOrder.MONTH_FIRST, (4, 5)), (DateOrder.DAY_FIRST, (5, 4))):
        chosen = open_recording(AMBIGUOUS, date_order=order)
        assert chosen.events[0].timestamp == datetime(2026, *day, 18, tzinfo=UTC)
        assert not chosen.dates.is_doubtful


def test_what_lies_in_the_future_is_the_other_order():
    recording = open_recording(AMBIGUOUS, now=datetime(2026, 4, 20, tzinfo=UTC))
    assert recording.events[0].timestamp.date() == date(2026, 4, 5)
    assert not recording.dates.is_doubtful
    swapped = AMBIGUOUS.replace(b"04/05", b"05/04")
    early = open_recording(swapped, now=datetime(2026, 4, 20, tzinfo=UTC))
    assert early.events[0].timestamp.date() == date(2026, 4, 5)


def test_the_planned_start_says_which_order_it_is():
    recording = open_recording(AMBIGUOUS, starts_at=datetime(2026, 5, 4, 17, tzinfo=UTC))
    assert recording.events[0].timestamp.date() == date(2026, 5, 4)


def test_a_date_in_words_elsewhere_in_the_report_says_which_order_it_is():
    about = 'Topic,Webinar ID,Actual Start Time,Actual Duration (minutes)\nA talk,1,"May 04, 2026 6:00 PM",60\n'
    recording = open_recording(about.encode() + AMBIGUOUS)
    assert recording.events[0].timestamp.date() == date(2026, 5, 4)


def test_all_who_leave_together_at_the_very_end_make_it_the_end():
    rows = [f"Guest {n},{n}@example.org,2026-03-02 19:00:00,2026-03-02 19:59:{10 + n},60,No" for n in range(8)]
    recording = open_recording("\n".join([HEADER, *rows]).encode())
    assert recording.ended_at == SEVEN_PM + timedelta(minutes=59, seconds=10)
    assert "No end is told: it was when those who were still there left together." in recording.notes


def test_who_leaves_one_by_one_makes_no_end():
    rows = [f"Guest {n},{n}@example.org,2026-03-02 19:00:00,2026-03-02 19:{n * 7:02}:00,60,No" for n in range(1, 9)]
    assert open_recording("\n".join([HEADER, *rows]).encode()).ended_at is None


def test_a_report_of_meet_needs_the_day():
    content = (
        b"First name,Last name,Email,Duration,Time joined,Time exited\nGuest,1,g@example.org,0:30:00,7:00 PM,7:30 PM\n"
    )
    assert told(content, starts_at=SEVEN_PM) == [("join", 0, "u1"), ("leave", 1800, "u1")]
    with pytest.raises(BadRecording, match="line 2: tells the time of the day and no date: give the planned start"):
        open_recording(content)


@pytest.mark.parametrize("quote", ['="{}"', '"=""{}"""'])
def test_a_report_of_webex_is_read(quote):
    join, leave, end = (quote.format(f"2026-03-02 19:{minute}:00") for minute in ("00", "20", "30"))
    header = "Meeting Name,Meeting Start Time,Meeting End Time,Display Name,Attendee Email,Join Time,Leave Time"
    content = f"{header},Attendance Duration\nA talk,{join},{end},Guest,g@example.org,{join},{leave},20 mins\n".encode()
    recording = open_recording(content)
    assert told(content) == [("join", 0, "u1"), ("leave", 1200, "u1")]
    assert (recording.format, recording.ended_at) == ("Webex attendance report", SEVEN_PM + timedelta(minutes=30))


def test_a_report_of_gotowebinar_is_read():
    about = 'Webinar Name,Webinar ID,Actual Start Date/Time,Duration\nA talk,1,"Mar 02, 2026 07:00 PM UTC",30\n\n'
    header = "Attended,Interest Rating,Last Name,First Name,Email Address,Registration Date/Time,Join Time,Leave Time"
    registered = '"Mar 01, 2026 09:00 AM UTC"'
    here = f'Yes,80,One,Guest,one@example.org,{registered},"Mar 02, 2026 07:00 PM UTC","Mar 02, 2026 07:20 PM UTC"\n'
    away = f"No,--,Two,Guest,two@example.org,{registered},--,--\n"
    recording = open_recording(f"{about}{header}\n{here}{away}".encode())
    assert (recording.format, recording.people) == ("GoToWebinar attendee report", 1)
    assert [event.timestamp for event in recording.events] == [SEVEN_PM, SEVEN_PM + timedelta(minutes=20)]
    assert recording.ended_at == SEVEN_PM + timedelta(minutes=30)
    assert recording.unused == {"people who registered and did not come": 1}


def test_what_is_no_address_does_not_make_one_person_of_everybody():
    content = f"{HEADER}\nA,n/a,03/02/2026 07:00:00 PM,03/02/2026 08:00:00 PM,60,Yes\n"
    content += "B,n/a,03/02/2026 07:00:00 PM,03/02/2026 08:00:00 PM,60,Yes\n"
    assert open_recording(content.encode()).people == 2


def test_an_end_of_another_day_is_not_this_ones():
    head = "Meeting ID,Topic,Start Time,End Time\n1,A talk,{0} 07:00:00 PM,{0} 08:00:00 PM\n\n"
    stays = f"{HEADER}\nA,,03/02/2026 07:00:00 PM,03/02/2026 07:59:00 PM,59,No\n"
    this, other = (open_recording((head.format(day) + stays).encode()) for day in ("03/02/2026", "04/02/2026"))
    assert (this.ended_at, other.ended_at) == (SEVEN_PM + timedelta(minutes=59), None)
