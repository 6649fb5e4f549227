"""A page of the running product in a real Chromium, and rooms of just now for it."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now

from conductor.tests import stage
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Event, Session
from engagement.readings import Reading

PHONE, LAPTOP, PROJECTOR = (390, 844), (1366, 768), (1920, 1080)


def session_of_now(event: Event, title: str = "Keynote", minutes: float = 10) -> Session:
    """Return a live session whose newest row is of just now, so that the worker finds it neither silent nor new."""
    session = Session.objects.create(event=event, title=title)
    moment = now().replace(microsecond=0)
    rows = [
        Reading(moment - timedelta(seconds=5 * place), 8.0, None, 40 + place % 3, 50, 4.0, 0.0)
        for place in reversed(range(round(12 * minutes)))
    ]
    record_rows(session.id, rows, moment)
    Session.objects.filter(id=session.id).update(
        judged_until=moment, heard_at=moment, detector_state=Session.DetectorState.WATCHING
    )
    return Session.objects.select_related("event").get(id=session.id)


def post_a_row(session: Session) -> None:
    """Store a healthy row, five seconds after the newest; the beat of the stack finds it."""
    newest = EngagementRow.objects.for_session(session).last()
    record_rows(session.id, [Reading(newest.timestamp + timedelta(seconds=5), 8.0, None, 40, 50, 4.0, 0.0)], now())


def log_in(page, stack, name: str) -> None:
    """Give a browser the cookie of a login; how people get theirs has tests of its own."""
    client = Client()
    client.force_login(User.objects.get(username=name))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": stack.url}])


def wait_until_live(page) -> None:
    page.wait_for_selector("#connection-status[data-state=live]")


@pytest.fixture
def complaints() -> list[str]:
    """What Chromium complained about, and what it asked of other sites."""
    return []


@pytest.fixture
def page(stack, browser, event, complaints):
    """A page that is logged in; a complaint fails the test at its end."""
    stage.organizer("mara", event)
    context = browser.new_context(viewport={"width": LAPTOP[0], "height": LAPTOP[1]}, timezone_id="Asia/Kolkata")
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if stack.url not in request.url else None)
    log_in(page, stack, "mara")
    yield page
    context.close()
    assert complaints == []
