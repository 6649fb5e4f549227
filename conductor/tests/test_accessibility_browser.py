"""Nothing serious for axe on any page, light and dark, on a phone and on a laptop."""

from datetime import timedelta

import pytest
from auditlog.models import LogEntry
from axe_playwright_python.sync_playwright import Axe
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils.timezone import now

from anomalies.models import Actor, Anomaly
from conductor.models import Channel, Heard
from conductor.tests import stage
from conductor.tests.browsing import LAPTOP, PHONE, session_of_now, wait_until_live
from conductor.tests.platforms.payloads import make_platform
from engagement.erasure import erase_person
from engagement.models import ApiKey, BeaconToken, Event, Role, Session, Upload

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EVERY_LOOK = [(size, scheme) for size in (LAPTOP, PHONE) for scheme in ("light", "dark")]
BOTH_LOOKS = [(LAPTOP, "light"), (PHONE, "dark")]


@pytest.fixture
def page(page, complaints):
    """Return the page of all tests; axe tries styles that the policy forbids: what Chromium says of it is ignored."""
    yield page
    complaints.clear()


def find_serious(page, looks=EVERY_LOOK) -> list[str]:
    """Return what axe calls serious or critical on a page, in any of these looks."""
    found = []
    for (width, height), scheme in looks:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished))")
        for violation in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = "; ".join(f"{node['html'][:160]} {node['failureSummary'][:200]}" for node in violation["nodes"])
                found.append(f"{page.url} {width} {scheme} {violation['id']}: {nodes}")
    return found


def test_axe_finds_what_is_wrong(page, stack):
    page.set_content("<html lang='en'><title>x</title><main><h1>x</h1><button></button></main></html>")
    assert "button-name" in find_serious(page, BOTH_LOOKS)[0]


@pytest.fixture
def session(event) -> Session:
    return session_of_now(event)


def test_beacon_and_the_page_that_tries_it(page, stack, event, session):
    page.goto(f"{stack.url}/sessions/{session.id}/beacon/")
    assert "takes nothing from a beacon" in page.locator("#tokens").text_content()
    new = Session.objects.create(event=event, title="Not begun")
    page.goto(f"{stack.url}/sessions/{new.id}/beacon/")
    page.get_by_role("button", name="Make a token").click()
    page.locator("#snippet").wait_for()
    assert find_serious(page) == []
    address = page.locator("#try").evaluate("(link) => link.href")
    page.goto(address.partition("#")[0])
    assert find_serious(page) == []
    page.goto(address)
    page.get_by_role("button", name="Applaud").wait_for()
    assert find_serious(page) == []


def test_login(page, browser, stack):
    page.context.clear_cookies()
    page.goto(f"{stack.url}/accounts/login/")
    assert find_serious(page) == []
    page.get_by_label("Username").fill("mara")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector(".form-error")
    assert find_serious(page) == []


def test_control_room_without_a_session(page, stack, event):
    page.goto(f"{stack.url}/")
    assert find_serious(page) == []


def test_control_room_with_a_few_rooms(page, stack, event, session):
    for severity in ("WARNING", "CRITICAL"):
        room = session_of_now(event, severity, minutes=2)
        stage.incident(room, severity, timestamp=now() - timedelta(minutes=1))
    stage.incident(room, "WARNING", timestamp=now())
    stage.live_session(event, "Silent")
    Session.objects.create(event=event, title="Next", starts_at=now() + timedelta(days=1))
    Session.objects.create(event=event, title="Over", status="ended", ended_at=now())
    page.goto(f"{stack.url}/")
    wait_until_live(page)
    page.locator(".room-more summary").click()
    assert find_serious(page) == []
    page.keyboard.press("?")
    assert find_serious(page) == []
    page.goto(f"{stack.url}/?projector=1")
    assert find_serious(page) == []


def test_control_room_with_many_rooms(page, stack, event, session):
    stage.incident(session, timestamp=now() - timedelta(minutes=1))
    Session.objects.bulk_create([Session(event=event, title=f"Room {n:03}", status="live") for n in range(120)])
    page.goto(f"{stack.url}/?q=o")
    assert find_serious(page) == []
    page.goto(f"{stack.url}/?q=nowhere")
    assert find_serious(page) == []


def test_report_comparison_and_desk(page, stack, event, session):
    settled = stage.incident(session, timestamp=now() - timedelta(minutes=2))
    settled.tell_tried("poll", Actor("mara"), now(), note="A quiz.")
    settled.confirm(Actor("mara"), now())
    stage.incident(session, "WARNING", timestamp=now() - timedelta(minutes=1))
    User.objects.update(is_staff=True, is_superuser=True)
    for address in (f"/sessions/{session.id}/report/", f"/events/{event.id}/report/", reverse("desk")):
        page.goto(f"{stack.url}{address}")
        assert find_serious(page) == []


def test_pages_of_an_event_and_an_account(page, stack, event, session):
    event.memberships.update(role=Role.OWNER)
    ApiKey.objects.issue(event, "platform")
    where = {"kind": Channel.Kind.WEBHOOK, "target": "https://example.org/"}
    Channel.objects.create(event=event, name="Desk", created_at=now(), **where)
    Heard.objects.create(platform=make_platform(event), name="webinar.started", used=1, last_at=now())
    own = f"/events/{event.id}/"
    for address in (own, f"{own}edit/", f"{own}channels/", f"{own}platforms/", f"{own}sessions/new/",
                    f"/sessions/{session.id}/edit/",
                    f"/sessions/{session.id}/end/", "/events/new/", reverse("account")):  # fmt: skip
        page.goto(f"{stack.url}{address}")
        assert page.locator("h1").count() == 1, address
        assert find_serious(page, BOTH_LOOKS) == []


def open_everything(page) -> None:
    page.evaluate("for (const each of document.querySelectorAll('main details')) each.open = true")


@pytest.mark.parametrize("state", ["calm", "incident", "acknowledged", "ended", "no data", "bare"])
def test_session(page, stack, event, session, state):
    if state in ("incident", "acknowledged"):
        stage.incident(session, "CRITICAL", timestamp=now() - timedelta(minutes=1))
        stage.incident(session, "WARNING", timestamp=now() - timedelta(minutes=2))
    if state == "acknowledged":
        for incident in Anomaly.objects.all():
            incident.acknowledge(Actor("mara"), now())
    if state == "ended":
        over = {"status": Anomaly.Status.RESOLVED, "resolved_at": now()}
        stage.incident(session, "WARNING", timestamp=now() - timedelta(minutes=2), **over)
        Session.objects.update(status="ended", ended_at=now())
    if state == "no data":
        session = stage.live_session(event, "Silent")
    if state == "bare":
        session = Session.objects.create(event=event, title="Bare")
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    open_everything(page)
    if state == "calm":
        page.get_by_role("button", name="Calm", exact=True).click()
        page.wait_for_selector("#undo-sensitivity")
    assert find_serious(page) == []


def test_history(page, stack, session):
    stage.incident(session, note="A fire drill.")
    stage.incident(session, "WARNING", review="false_alarm", status="dismissed", resolved_at=stage.NOW)
    address = f"{stack.url}/sessions/{session.id}/anomalies/"
    page.goto(address)
    open_everything(page)
    assert find_serious(page) == []
    page.goto(f"{address}?severity=WARNING")
    assert find_serious(page) == []


def test_recordings(page, stack, event):
    upload = Upload.objects.create(
        event=event, title="Rehearsal", zone="UTC", file_names=["room.jsonl"], size=1, uploaded_at=now()
    )
    for address in ("/recordings/", f"/recordings/{upload.id}/"):
        page.goto(f"{stack.url}{address}")
        assert find_serious(page) == []
    days = {"month-first": "2026-04-05", "day-first": "2026-05-04"}
    for question in ({"dates": {"order": "month-first", "days": days}}, {"columns": ["Nimi", "Liittyi", "Poistui"]}):
        Upload.objects.update(status="asked", question=question)
        page.goto(f"{stack.url}/recordings/{upload.id}/")
        assert page.get_by_role("button", name="Read it").is_visible()
        assert find_serious(page) == []


def test_pages_of_errors(page, stack):
    page.goto(f"{stack.url}/nowhere/")
    assert find_serious(page) == []


def test_page_of_the_api(page, stack):
    page.goto(f"{stack.url}/api/v1/docs")
    page.locator(".opblock-summary").first.wait_for()
    page.locator(".opblock-summary-control").first.click()
    assert find_serious(page) == []


@pytest.fixture
def one_of_each(event, session) -> None:
    """A row of every model that the admin shows."""
    stage.incident(session)
    ApiKey.objects.issue(event, "platform")
    BeaconToken.objects.issue(session, "Player", ["https://player.example.org"])
    make_platform(event)
    erase_person(event.id, "u-1", "a test", now())
    Group.objects.create(name="Helpers")
    AccessAttempt.objects.create(username="mallory", ip_address="192.0.2.1", failures_since_start=1)
    User.objects.filter(username="mara").update(is_staff=True, is_superuser=True)
    Event.objects.get(id=event.id).choose_sensitivity("calm")
    assert LogEntry.objects.exists()


MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def test_index_of_the_admin(page, stack, one_of_each):
    page.goto(f"{stack.url}/admin/")
    assert find_serious(page) == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label_lower)
def test_admin(page, stack, one_of_each, model):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    addresses = [reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[model._default_manager.first().pk])]
    page.goto(f"{stack.url}{addresses[0]}")
    if page.locator("a.addlink").count():
        addresses.append(reverse(f"{name}_add"))
    found = []
    for address in addresses:
        page.goto(f"{stack.url}{address}")
        open_everything(page)
        found += find_serious(page, BOTH_LOOKS)
    assert found == []
