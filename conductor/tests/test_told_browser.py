"""Who looks elsewhere is told by the title, the icon and, where they asked for it, a sound."""

import pytest
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor import live
from conductor.tests import stage
from conductor.tests.test_pages_browser import session  # noqa: F401  a fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def push(session) -> None:  # noqa: F811
    live.announce([live.SessionChange(session.id, row=None)], now())


def await_title(page, title: str) -> None:
    page.wait_for_function("wanted => document.title.startsWith(wanted)", arg=title)


def rung(page) -> int:
    return int(page.evaluate("document.documentElement.dataset.rung ?? 0"))


def icon(page) -> str:
    return page.evaluate("document.querySelector('link[rel=icon]').href")


def test_title_and_icon_tell_of_an_incident_and_of_its_end(page, stack, session):  # noqa: F811
    page.goto(f"{stack.url}/sessions/{session.id}/")
    page.locator("#connection-status[data-state=live]").wait_for()
    assert page.title().startswith("Keynote")
    plain = icon(page)

    anomaly = stage.incident(session)
    push(session)
    await_title(page, "(1) Keynote")
    assert icon(page).startswith("data:image/svg+xml")

    Anomaly.objects.filter(id=anomaly.id).update(resolved_at=now(), status="resolved")
    push(session)
    await_title(page, "Keynote")
    assert icon(page) == plain
    assert rung(page) == 0, "nobody asked for a sound"


def test_critical_sounds_once_for_who_asked_and_is_remembered(page, stack, session):  # noqa: F811
    page.goto(f"{stack.url}/sessions/{session.id}/")
    page.locator("#connection-status[data-state=live]").wait_for()
    page.get_by_label("Sound when critical").check()
    page.wait_for_function("() => document.documentElement.dataset.rung === '1'")  # how it sounds

    anomaly = stage.incident(session, "WARNING")
    push(session)
    await_title(page, "(1) Keynote")
    assert rung(page) == 1

    Anomaly.objects.filter(id=anomaly.id).update(severity="CRITICAL")
    push(session)
    page.wait_for_function("() => document.documentElement.dataset.rung === '2'")
    Anomaly.objects.filter(id=anomaly.id).update(anomaly_type="LOW_ENGAGEMENT")
    push(session)
    page.locator("[data-anomaly-type=LOW_ENGAGEMENT]").wait_for()
    assert rung(page) == 2, "a correction is no news"

    page.reload()
    assert page.get_by_label("Sound when critical").is_checked()
    assert not page.get_by_label("Notification when critical").is_checked()
    assert rung(page) == 0, "what was there already is no news"


def test_list_counts_the_rooms_that_need_somebody(page, stack, session):  # noqa: F811
    stage.incident(session)
    page.goto(f"{stack.url}/")
    await_title(page, "(1) Sessions")
    assert page.get_by_label("Sound when critical").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_of_the_channels_fits_a_narrow_phone_and_works_without_scripts(browser, stack, event, scheme):
    stage.organizer("mara", event)
    context = browser.new_context(
        viewport={"width": 320, "height": 640}, color_scheme=scheme, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(f"{stack.url}/accounts/login/?next=/events/{event.id}/channels/")
    page.get_by_label("Username").fill("mara")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Where").fill(f"https://hooks.example.org/{'long' * 60}")
    page.get_by_role("button", name="Add").click()
    page.get_by_text("shown only now").wait_for()
    page.get_by_role("button", name="Test").click()
    page.get_by_text("What it was told").wait_for()
    width = page.locator("body").evaluate("body => document.documentElement.scrollWidth")
    assert width <= 320
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("Nobody is told yet").wait_for()
    context.close()
