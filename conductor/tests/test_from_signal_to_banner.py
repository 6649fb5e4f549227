"""The one story: an audience drops, and a banner shows within seconds, through every real part."""

import json
import urllib.request
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils.timezone import now

from anomalies.models import Anomaly
from anomalies.tests.rooms import START, at_minute, collapse, healthy_room
from engagement.models import ApiKey, EngagementRow, Event
from engagement.recordings.jsonl import signals_object

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

OPEN = "#anomaly-banner [data-anomaly-id]"


@pytest.fixture
def post(stack):
    """Post to the REST endpoint as an integrator's platform does."""

    def call(path, body, key):
        request = urllib.request.Request(
            f"{stack.url}/api/v1{path}",
            json.dumps(body, default=lambda moment: moment.isoformat()).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    return call


def as_signals(readings, moved):
    return [signals_object(replace(reading, timestamp=reading.timestamp + moved)) for reading in readings]


def test_collapse_becomes_a_banner_and_recovery_takes_it_away(stack, browser, post):
    event = Event.objects.create(name="Spring conference")
    organizer = User.objects.create_user("organizer", password="correct horse battery")
    event.organizers.add(organizer)
    _, key = ApiKey.objects.issue(event, "platform")
    story = collapse(healthy_room(minutes=22), at_minute(15), at_minute(17))
    moved = now() - START - timedelta(minutes=22)
    healthy, fallen, recovered = (
        as_signals([row for row in story if since <= row.timestamp < until], moved)
        for since, until in (
            (START, at_minute(15)),
            (at_minute(15), at_minute(16)),
            (at_minute(16), at_minute(23)),
        )
    )

    session = post("/sessions", {"title": "Opening keynote"}, key)
    page = browser.new_page()
    page.goto(stack.url)
    page.get_by_label("Username").fill("organizer")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Opening keynote").click()
    page.wait_for_url(f"**/sessions/{session['id']}/")
    loads = []
    page.on("load", lambda: loads.append(page.url))

    answer = post(f"/sessions/{session['id']}/signals", healthy, key)
    assert answer == {"accepted": 180 - 1, "duplicates": 0, "late": 0}
    page.wait_for_selector("#engagement-score:has-text('.7'), #engagement-score:has-text('.8')")
    assert page.locator(OPEN).count() == 0

    post(f"/sessions/{session['id']}/signals", fallen, key)
    page.wait_for_selector(OPEN, timeout=10_000)
    banner = page.locator(OPEN)
    anomaly = Anomaly.objects.get()
    assert banner.get_attribute("data-anomaly-type") == "MASS_EXIT" == anomaly.anomaly_type
    assert banner.get_attribute("data-severity") == "CRITICAL" == anomaly.severity
    assert banner.get_attribute("data-anomaly-id") == str(anomaly.id)
    assert anomaly.description in banner.inner_text()
    assert "Mass exit" in banner.inner_text()

    post(f"/sessions/{session['id']}/signals", recovered, key)
    page.wait_for_selector(OPEN, state="detached", timeout=10_000)
    assert Anomaly.objects.get().status == "resolved"
    assert EngagementRow.objects.count() == 22 * 12
    assert loads == [], "the page never reloaded"
    page.close()


def test_page_that_lost_its_connection_shows_the_state_as_it_is(stack, browser, post):
    """Redis and the web process go away; the incident that came meanwhile is on the screen afterwards."""
    event = Event.objects.create(name="Autumn conference")
    event.organizers.add(User.objects.create_user("organizer", password="correct horse battery"))
    _, key = ApiKey.objects.issue(event, "platform")
    session = post("/sessions", {"title": "Closing keynote"}, key)
    moved = now() - START - timedelta(minutes=20)
    rows = [replace(row) for row in collapse(healthy_room(minutes=12), at_minute(10))]
    healthy, fallen = as_signals(rows[:119], moved), as_signals(rows[119:], moved)
    post(f"/sessions/{session['id']}/signals", healthy, key)

    page = browser.new_page()
    page.goto(f"{stack.url}/sessions/{session['id']}/")
    page.get_by_label("Username").fill("organizer")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("#connection-status:has-text('Live')")
    stack.stop("web")
    page.wait_for_selector("#connection-status:not(:has-text('Live'))")
    waits = page.evaluate("Array.from({length: 100}, (_, retries) => htmx.config.wsReconnectDelay(retries))")
    assert 1_000 < max(waits) <= 8_000, "milliseconds, however long the server is away"
    stack.start_web()
    post(f"/sessions/{session['id']}/signals", fallen, key)
    page.wait_for_selector(f"{OPEN}[data-severity=CRITICAL]", timeout=30_000)
    page.wait_for_selector("#connection-status:has-text('Live')")
    page.close()
