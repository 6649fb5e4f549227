import gzip
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from anomalies import watch
from anomalies.detector.config import DEFAULT, Opening
from anomalies.models import Anomaly
from anomalies.tests.rooms import at_minute, collapse, healthy_room
from conductor import live
from conductor.tests import stage, sweeping
from engagement.erasure import erase_sessions
from engagement.ingest import record_rows
from engagement.models import ApiKey, Erasure, Event, Session
from engagement.readings import Reading

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def addresses(session: Session) -> list[str]:
    return ["/", f"/sessions/{session.id}/", f"/sessions/{session.id}/anomalies/"]


def test_logged_out_browser_is_sent_to_the_login_page(client, session):
    for address in addresses(session):
        answer = client.get(address)
        assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={address}")


def test_logged_out_fragment_makes_the_page_reload(client, session):
    answer = client.get("/", headers=HTMX)
    assert (answer["HX-Refresh"], answer.content) == ("true", b"")


def test_other_organizers_session_is_not_there(client, session):
    anomaly = stage.incident(session)
    client.force_login(stage.organizer("stranger"))
    for address in addresses(session)[1:]:
        assert client.get(address).status_code == 404
    for click in ("acknowledge", "dismiss"):
        assert client.post(reverse("anomaly-act", args=[session.id, anomaly.id, click])).status_code == 404
    assert client.post(reverse("session-sensitivity", args=[session.id]), {"sensitivity": "calm"}).status_code == 404
    assert Event.objects.get(id=session.event_id).sensitivity == "normal"
    anomaly.refresh_from_db()
    assert anomaly.status == Anomaly.Status.OPEN
    assert str(session.id) not in client.get("/").content.decode()


def test_anomaly_of_another_session_is_not_there(client, organizer, event, session):
    anomaly = stage.incident(stage.live_session(event, "Other room"))
    assert client.post(reverse("anomaly-act", args=[session.id, anomaly.id, "acknowledge"])).status_code == 404


def test_unknown_page_speaks_the_products_language(client, organizer):
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "Not here" in answer.content.decode()


def test_login_and_logout_work(client, session, event):
    stage.organizer("mara", event)
    page = client.get("/accounts/login/?next=/").content.decode()
    assert 'name="password"' in page
    wrong = client.post("/accounts/login/", {"username": "mara", "password": "wrong"})
    assert wrong.status_code == 200
    assert 'role="alert"' in wrong.content.decode()
    right = client.post("/accounts/login/", {"username": "mara", "password": "correct horse", "next": "/"})
    assert right["Location"] == "/"
    assert client.get("/accounts/logout/").status_code == 405
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
    assert client.get("/").status_code == 302


def test_pages_fragments_and_refusals_are_kept_nowhere(client, session, event):
    stage.organizer("mara", event)
    for address in [
        *addresses(session),
        "/recordings/",
        "/accounts/login/",
        "/nowhere/",
        "/api/v1/sessions",
        "/admin/",
    ]:
        check_kept_nowhere(client.get(address))
    client.force_login(User.objects.get(username="mara"))
    for address in [*addresses(session), "/recordings/", "/nowhere/", "/accounts/login/", "/admin/"]:
        check_kept_nowhere(client.get(address))
        check_kept_nowhere(client.get(address, headers=HTMX))
    check_kept_nowhere(client.post(reverse("session-sensitivity", args=[session.id]), {"sensitivity": "calm"}))
    check_kept_nowhere(client.post("/accounts/logout/"))


def check_kept_nowhere(answer) -> None:
    assert "no-store" in answer.headers["Cache-Control"], answer.request["PATH_INFO"]


def test_static_files_are_kept(settings):
    settings.SERVESTATIC_AUTOREFRESH = settings.SERVESTATIC_USE_FINDERS = True
    client = Client()
    answer = client.get("/static/css/app.css")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "max-age=60, public")
    again = client.get("/static/css/app.css", headers={"If-Modified-Since": answer.headers["Last-Modified"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "max-age=60, public")


def test_dashboard_has_the_ids_of_the_contract(client, organizer, session):
    page = client.get(f"/sessions/{session.id}/").content.decode()
    for name in ("engagement-score", "engagement-chart", "signal-cards", "anomaly-banner", "connection-status"):
        assert page.count(f'id="{name}"') == 1
    assert "data-anomaly-id" not in page


def test_dashboard_shows_the_open_incident(client, organizer, session):
    anomaly = stage.incident(session)
    page = client.get(f"/sessions/{session.id}/").content.decode()
    assert f'data-severity="CRITICAL" data-anomaly-type="SUDDEN_DROP" data-anomaly-id="{anomaly.id}"' in page
    for words in ("Sudden drop", "Chat fell from 14 to 2 a minute.", "Ask the room a question.", ".74", "Acknowledge"):
        assert words in page


def test_page_escapes_what_others_wrote(client, organizer, event):
    session = stage.live_session(event, "<script>alert(1)</script>")
    stage.incident(session, description="<img src=x onerror=alert(2)>")
    for address in addresses(session):
        page = client.get(address).content.decode()
        assert "<script>alert" not in page
        assert "<img" not in page


@pytest.mark.parametrize("count", [1, 4, 300, 3_000])
def test_list_costs_the_same_queries_however_many_sessions(
    client, organizer, event, session, count, django_assert_num_queries
):
    live = {"status": "live", "judged_until": session.judged_until, "detector_state": "WATCHING"}
    more = [Session(event=event, title=f"Room {number}", **live) for number in range(count - 1)]
    Session.objects.bulk_create(more)
    stage.incident(more[-1] if more else session)
    # Login 2, sessions 4 or 3, rows 2, incidents 1, events 1, times 1
    with django_assert_num_queries(11 if count <= 100 else 10):
        page = client.get("/").content.decode()
    assert page.count('class="room"') == min(count, 100)
    assert page.index('data-state="critical"') < page.find('data-state="live"') or count == 1


def test_list_leaves_out_old_ended_sessions_and_says_so(client, organizer, event):
    for number in range(14):
        Session.objects.create(event=event, title=f"old {number}", status="ended", ended_at=stage.NOW)
    page = client.get("/").content.decode()
    assert (page.count('class="room"'), "2 older sessions" in page) == (12, True)
    assert client.get("/?section=over").content.decode().count('class="room"') == 14


def test_empty_list_teaches_with_the_events_own_key(client, organizer, event):
    ApiKey.objects.issue(event, "Webinar bridge")[0].revoke(now())
    assert "Webinar bridge" not in client.get("/").content.decode()
    _, secret = ApiKey.objects.issue(event, "Course platform")
    page = client.get("/").content.decode()
    assert "curl http://testserver/api/v1/sessions" in page
    assert "Course platform" in page
    assert secret not in page


def test_organizer_of_nothing_is_told_the_first_step(client, db):
    client.force_login(stage.User.objects.create_user("newcomer"))
    page = client.get("/").content.decode()
    assert 'href="/events/new/"' in page
    assert "ask an owner" in page


def test_history_filters_by_severity_and_type(client, organizer, session):
    stage.incident(session, "WARNING", anomaly_type="MASS_EXIT", description="the first")
    stage.incident(session, "CRITICAL", seconds=90, description="the second")
    address = f"/sessions/{session.id}/anomalies/"

    def shown(query: str) -> list[str]:
        return re.findall(r"the (\w+)</p>", client.get(address + query).content.decode())

    assert shown("") == ["second", "first"]
    assert shown("?severity=WARNING") == ["first"]
    assert shown("?anomaly_type=SUDDEN_DROP") == ["second"]
    assert shown("?severity=WARNING&anomaly_type=SUDDEN_DROP") == []
    assert shown("?severity=nonsense") == ["second", "first"]


def test_history_has_pages(client, organizer, session):
    for second in range(51):
        stage.incident(session, seconds=second)
    page = client.get(f"/sessions/{session.id}/anomalies/?severity=CRITICAL").content.decode()
    assert page.count('class="history-item"') == 50
    assert 'href="?severity=CRITICAL&amp;page=2"' in page


def test_acknowledge_is_kept_and_tells_every_screen(client, organizer, session, monkeypatch):
    anomaly, told = stage.incident(session), []
    monkeypatch.setattr(live, "announce", lambda changes, now: told.extend(changes))
    address = reverse("anomaly-act", args=[session.id, anomaly.id, "acknowledge"])
    assert client.post(address, headers=HTMX).status_code == 204
    anomaly.refresh_from_db()
    assert (anomaly.status, anomaly.reviewed_by) == (Anomaly.Status.ACKNOWLEDGED, organizer)
    assert told == [live.SessionChange(session.id, row=None, acted=(anomaly,))]
    page = client.get(f"/sessions/{session.id}/").content.decode()
    assert "mara is on it" in page
    assert address not in page


def test_acknowledge_twice_changes_nothing(client, organizer, session):
    anomaly = stage.incident(session)
    address = reverse("anomaly-act", args=[session.id, anomaly.id, "acknowledge"])
    client.post(address)
    anomaly.refresh_from_db()
    assert client.post(address)["Location"] == f"/sessions/{session.id}/"
    first_at = anomaly.reviewed_at
    anomaly.refresh_from_db()
    assert anomaly.reviewed_at == first_at


def test_false_alarm_takes_the_banner_away(client, organizer, session):
    anomaly = stage.incident(session)
    client.post(reverse("anomaly-act", args=[session.id, anomaly.id, "dismiss"]), headers=HTMX)
    anomaly.refresh_from_db()
    assert (anomaly.status, anomaly.review) == (Anomaly.Status.DISMISSED, Anomaly.Review.FALSE_ALARM)
    page = client.get(f"/sessions/{session.id}/").content.decode()
    assert "data-anomaly-id" not in page
    assert "false alarm" in page


def test_clicks_need_the_csrf_token(session, event):
    client = Client(enforce_csrf_checks=True)
    client.force_login(stage.organizer("mara", event))
    address = reverse("anomaly-act", args=[session.id, stage.incident(session).id, "acknowledge"])
    refused = client.post(address)
    assert (refused.status_code, "Not allowed" in refused.content.decode()) == (403, True)
    token = re.search(r'"X-CSRFToken": "(\w+)"', client.get("/").content.decode()).group(1)
    assert client.post(address, headers={**HTMX, "X-CSRFToken": token}).status_code == 204


def test_pages_answer_only_the_methods_they_know(client, organizer, session):
    assert client.post("/").status_code == 405
    anomaly = stage.incident(session)
    assert client.get(reverse("anomaly-act", args=[session.id, anomaly.id, "acknowledge"])).status_code == 405


def test_resolved_incident_says_how_long_it_lasted(client, organizer, session):
    newest = session.judged_until
    stage.incident(session, seconds=0, status=Anomaly.Status.RESOLVED, resolved_at=newest - timedelta(seconds=5))
    Session.objects.filter(id=session.id).update(heard_at=now())
    page = client.get(f"/sessions/{session.id}/").content.decode()
    assert "Sudden drop is over.</strong> It lasted 1 min 50 s." in page


def test_range_of_the_chart_is_the_page_or_for_htmx_the_chart_alone(client, organizer, session):
    address = f"/sessions/{session.id}/"
    for wanted, drawn in (("5min", "5min"), ("whole", "whole"), ("1h", "30min"), ("", "30min")):
        page = client.get(address, {"range": wanted}).content.decode()
        assert f'id="engagement-chart" class="chart" data-range="{drawn}"' in page
        assert page.count("<html") == 1
    chart = client.get(address, {"range": "whole"}, headers=HTMX).content.decode().strip()
    assert chart.startswith('<figure id="engagement-chart" class="chart" data-range="whole"')
    assert chart.endswith("</figure>")


def sensitivity_of(event: Event, page: str) -> str:
    """Return what the page says of the event, in its first line and in the choice."""
    [first_line] = re.findall(r'href="#sensitivity-form">Sensitivity: (\w+)<', page)
    [pressed] = re.findall(r'name="sensitivity" value="(\w+)" aria-pressed="true"', page)
    assert first_line == pressed == Event.objects.get(id=event.id).sensitivity
    return pressed


def test_page_shows_each_sensitivity_with_what_it_means(client, organizer, event, session):
    page = client.get(f"/sessions/{session.id}/").content.decode()
    assert sensitivity_of(event, page) == "normal"
    for choice in Event.Sensitivity:
        assert choice.label == f"{choice.value.capitalize()}: {choice.meaning}"
        assert choice.meaning.capitalize() in page


def test_click_changes_the_sensitivity_of_the_event_and_tells_its_screens(
    client, organizer, event, session, monkeypatch
):
    beside = stage.live_session(event, "Beside")
    Session.objects.create(event=event, title="Over", status="ended", ended_at=stage.NOW)
    stage.live_session(Event.objects.create(name="Another"))
    told = []
    monkeypatch.setattr(live, "announce", lambda changes, now: told.extend(changes))
    address = reverse("session-sensitivity", args=[session.id])
    answer = client.post(address, {"sensitivity": "calm"}, headers=HTMX)
    assert (answer.status_code, "is calm now, and was normal" in answer.content.decode()) == (200, True)
    assert {change.session_id for change in told} == {session.id, beside.id}
    for each in (session, beside):
        assert sensitivity_of(event, client.get(f"/sessions/{each.id}/").content.decode()) == "calm"


def test_sensitivity_can_be_chosen_without_javascript(event, session):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(stage.organizer("mara", event))
    page = browser.get(f"/sessions/{session.id}/").content.decode()
    [form] = re.findall(r'<form id="sensitivity-form" .*?</form>', page, re.S)
    address = re.search(r'method="post" action="([^"]+)"', form)[1]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)" form="sensitivity-form"', page)[1]
    name, value = re.search(
        r'<button type="submit" id="sensitivity-sensitive" name="(\w+)" value="(\w+)"', form
    ).groups()
    assert browser.post(address, {name: value}).status_code == 403
    answer = browser.post(address, {name: value, "csrfmiddlewaretoken": token})
    assert (answer.status_code, answer["Location"]) == (302, f"/sessions/{session.id}/")
    page = browser.get(answer["Location"]).content.decode()
    assert sensitivity_of(event, page) == "sensitive"
    assert "Sensitivity is sensitive now, and was normal." in page
    assert 'form="sensitivity-undo"' in page


def test_choice_of_sensitivity_is_undone_unless_somebody_chose_meanwhile(client, organizer, event, session):
    address = reverse("session-sensitivity", args=[session.id])

    def choose(**fields: str) -> str:
        return client.post(address, fields, headers=HTMX).content.decode()

    def undo(words: str) -> dict[str, str]:
        return dict(re.findall(r'name="(instead_of|sensitivity)" value="(\w+)"', words))

    choose(sensitivity="calm")
    first = undo(choose(sensitivity="sensitive"))
    assert first == {"instead_of": "sensitive", "sensitivity": "calm"}
    again = undo(choose(**first))
    assert again == {"instead_of": "calm", "sensitivity": "sensitive"}
    assert Event.objects.get(id=event.id).sensitivity == "calm"
    choose(sensitivity="normal")
    late = choose(**again)
    assert (undo(late), "Somebody chose normal meanwhile" in late) == ({}, True)
    assert Event.objects.get(id=event.id).sensitivity == "normal"
    assert "was normal already" in choose(sensitivity="normal")


@pytest.mark.parametrize("fields", [{}, {"sensitivity": ""}, {"sensitivity": "CALM"}, {"sensitivity": "calm\0"}])
def test_unknown_sensitivity_is_refused_and_changes_nothing(client, organizer, event, session, fields):
    answer = client.post(reverse("session-sensitivity", args=[session.id]), fields)
    assert (answer.status_code, answer.content) == (400, b"Choose one of calm, normal, sensitive.")
    assert Event.objects.get(id=event.id).sensitivity == "normal"


def test_sensitivity_is_chosen_by_post_alone_and_by_who_is_logged_in(client, session):
    address = reverse("session-sensitivity", args=[session.id])
    answer = client.post(address, {"sensitivity": "calm"})
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={address}")
    client.force_login(stage.organizer("mara", session.event))
    assert client.get(address).status_code == 405
    assert Event.objects.get(id=session.event_id).sensitivity == "normal"


def test_sensitivity_counts_from_the_next_row_on(client, organizer, event, monkeypatch):
    deaf = replace(DEFAULT, opening=Opening(warning_from=2.0, critical_from=2.0))
    monkeypatch.setattr(watch, "BY_SENSITIVITY", {**watch.BY_SENSITIVITY, "calm": deaf})
    session = Session.objects.create(event=event, title="Room")
    rows = collapse(healthy_room(minutes=14), at_minute(12))
    half = len(rows) - 12
    address = reverse("session-sensitivity", args=[session.id])
    client.post(address, {"sensitivity": "calm"})
    judge(session, rows[:half])
    assert not Anomaly.objects.exists()
    client.post(address, {"sensitivity": "normal"})
    judge(session, rows[half:])
    assert Anomaly.objects.get().timestamp >= rows[half].timestamp


def judge(session: Session, readings: list[Reading]) -> None:
    record_rows(session.id, readings, stage.NOW)
    sweeping.sweep_all(stage.NOW)


def test_ended_session_offers_no_sensitivity(client, organizer, session):
    Session.objects.update(status="ended", ended_at=stage.NOW)
    page = client.get(f"/sessions/{session.id}/").content.decode()
    assert "Sensitivity" not in page


def test_what_was_erased_is_on_no_page(client, organizer, session):
    addresses = [reverse(name, args=[session.id]) for name in ("session", "session-anomalies")]
    assert {client.get(address).status_code for address in addresses} == {200}

    erase_sessions([session.id], "ada", stage.NOW)

    assert {client.get(address).status_code for address in addresses} == {404}
    assert session.title not in client.get(reverse("sessions")).content.decode()


def test_organizers_who_are_no_administrators_erase_nothing(client, organizer, session):
    pages = [client.get(reverse(*args)).content.decode() for args in [("sessions",), ("session", None, [session.id])]]
    answers = [
        client.post(reverse(f"admin:engagement_{kind}_delete", args=[id_]), {"post": "yes"})
        for kind, id_ in (("session", session.id), ("event", session.event_id))
    ]

    assert not any("delete" in page.lower() or "erase" in page.lower() for page in pages)
    assert [answer.url.partition("?")[0] for answer in answers] == [reverse("admin:login")] * 2
    assert Session.objects.get() == session
    assert not Erasure.objects.exists()


def test_page_is_compressed_with_padding_for_who_takes_it(client, organizer, session):
    address = f"/sessions/{session.id}/"
    plain = client.get(address)
    packed = [client.get(address, headers={"Accept-Encoding": "gzip"}) for _ in range(8)]
    assert "Content-Encoding" not in plain.headers
    assert {answer.headers["Content-Encoding"] for answer in packed} == {"gzip"}
    assert b'id="engagement-chart"' in gzip.decompress(packed[0].content)
    assert len(packed[0].content) < len(plain.content) / 2
    # What an attacker would measure is hidden in the header's file name, of a random length.
    assert len({answer.content[10:].index(0) for answer in packed}) > 1


def test_rest_answers_the_same_bytes_whatever_is_taken(client, organizer):
    answer = client.get("/api/v1/nowhere", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
