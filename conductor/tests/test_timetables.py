"""Sessions as organizers plan them."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from conductor.tests import stage
from conductor.zones import zone_choices
from engagement.models import Event, Preferences, Session
from engagement.sessions import write_breaks

pytestmark = pytest.mark.django_db
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def plan(*breaks: tuple[str, str], stored: int = 0, **fields: str) -> dict[str, str]:
    """Return what a browser sends of the form; times of `breaks` are those of one day."""
    sent = {"title": "Keynote", "zone": "Europe/Oslo", "starts_at": "", "ends_at": "", **fields}
    sent |= {"breaks-TOTAL_FORMS": str(len(breaks)), "breaks-INITIAL_FORMS": str(stored)}
    for place, (begin, end) in enumerate(breaks):
        for name, time in (("starts_at", begin), ("ends_at", end)):
            sent[f"breaks-{place}-{name}"] = f"2026-03-02T{time}" if time else ""
    return sent


def errors(answer) -> dict[str, list[str]]:
    """Return what the form says is wrong, by field."""
    told = answer.context["plan"]
    found = {name: list(said) for name, said in told.form.errors.items()}
    for place, form in enumerate(told.breaks):
        found |= {f"break {place} {name}": list(said) for name, said in form.errors.items()}
    return found


@pytest.fixture
def planned(event) -> Session:
    second = timedelta(seconds=7)
    return Session.objects.create(
        event=event,
        title="Keynote",
        starts_at=NINE + second,
        ends_at=NINE + timedelta(hours=2),
        breaks=write_breaks([(NINE + timedelta(hours=1) + second, NINE + timedelta(minutes=75))]),
    )


def test_a_session_is_planned_in_the_zone_that_was_chosen(client, organizer, event):
    sent = plan(("11:00", "11:15"), ("10:30", "10:45"), starts_at="2026-03-02T10:00", ends_at="2026-03-02T12:00")

    answer = client.post(f"/events/{event.id}/sessions/new/", sent)

    session = Session.objects.get()
    assert answer["Location"] == f"/sessions/{session.id}/"
    assert (session.event, session.title, session.status) == (event, "Keynote", "scheduled")
    assert (session.starts_at, session.ends_at) == (NINE, NINE + timedelta(hours=2))
    assert session.planned_breaks == [
        (NINE + timedelta(minutes=30), NINE + timedelta(minutes=45)),
        (NINE + timedelta(minutes=60), NINE + timedelta(minutes=75)),
    ]
    assert Preferences.objects.get(user=organizer).zone == "Europe/Oslo"


@pytest.mark.parametrize(
    ("cookie", "chosen", "zone"),
    [
        ("", "", "UTC"),
        ("Asia%2FTokyo", "", "Asia/Tokyo"),
        ("Asia/Tokyo", "Europe/Oslo", "Europe/Oslo"),
        ("../../etc/passwd", "", "UTC"),
        ("Nowhere/Land", "Gone/Zone", "UTC"),
    ],
)
def test_the_zone_is_the_chosen_one_else_the_browsers(client, organizer, event, cookie, chosen, zone):
    client.cookies["zone"] = cookie
    Preferences.objects.create(user=organizer, zone=chosen)

    form = client.get(f"/events/{event.id}/sessions/new/").context["plan"].form

    assert form["zone"].value() == zone
    assert zone in dict(zone_choices())


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        (plan(title=""), {"title": ["This field is required."]}),
        (plan(zone="Nowhere"), {"zone": ["Select a valid choice. Nowhere is not one of the available choices."]}),
        (plan(starts_at="soon"), {"starts_at": ["Enter a valid date/time."]}),
        (
            plan(starts_at="2026-03-02T10:00", ends_at="2026-03-02T10:00"),
            {"ends_at": ["Planned end is not after the planned start."]},
        ),
        (
            plan(starts_at="2026-03-29T02:30"),
            {"starts_at": ["Clocks are put forward then: there is no such time on that day."]},
        ),
        (plan(starts_at="0001-01-01T00:00"), {"starts_at": ["No calendar goes that far."]}),
        (plan(("11:00", "10:00")), {"break 0 ends_at": ["Break ends is not after its start."]}),
        (plan(("11:00", "")), {"break 0 ends_at": ["This field is required."]}),
        (
            plan(("09:00", "09:15"), starts_at="2026-03-02T10:00"),
            {"break 0 starts_at": ["Break starts is before the session starts."]},
        ),
        (
            plan(("10:30", "11:00"), ("10:00", "10:45")),
            {"break 0 starts_at": ["Break starts is before the break before it ended."]},
        ),
        (
            plan(("10:30", "11:00"), ends_at="2026-03-02T10:45"),
            {"break 0 ends_at": ["Break ends is after the session ends."]},
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(client, organizer, event, sent, wrong):
    answer = client.post(f"/events/{event.id}/sessions/new/", sent)

    assert answer.status_code == 200
    assert errors(answer) == wrong
    page = answer.content.decode()
    assert all(f'value="{value}"' in page for name, value in sent.items() if "T" in value)
    assert page.count('aria-invalid="true"') == 1
    assert not Session.objects.exists()


def test_a_break_is_added_to_what_was_typed_and_nothing_is_called_wrong_yet(client, organizer, event):
    answer = client.post(f"/events/{event.id}/sessions/new/", plan(("10:30", ""), title="", add_break="1"))

    page = answer.content.decode()
    assert len(answer.context["plan"].breaks.forms) == 2
    assert 'value="2026-03-02T10:30"' in page
    assert "form-error" not in page
    assert "aria-invalid" not in page
    assert not Session.objects.exists()


def test_breaks_are_bounded(client, organizer, event):
    sent = plan(add_break="1") | {"breaks-TOTAL_FORMS": "100000"}

    assert len(client.post(f"/events/{event.id}/sessions/new/", sent).context["plan"].breaks.forms) == 50


def test_what_was_not_touched_stays_to_the_second(client, organizer, planned):
    client.cookies["zone"] = "Europe/Oslo"
    form = client.get(f"/sessions/{planned.id}/edit/").context["plan"]
    assert (form.form["starts_at"].value(), form.form["ends_at"].value()) == ("2026-03-02T10:00", "2026-03-02T12:00")

    sent = plan(("11:00", "11:15"), stored=1, title="Closing", starts_at="2026-03-02T10:00", ends_at="2026-03-02T12:00")
    assert client.post(f"/sessions/{planned.id}/edit/", sent).status_code == 302

    now = Session.objects.get()
    assert now.title == "Closing"
    assert (now.starts_at, now.ends_at, now.breaks) == (planned.starts_at, planned.ends_at, planned.breaks)


def test_what_somebody_else_changed_meanwhile_stays(client, organizer, planned, monkeypatch):
    sent = plan(("11:00", "11:15"), stored=1, title="Closing", starts_at="2026-03-02T10:00", ends_at="2026-03-02T12:00")
    from conductor import timetables

    found = timetables.find_session

    def find_and_be_overtaken(*args):
        session = found(*args)
        Session.objects.update(ends_at=NINE + timedelta(hours=3))
        return session

    monkeypatch.setattr(timetables, "find_session", find_and_be_overtaken)
    client.post(f"/sessions/{planned.id}/edit/", sent)

    assert Session.objects.values_list("title", "ends_at").get() == ("Closing", NINE + timedelta(hours=3))


def test_a_break_is_removed(client, organizer, planned):
    sent = plan(("11:00", "11:15"), stored=1, starts_at="2026-03-02T10:00", ends_at="2026-03-02T12:00")

    client.post(f"/sessions/{planned.id}/edit/", sent | {"breaks-0-DELETE": "on"})

    assert Session.objects.get().breaks == []


def test_ending_asks_once_and_ends_for_good(client, organizer, session):
    asked = client.get(f"/sessions/{session.id}/end/")
    assert "cannot be opened again" in asked.content.decode()
    assert Session.objects.get().status == "live"

    for _ in range(2):
        assert client.post(f"/sessions/{session.id}/end/")["Location"] == f"/sessions/{session.id}/"

    ended = Session.objects.get()
    assert ended.status == "ended"
    assert "It has ended." in client.get(f"/sessions/{session.id}/end/").content.decode()


def test_deleting_asks_once_and_erases(client, organizer, session):
    assert "for good" in client.get(f"/sessions/{session.id}/delete/").content.decode()
    assert Session.objects.exists()

    assert client.post(f"/sessions/{session.id}/delete/")["Location"] == f"/events/{session.event_id}/"
    assert not Session.objects.exists()
    assert client.post(f"/sessions/{session.id}/delete/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_session_that_somebody_holds_is_not_deleted(client, organizer, session, monkeypatch):
    monkeypatch.setattr("engagement.erasure.WAIT_SECONDS", 0.1)
    with psycopg.connect(**connection.get_connection_params()) as sweep:
        sweep.execute("SELECT FROM engagement_session FOR NO KEY UPDATE")
        answer = client.post(f"/sessions/{session.id}/delete/")

    assert answer.status_code == 409
    assert "Nothing was deleted" in answer.content.decode()
    assert Session.objects.exists()


def test_the_list_of_an_event_leads_to_its_plans(client, organizer, session):
    page = client.get(f"/events/{session.event_id}/").content.decode()

    assert f'href="/sessions/{session.id}/edit/"' in page
    assert f'href="/events/{session.event_id}/sessions/new/"' in page


def test_another_events_session_is_not_there(client, organizer):
    other = stage.live_session(Event.objects.create(name="Another"))

    for page in ("edit", "end", "delete"):
        assert client.get(f"/sessions/{other.id}/{page}/").status_code == 404
        assert client.post(f"/sessions/{other.id}/{page}/", plan()).status_code == 404
