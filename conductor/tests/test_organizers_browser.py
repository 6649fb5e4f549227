"""The whole way of a new organizer in a real Chromium: from an empty account to a banner of a room of one's own."""

import re
import subprocess
from datetime import timedelta
from shutil import which

import pytest
from django.contrib.auth.models import User
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor.practice import BEGINS_AFTER, FALLS_AFTER
from conductor.tests import stage
from conductor.tests.browsing import PROJECTOR, wait_until_live
from engagement.models import ApiKey, Event, PracticeRoom, Role, Session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SMALL = (320, 640)
MOST_CLICKS, MOST_SECONDS = 6, 60  # from the login to the banner; seconds of the room's time


@pytest.fixture
def newcomer(page, stack):
    """A page of somebody who has a login and nothing else; it counts clicks."""
    User.objects.create_user("ada", password="correct horse")
    page.context.clear_cookies()
    page.goto(stack.url)
    log_in(page, "ada")
    page.wait_for_url(f"{stack.url}/")
    return page


def log_in(page, name: str) -> None:
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Log in").click()


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_from_an_empty_account_to_a_banner_of_a_room_of_ones_own(newcomer, stack):
    page, clicks = newcomer, 0

    def click(role: str, name: str) -> None:
        nonlocal clicks
        clicks += 1
        page.get_by_role(role, name=name).first.click()

    click("link", "Make an event")
    page.get_by_label("Name").fill("Autumn school")
    click("button", "Make it")
    click("button", "Make a key")
    curl = page.locator("#curl").text_content()
    assert page.locator("#secret").text_content() in curl
    click("button", "Try a practice room")
    wait_until_live(page)

    session = Session.objects.get(title="Practice room")
    assert session.event == Event.objects.get(name="Autumn school")
    assert page.url == f"{stack.url}/sessions/{session.id}/"
    # As if a minute had gone by: the next tick posts what has happened in it.
    PracticeRoom.objects.filter(session=session).update(plays_at=now() - BEGINS_AFTER - timedelta(seconds=MOST_SECONDS))
    page.wait_for_selector("#anomaly-banner [data-anomaly-type=SUDDEN_DROP]", timeout=30_000)

    fell_at = PracticeRoom.objects.get().plays_at + FALLS_AFTER
    assert Anomaly.objects.get().timestamp - fell_at < timedelta(seconds=MOST_SECONDS)
    assert clicks <= MOST_CLICKS

    click("link", "Plan or end this session")
    page.get_by_role("link", name="End the session").click()
    page.get_by_role("button", name="End it").click()
    page.wait_for_selector("text=This session has ended.")


@pytest.mark.skipif(which("curl") is None, reason="NO CURL: the lines were not run in a terminal")
def test_the_lines_of_a_new_key_run_in_a_terminal_as_they_are(newcomer, stack):
    page = newcomer
    page.get_by_role("link", name="Make an event").click()
    page.get_by_label("Name").fill("Autumn school")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("button", name="Make a key").click()

    ran = subprocess.run(["bash", "-ec", page.locator("#curl").text_content()], capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    assert '"accepted": 1' in ran.stdout
    page.goto(f"{stack.url}/")
    page.wait_for_selector("text=First session")


def test_try_it_on_the_first_page_is_one_click(newcomer, stack):
    page = newcomer
    page.get_by_role("button", name="Try it").click()
    wait_until_live(page)
    assert Session.objects.get().event.role_of(User.objects.get(username="ada")) is Role.OWNER
    assert re.fullmatch(r"\.\d\d|1\.00", page.locator("#engagement-score .score-value").first.text_content().strip())


def test_a_plan_is_typed_in_the_browsers_zone_and_by_keys(page, stack, event):
    page.goto(stack.url)  # whose script tells the browser's zone
    page.goto(f"{stack.url}/events/{event.id}/sessions/new/")
    assert page.get_by_label("Time zone").input_value() in ("Asia/Kolkata", "Asia/Calcutta")
    page.get_by_label("Title").fill("Keynote")
    page.get_by_label("Planned start").fill("2026-12-02T14:30")
    page.get_by_role("button", name="Add a break").click()
    page.get_by_label("Break starts").fill("2026-12-02T15:30")
    page.get_by_label("Break ends").fill("2026-12-02T15:00")
    page.get_by_label("Break ends").press("Enter")  # saves, and adds no break
    page.wait_for_selector(".form-error")
    assert page.locator(".form-error").text_content() == "Break ends is not after its start."
    assert page.get_by_label("Planned start").input_value() == "2026-12-02T14:30"
    page.get_by_label("Break ends").fill("2026-12-02T15:45")
    page.keyboard.press("Enter")
    wait_until_live_or_waiting(page)
    session = Session.objects.get()
    assert f"{session.starts_at:%F %T}" == "2026-12-02 09:00:00"
    assert [f"{at:%T}" for at in session.planned_breaks[0]] == ["10:00:00", "10:15:00"]


def wait_until_live_or_waiting(page) -> None:
    page.wait_for_selector("#anomaly-banner")


def test_times_are_shown_in_the_zone_and_the_hours_that_were_chosen(page, stack, event):
    Session.objects.create(event=event, title="Keynote", starts_at=now().replace(2026, 12, 2, 9, 5, 0, 0))
    page.goto(f"{stack.url}/accounts/")
    page.get_by_label("Time zone").select_option("America/New_York")
    page.get_by_label("12 hours").check()
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("text=Saved.")
    page.goto(f"{stack.url}/events/{event.id}/")
    page.wait_for_function("() => document.querySelector('#sessions time').textContent.includes('04:05')")
    assert page.locator("#sessions time").text_content().endswith("AM")


def test_a_viewer_sees_no_button_of_an_incident(page, stack, event):
    event.memberships.update(role=Role.VIEWER)
    session = stage.live_session(event)
    stage.incident(session)
    page.goto(f"{stack.url}/sessions/{session.id}/")
    page.wait_for_selector("#anomaly-banner [data-anomaly-id]")
    assert not page.get_by_role("button", name="Acknowledge").is_visible()
    assert not page.locator("#event-sensitivity").is_visible()
    assert not page.get_by_role("link", name="Plan or end").is_visible()


@pytest.mark.parametrize("width_and_height", [SMALL, PROJECTOR])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits(page, stack, event, width_and_height, scheme):
    event.memberships.update(role=Role.OWNER)
    stage.organizer("leo", event)
    ApiKey.objects.issue(event, "Platform")
    session = Session.objects.create(event=event, title="A keynote with a rather long title " * 3)
    page.set_viewport_size(dict(zip(("width", "height"), width_and_height, strict=True)))
    page.emulate_media(color_scheme=scheme)
    paths = [f"events/{event.id}/", f"events/{event.id}/edit/", f"events/{event.id}/sessions/new/", "events/new/"]
    paths += [f"sessions/{session.id}/{name}/" for name in ("edit", "end", "delete")]
    paths += ["accounts/", "accounts/password/", "accounts/reset/", ""]
    for path in paths:
        page.goto(f"{stack.url}/{path}")
        assert fits(page), path
    page.goto(f"{stack.url}/events/{event.id}/")
    for button in ("Make a key", "Make a link"):
        page.get_by_role("button", name=button).click()
        page.wait_for_selector(".organize-once")
        assert fits(page), button
    page.goto(f"{stack.url}/events/{event.id}/sessions/new/")
    page.get_by_role("button", name="Add a break").click()
    page.wait_for_selector(".plan-break")
    assert fits(page)
