import gzip
import json
import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from anomalies.models import Anomaly
from anomalies.tests.rooms import at_minute, collapse, healthy_room
from conductor import archive, uploads
from conductor.tests import stage, sweeping
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Event, Role, Session, Upload, UploadPart
from engagement.recordings.jsonl import signals_object
from engagement.tests.recordings.test_attendance import REPORT, SEVEN_PM
from engagement.tests.recordings.test_bigbluebutton import document, join, leave
from engagement.tests.recordings.test_bigbluebutton import event as recorded
from engagement.tests.recordings.test_chatlog import DATED
from engagement.tests.recordings.test_zoom_chat import SAVED
from engagement.uploads import MOST_UNFINISHED, claim_upload, forget_uploads, keep_upload

pytestmark = pytest.mark.django_db

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROOM = collapse(healthy_room(minutes=50), at_minute(20), at_minute(24))
ROWS = "\n".join(json.dumps(signals_object(row)) for row in ROOM).encode()


@pytest.fixture
def upload(client, organizer, event):
    """Post the form as a browser does, have it read, and look at what becomes of it.

    The form is whole by default, each field may be changed.
    """

    def post(*contents: bytes, names: tuple[str, ...] = (), **fields):
        files = [
            SimpleUploadedFile(name, content)
            for name, content in zip(names or ("recording",) * len(contents), contents, strict=True)
        ]
        whole = {"files": files, "event": str(event.id), "title": "Rehearsal", "zone": "UTC"}
        answer = client.post("/recordings/", whole | fields)
        if answer.status_code != 302:
            return answer
        archive.read_next_upload(now())
        sweeping.sweep_all(now())
        return client.get(answer["Location"])

    return post


def error_of(answer) -> str:
    """What the page says is wrong, and only the page: nothing is stored, and the files are not kept."""
    assert (answer.status_code, Session.objects.count(), EngagementRow.objects.count()) == (200, 0, 0)
    assert not UploadPart.objects.exists()
    return " ".join(re.findall(r'class="form-error".*?</svg>(.*?)</p>', answer.content.decode()))


def test_a_recording_is_kept_as_it_would_have_run(client, upload):
    answer = upload(gzip.compress(ROWS))
    session = Session.objects.get()
    assert answer["Location"] == f"/sessions/{session.id}/"
    assert (session.title, session.status, session.ended_at) == ("Rehearsal", "ended", ROOM[-1].timestamp)
    assert session.rows.count() == len(ROOM)
    sweeping.sweep_all(stage.NOW)
    [incident] = Anomaly.objects.for_session(session)
    assert incident.anomaly_type == "MASS_EXIT"
    assert at_minute(20) <= incident.timestamp <= at_minute(21)
    assert incident.status == "resolved"
    page = client.get(answer["Location"]).content.decode()
    assert "the session as it would have run" in page
    assert f"{len(ROOM)} rows" in page
    assert incident.description in page
    assert 'class="chart-start" data-severity="CRITICAL"' in page
    assert "the session as it would have run" not in client.get(answer["Location"]).content.decode()


def test_a_kept_recording_is_a_session_like_any_other(client, upload):
    session_url = upload(ROWS)["Location"]
    assert f'href="{session_url}"' in client.get("/").content.decode()
    assert "Mass exit" in client.get(f"{session_url}anomalies/").content.decode()


def test_what_is_kept_is_what_a_live_session_would_have(upload, event):
    upload(ROWS)
    kept = Session.objects.get()
    live = Session.objects.create(event=event, title="Live")
    for start in range(0, len(ROOM), 7):
        record_rows(live.id, ROOM[start : start + 7], stage.NOW)
        sweeping.sweep_all(stage.NOW)
    sweeping.end(live.id, stage.NOW)

    def judged(session):
        fields = ("timestamp", "anomaly_type", "severity", "anomaly_score", "resolved_at", "description", "metadata")
        return list(Anomaly.objects.for_session(session).values(*fields))

    assert judged(kept) == judged(live)
    scores = [list(each.rows.values_list("timestamp", "engagement_score")) for each in (kept, live)]
    assert scores[0] == scores[1]


def test_several_files_of_a_session_are_one(upload):
    upload(SAVED, REPORT.encode(), names=("chat.txt", "report.csv"))
    session = Session.objects.get()
    assert session.ends_at == SEVEN_PM + timedelta(hours=1)  # when the host left
    row = session.rows.get(timestamp=SEVEN_PM + timedelta(minutes=1))
    assert (row.chat_msgs_per_min, row.total_users) == (2.0, 2)


def test_the_plan_is_of_the_zone_that_was_chosen(upload):
    upload(SAVED, zone="Europe/Oslo", starts_at="2026-03-02T19:00", ends_at="2026-03-02T20:00")
    session = Session.objects.get()
    assert (session.starts_at, session.ends_at) == (SEVEN_PM - timedelta(hours=1), SEVEN_PM)
    assert session.rows.first().timestamp == SEVEN_PM - timedelta(minutes=59, seconds=50)


def test_what_could_not_be_used_is_told(client, upload):
    content = document(join(0, "a"), leave(60, "a"), *(recorded(n, "WHITEBOARD", "X") for n in range(1, 4)))
    page = client.get(upload(content)["Location"]).content.decode()
    assert "<li>3 whiteboard events</li>" in page
    assert "Read as BigBlueButton events: 2 events of 1 person" in page


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "room.log is empty."),
        (b"\x00\x01\xfe\xff" * 500, "room.log is no recording that we know: choose JSON Lines"),
        (ROWS[:-9], f"room.log, line {len(ROOM)}: is not JSON, or breaks off."),
        (document(join(0, "a"), leave(9, "a"))[:-12], "is not XML, or breaks off."),
        (gzip.compress(ROWS, mtime=0)[:-99], "is packed with gzip and breaks off."),
        (json.dumps({"comments": DATED}).encode()[:-9], "is not JSON, or breaks off."),
        (SAVED, "tells no date: give the planned start, or choose the attendee report along with it."),
        (b"PK\x03\x04", "is a zip archive: unpack it and choose the files in it."),
        (b'{"timestamp": "2090-01-01T00:00:00Z", "active_users": 1}', "more than five minutes ahead"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(upload, content, words):
    assert words in error_of(upload(content, names=("room.log",)))


def test_more_rows_than_one_can_wait_for_are_refused(upload, monkeypatch):
    monkeypatch.setattr(archive, "MAX_KEPT_ROWS", len(ROOM) - 1)
    assert "has more than 599 rows: split it." in error_of(upload(ROWS))


@pytest.mark.django_db(transaction=True)
def test_a_failure_in_the_middle_stores_nothing(upload, monkeypatch):
    def fail(*_):
        raise RuntimeError("the detector broke")

    monkeypatch.setattr(archive.pipeline, "end_session", fail)
    with pytest.raises(RuntimeError):
        upload(ROWS)
    assert (Session.objects.count(), EngagementRow.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"title": " "}, "This field is required."),
        ({"title": "a\0b"}, "Null characters are not allowed."),
        ({"zone": "Mars/Olympus"}, "Select a valid choice."),
        ({"starts_at": "soon"}, "Enter a valid date/time."),
        ({"starts_at": "2026-03-02T09:00", "ends_at": "2026-03-02T08:00"}, "ends before its planned start"),
        ({"files": []}, "This field is required."),
        ({"event": "nonsense"}, "is not a valid UUID."),
    ],
)
def test_every_field_is_checked(upload, fields, words):
    assert words in error_of(upload(ROWS, **fields))


def test_too_many_files_are_refused(upload):
    assert "Choose up to 5 files" in error_of(upload(*[ROWS] * 6))


def test_the_event_of_another_organizer_cannot_be_chosen(client, upload):
    other = Event.objects.create(name="Somebody else's")
    assert "Select a valid choice" in error_of(upload(ROWS, event=str(other.id)))
    assert "Somebody else" not in client.get("/recordings/").content.decode()


def test_who_organizes_nothing_is_told(client):
    client.force_login(stage.organizer("nobody", Event.objects.create(name="Gone")))
    Event.objects.all().delete()
    assert "You organize no event yet" in client.get("/recordings/").content.decode()


def test_a_login_is_needed(client, event):
    for answer in (client.get("/recordings/"), client.post("/recordings/", {"title": "x"})):
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/recordings/")


def test_the_csrf_token_is_needed(organizer, event):
    client = Client(enforce_csrf_checks=True)
    client.force_login(organizer)
    fields = {"event": str(event.id), "title": "x", "zone": "UTC"}
    assert client.post("/recordings/", fields | {"files": SimpleUploadedFile("r", ROWS)}).status_code == 403
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/recordings/").content.decode())[1]
    fields["csrfmiddlewaretoken"] = token
    assert client.post("/recordings/", fields | {"files": SimpleUploadedFile("r", ROWS)}).status_code == 302


def test_a_huge_upload_is_refused_before_it_is_read(client, organizer, monkeypatch):
    monkeypatch.setattr("django.http.request.HttpRequest._load_post_and_files", lambda request: pytest.fail("was read"))
    answer = client.post("/recordings/", {"title": "x"}, headers={"Content-Length": str(uploads.MAX_BODY + 1)})
    assert answer.status_code == 413
    assert "An upload holds up to 64 MB" in answer.content.decode()


@pytest.mark.parametrize("kilobytes", [1, 4_000])
def test_no_temporary_file_stays(upload, tmp_path, monkeypatch, kilobytes):
    monkeypatch.setattr(settings, "FILE_UPLOAD_TEMP_DIR", tmp_path)
    seen = []

    def look_and_keep(*args):
        seen.extend(tmp_path.iterdir())
        keep_upload(*args)

    monkeypatch.setattr(uploads, "keep_upload", look_and_keep)
    upload(ROWS + (b"\n" + b" " * 1023) * kilobytes)
    assert len(seen) == (kilobytes * 1024 > settings.FILE_UPLOAD_MAX_MEMORY_SIZE)
    assert list(tmp_path.iterdir()) == []


NAME, ADDRESS, WORDS = "Xylophonia Quux", "xylophonia@example.org", "Marzipankartoffel"
PRIVATE = {
    "bigbluebutton": document(
        join(0, "w_a", ADDRESS).replace("<name>Guest", f"<name>{NAME}"),
        recorded(3, "CHAT", "PublicChatEvent", senderId="w_a", sender=NAME, message=WORDS),
        recorded(4, "POLL", "PollStartedRecordEvent", pollId=WORDS, question=WORDS),
        recorded(5, "POLL", "UserRespondedToPollRecordEvent", pollId=WORDS, userId="w_a", answer=WORDS),
        recorded(6, "WHITEBOARD", WORDS, text=WORDS),
        leave(600, "w_a"),
    ),
    "report": REPORT.replace("Guest One", NAME).replace("one@example.org", ADDRESS).replace("A talk", WORDS).encode(),
    "chat": SAVED.replace(b"Guest One", NAME.encode()).replace(b"good evening", WORDS.encode()),
    "jsonl": json.dumps(
        {"type": "chat", "timestamp": "2026-03-02T09:00:00Z", "user": ADDRESS, "id": NAME, "poll": WORDS, "text": WORDS}
    ).encode(),
    "twitch": json.dumps({"comments": DATED}).replace("Guest 1", NAME).replace("sorts", WORDS).encode(),
    "log": f"[0:00:05] {NAME}: {WORDS}\n".encode(),
}


def everything_stored() -> str:
    """All that the database holds, as text; bytes are in it in hexadecimal."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        texts = []
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            texts += [text for (text,) in cursor.fetchall()]
    return "\n".join(texts)


@pytest.mark.parametrize("content", PRIVATE.values(), ids=PRIVATE)
@pytest.mark.parametrize("is_broken", [False, True], ids=["whole", "broken"])
def test_no_name_and_no_word_stays_anywhere(client, upload, caplog, content, is_broken):
    caplog.set_level(logging.DEBUG)
    answer = upload(content[:-7] + b"\xff{<\x00" if is_broken else content, starts_at="2026-03-02T19:00")
    pages = [answer.content.decode(), *(client.get(url).content.decode() for url in ("/", "/recordings/"))]
    for session in Session.objects.all():
        pages += [client.get(f"/sessions/{session.id}/").content.decode()]
        pages += [client.get(f"/sessions/{session.id}/anomalies/").content.decode()]
    assert is_broken or Session.objects.exists()
    seen = "\n".join([everything_stored(), caplog.text, *pages]).lower()
    for secret in (NAME, ADDRESS, WORDS):
        assert secret.lower() not in seen
        assert secret.encode().hex() not in seen
        assert secret.lower().encode().hex() not in seen


def test_the_page_shows_the_whole_session(client, upload):
    address = upload(ROWS)["Location"]
    sweeping.sweep_all(stage.NOW)
    page = client.get(address).content.decode()
    times = re.findall(r'data-time="([^"]+)"', page)
    assert [datetime.fromisoformat(time) for time in times] == [NINE + timedelta(minutes=n) for n in range(5, 51, 5)]
    assert page.count('class="chart-mark"') == 1


def test_the_list_leads_to_the_page(client, organizer):
    assert 'href="/recordings/"' in client.get("/").content.decode()


def test_the_time_zones_are_known_to_the_page(client, organizer):
    page = client.get("/recordings/").content.decode()
    assert '<option value="America/New_York">America/New York</option>' in page


def send(client, event, content: bytes = ROWS, **fields) -> str:
    """Upload a file and return the address of its progress; nobody reads it."""
    whole = {"files": SimpleUploadedFile("room.jsonl", content), "event": str(event.id), "title": "Rehearsal"}
    return client.post("/recordings/", {**whole, "zone": "UTC", **fields})["Location"]


def test_the_page_says_what_is_being_done(client, organizer, event):
    first, second = send(client, event), send(client, event, title="Closing")
    for upload, address in zip(Upload.objects.all(), (first, second), strict=True):
        assert address == f"/recordings/{upload.id}/"
    assert "It is the next one." in client.get(first).content.decode()
    assert "1 recording is read before it." in client.get(second).content.decode()
    claim_upload(now() - timedelta(seconds=70))
    page = client.get(first).content.decode()
    assert "<h1>Rehearsal</h1>" in page
    assert "<strong>Being read</strong> for 1 min 10 s" in page
    assert f'hx-get="{first}"' in page


def test_the_session_opens_when_it_is_judged_to_its_end(client, organizer, event):
    address = send(client, event)
    archive.read_next_upload(now())
    session = Session.objects.get()
    page = client.get(address).content.decode()
    assert "<h1>Rehearsal</h1>" in page
    assert f"{len(ROOM)} rows" in page
    assert "<strong>Being judged</strong><span" in page
    assert f'href="/sessions/{session.id}/"' in page
    assert "Being judged" in client.get(address, headers={"HX-Request": "true"}).content.decode()
    sweeping.sweep_all(now())
    assert client.get(address)["Location"] == f"/sessions/{session.id}/"


def test_a_poll_gets_the_fragment_and_then_the_page_anew(client, organizer, event):
    address = send(client, event)
    poll = {"HX-Request": "true"}
    fragment = client.get(address, headers=poll).content.decode()
    assert fragment.startswith('<ol id="recording-progress"')
    assert fragment in client.get(address).content.decode()
    archive.read_next_upload(now())
    sweeping.sweep_all(now())
    answer = client.get(address, headers=poll)
    assert (answer["HX-Refresh"], answer.content) == ("true", b"")
    assert client.get(address)["Location"] == f"/sessions/{Session.objects.get().id}/"


def test_what_was_filled_in_stands_beside_what_is_wrong(client, organizer, event):
    address = send(client, event, ROWS[:-9], zone="Europe/Oslo", starts_at="2026-03-02T10:00")
    archive.read_next_upload(now())
    page = client.get(address).content.decode()
    assert f"room.jsonl, line {len(ROOM)}: is not JSON, or breaks off." in page
    assert 'action="/recordings/"' in page
    assert 'value="Rehearsal"' in page
    assert 'value="2026-03-02T10:00"' in page
    assert '<option value="Europe/Oslo" selected>' in page
    assert f'<option value="{event.id}" selected>' in page


def test_only_so_many_of_an_event_wait(client, organizer, event):
    for _ in range(MOST_UNFINISHED):
        send(client, event)
    fields = {"event": str(event.id), "title": "x", "zone": "UTC", "files": SimpleUploadedFile("r", ROWS)}
    assert "5 recordings of this event wait" in client.post("/recordings/", fields).content.decode()
    archive.read_next_upload(now())
    assert client.post("/recordings/", fields | {"files": SimpleUploadedFile("r", ROWS)}).status_code == 302


def test_the_progress_of_an_erased_event_is_gone(client, organizer, event):
    address = send(client, event)
    Event.objects.update(erased_at=now())
    assert client.get(address).status_code == 404


UNSAID = (
    b"Name (Original Name),User Email,Join Time,Leave Time,Duration (Minutes),Guest\n"
    b"Xylophonia Quux,x@example.org,04/05/2026 18:00:00,04/05/2026 18:30:00,30,No\n"
    b"Guest Two,y@example.org,04/05/2026 18:00:10,04/05/2026 18:30:00,30,No\n"
)
APRIL, MAY = datetime(2026, 4, 5, 18, tzinfo=UTC), datetime(2026, 5, 4, 18, tzinfo=UTC)


def begins() -> datetime:
    return Session.objects.get().rows.order_by("timestamp").first().timestamp - timedelta(seconds=5)


@pytest.fixture
def asked(client, organizer, event) -> str:
    """The address of an upload of which nobody can tell whether it was in April or in May."""
    address = send(client, event, UNSAID)
    archive.read_next_upload(now())
    return address


def test_an_order_of_dates_that_nothing_tells_is_asked_for(client, asked):
    page = client.get(asked).content.decode()
    assert (Session.objects.count(), UploadPart.objects.count()) == (0, 1)
    assert "5 April 2026" in page
    assert "4 May 2026" in page
    assert client.get(asked, headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    assert archive.read_next_upload(now()) is None
    assert client.post(asked, {"date_order": "day-first"})["Location"] == asked
    archive.read_next_upload(now())
    assert begins() == MAY
    assert not UploadPart.objects.exists()


def test_an_answer_that_is_none_leaves_the_question(client, asked):
    for answer in ({}, {"date_order": "year-first"}, {"redate": "1"}):
        client.post(asked, answer)
    assert Upload.objects.get().status == "asked"


def test_a_question_that_nobody_answers_ends_after_a_day(client, asked):
    forget_uploads(now() + timedelta(days=2))
    assert not UploadPart.objects.exists()
    assert "Nobody said within a day how it is to be read" in client.get(asked).content.decode()


@pytest.mark.parametrize(("order", "begin"), [("day-first", MAY), ("month-first", APRIL)])
def test_an_order_that_was_chosen_is_not_asked_for(upload, order, begin):
    upload(UNSAID, date_order=order)
    assert begins() == begin


def test_dates_that_were_read_in_the_wrong_order_are_put_right_afterwards(client, upload):
    upload(UNSAID, date_order="month-first", ends_at="2026-04-05T18:30")
    kept = Upload.objects.get()
    address = f"/recordings/{kept.id}/"
    page = client.get(client.get(address)["Location"]).content.decode()
    assert "It was on 5 April 2026." in page
    assert "No, it was on 4 May 2026" in page
    before = list(Session.objects.get().rows.order_by("timestamp").values_list("total_users", flat=True))

    assert client.post(address, {"redate": "1"})["Location"] == address

    session = Session.objects.get()
    assert begins() == MAY
    assert session.ends_at == MAY + timedelta(minutes=30)
    assert list(session.rows.order_by("timestamp").values_list("total_users", flat=True)) == before
    sweeping.sweep_all(now())
    assert client.get(address)["Location"] == f"/sessions/{session.id}/"
    assert "It was on 4 May 2026." in client.get(f"/sessions/{session.id}/").content.decode()


def test_who_may_only_read_answers_nothing(client, asked, event):
    client.force_login(stage.organizer("reader", event, Role.VIEWER))
    assert client.post(asked, {"date_order": "day-first"}).status_code == 403
    assert Upload.objects.get().status == "asked"


FINNISH = (
    b"Nimi,Ilmoittautui,Liittyi,Poistui\n"
    b"Xylophonia Quux,2026-03-01 09:00:00,2026-03-02 19:00:00,2026-03-02 19:30:00\n"
    b"Guest Two,2026-03-01 09:00:00,2026-03-02 19:00:10,2026-03-02 19:30:00\n"
)


def test_columns_that_nobody_knows_are_asked_for_once(client, organizer, event):
    address = send(client, event, FINNISH)
    archive.read_next_upload(now())
    page = client.get(address).content.decode()
    assert page.count('<option value="Liittyi">') == 3
    assert "Xylophonia" not in page
    wrong = client.post(address, {"name": "Nimi", "joined": "Liittyi", "left": "Liittyi"})
    assert "Choose a column of its own for each." in wrong.content.decode()
    client.post(address, {"name": "Nimi", "joined": "Liittyi", "left": "Poistui"})
    archive.read_next_upload(now())
    assert begins() == SEVEN_PM
    assert "Liittyi" not in everything_stored()


def test_a_time_that_clocks_leave_out_is_refused(upload):
    answer = upload(ROWS, zone="Europe/Oslo", starts_at="2026-03-29T02:30")
    assert "there is no such time on that day" in error_of(answer)


def test_a_normal_end_is_no_mass_exit(upload):
    lines = [f"Guest {n},g{n}@example.org,2026-03-02 19:00:0{n % 9},2026-03-02 20:0{n % 2}:00,60,No" for n in range(30)]
    header = "Name (Original Name),User Email,Join Time,Leave Time,Duration (Minutes),Guest"
    upload("\n".join([header, *lines]).encode())
    assert Session.objects.get().ends_at == SEVEN_PM + timedelta(hours=1)
    assert not Anomaly.objects.exists()


def ask(event: Event, **question: object) -> str:
    """Have something asked of a recording, and return the address of its page."""
    upload = Upload.objects.create(
        event=event, title="Class", zone="UTC", file_names=["a.csv"], size=3, uploaded_at=now(), status="asked",
        question=question,
    )  # fmt: skip
    return reverse("recording-progress", args=[upload.id])


def test_who_only_reads_is_told_that_an_organizer_is_asked(client, event):
    address = ask(event, columns=["Nimi", "Tuli", "Left"])
    client.force_login(stage.organizer("viewer", event, Role.VIEWER))
    page = client.get(address).content.decode()
    assert "An organizer of the event is asked" in page
    assert "Read it" not in page
    assert client.post(address, {"name": "Nimi", "joined": "Tuli", "left": "Left"}).status_code == 403


def test_question_that_is_not_answered_says_what_is_missing(client, event):
    days = {"month_first": "2026-03-04", "day_first": "2026-04-03"}
    address = ask(event, dates={"order": "month_first", "days": days})
    client.force_login(stage.organizer("mara", event, Role.ORGANIZER))
    for chosen in ({}, {"date_order": "whichever"}):
        page = client.post(address, chosen).content.decode()
        assert "Choose the day on which it was." in page
        assert "4 March 2026" in page
    assert Upload.objects.get().status == "asked"
