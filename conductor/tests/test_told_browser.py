"""Who looks elsewhere is told by the title, the icon and, where they asked for it, a sound."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor import live
from conductor.tests import stage
from conductor.tests.browsing import wait_until_live
from conductor.tests.test_pages_browser import session  # noqa: F401  a fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def push(session) -> None:  # noqa: F811
    live.announce([live.SessionChange(session.id, row=None)], now())


def change(anomaly: Anomaly, session, **fields) -> None:  # noqa: F811
    """Have the detector have changed an incident, and tell the screens."""
    Anomaly.objects.filter(id=anomaly.id).update(**fields)
    push(session)


def open_room(page, stack, session) -> None:  # noqa: F811
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)


def await_title(page, title: str) -> None:
    page.wait_for_function("wanted => document.title.startsWith(wanted)", arg=title)


def rung(page) -> int:
    return int(page.evaluate("document.documentElement.dataset.rung ?? 0"))


def icon(page) -> str:
    return page.evaluate("document.querySelector('link[rel=icon]').href")


def test_title_and_icon_tell_of_an_incident_and_of_its_end(page, stack, session):  # noqa: F811
    open_room(page, stack, session)
    assert page.title().startswith("Keynote")
    plain = icon(page)

    anomaly = stage.incident(session)
    push(session)
    await_title(page, "(1) Keynote")
    assert icon(page).startswith("data:image/svg+xml")

    change(anomaly, session, resolved_at=now(), status="resolved")
    await_title(page, "Keynote")
    assert icon(page) == plain
    assert rung(page) == 0, "nobody asked for a sound"


def test_critical_sounds_once_for_who_asked_and_is_remembered(page, stack, session):  # noqa: F811
    open_room(page, stack, session)
    page.get_by_label("Sound when critical").check()
    page.wait_for_function("() => document.documentElement.dataset.rung === '1'")  # how it sounds

    anomaly = stage.incident(session, "WARNING")
    push(session)
    await_title(page, "(1) Keynote")
    assert rung(page) == 1

    change(anomaly, session, severity="CRITICAL")
    page.wait_for_function("() => document.documentElement.dataset.rung === '2'")
    change(anomaly, session, anomaly_type="LOW_ENGAGEMENT")
    page.locator("[data-anomaly-type=LOW_ENGAGEMENT]").wait_for()
    assert rung(page) == 2, "a correction is no news"

    page.reload()
    assert page.get_by_label("Sound when critical").is_checked()
    assert not page.get_by_label("Notification when critical").is_checked()
    assert rung(page) == 0, "what was there already is no news"


RECORD = """
window.shown = [];
window.Notification = class extends Notification {
  constructor(title, { body, tag }) {
    super(title, { body, tag });
    shown.push([title, body, tag]);
  }
};
"""
REFUSE = """
window.Notification = class {
  static permission = "granted";
  static requestPermission = async () => "granted";
  constructor() { throw new TypeError("Illegal constructor"); }
};
"""


def ask_for_notifications(page, stack, session, script: str) -> None:  # noqa: F811
    page.context.grant_permissions(["notifications"], origin=stack.url)
    page.add_init_script(script)
    open_room(page, stack, session)
    page.get_by_label("Notification when critical").check()


def test_critical_is_notified_once_to_who_asked(page, stack, session):  # noqa: F811
    ask_for_notifications(page, stack, session, RECORD)

    anomaly = stage.incident(session, "WARNING")
    push(session)
    await_title(page, "(1) Keynote")
    assert page.evaluate("shown") == []

    change(anomaly, session, severity="CRITICAL")
    page.wait_for_function("() => shown.length")
    change(anomaly, session, anomaly_type="LOW_ENGAGEMENT")
    page.locator("[data-anomaly-type=LOW_ENGAGEMENT]").wait_for()
    ((title, words, tag),) = page.evaluate("shown")
    assert (title, tag) == ("Critical: Keynote", str(anomaly.id))
    assert "Chat fell from 14 to 2 a minute" in words


def test_browser_that_lets_no_page_notify_still_sounds(page, stack, session):  # noqa: F811
    ask_for_notifications(page, stack, session, REFUSE)
    page.get_by_label("Sound when critical").check()
    for place in (2, 3):
        stage.incident(session, timestamp=session.judged_until + timedelta(seconds=place))
        push(session)
        page.wait_for_function("wanted => document.documentElement.dataset.rung === wanted", arg=str(place))


def test_box_stays_empty_where_a_browser_says_no(page, stack, session):  # noqa: F811
    page.context.clear_permissions()
    page.goto(f"{stack.url}/sessions/{session.id}/")
    box = page.get_by_label("Notification when critical")
    box.click()
    page.wait_for_function("box => !box.checked", arg=box.element_handle())


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
