"""The life of an incident, in two browsers at once."""

import re

import pytest

from anomalies.models import Actor, Anomaly
from conductor.tests import browsing, stage
from conductor.tests.browsing import wait_until_live
from engagement.models import Session

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def session(event) -> Session:
    return browsing.session_of_now(event)


@pytest.fixture
def incident(session) -> Anomaly:
    newest = session.rows.order_by("-timestamp").first()
    return stage.incident(session, timestamp=newest.timestamp)


@pytest.fixture
def other_page(stack, browser, event):
    """A second browser, of somebody else."""
    stage.organizer("noor", event)
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    browsing.log_in(page, stack, "noor")
    yield page
    context.close()


def open_on(stack, session: Session, *pages) -> None:
    for page in pages:
        page.goto(f"{stack.url}/sessions/{session.id}/")
        wait_until_live(page)


def test_what_one_does_the_other_sees(page, other_page, stack, session, incident):
    open_on(stack, session, page, other_page)

    page.get_by_role("button", name="Acknowledge").click()
    for each in (page, other_page):
        each.locator(".incident[data-quiet]").get_by_text("mara is on it").wait_for()

    other_page.locator(".incident-said").get_by_role("button", name="Undo").click()
    for each in (page, other_page):
        each.get_by_role("button", name="Acknowledge").wait_for()
    assert [each.by for each in incident.actions.all()] == ["mara", "noor"]


def test_of_two_who_click_at_once_one_is_on_it_and_both_read_who(page, other_page, stack, session, incident):
    open_on(stack, session, page, other_page)

    both = (page, other_page)
    for each in both:  # the second is clicked before the first is answered
        each.evaluate("setTimeout(() => document.querySelector('[id^=acknowledge-]').click(), 50)")
    for each in both:
        each.locator(".incident[data-quiet]").get_by_text(re.compile(r"(mara|noor) is on it")).wait_for()

    incident.refresh_from_db()
    assert [each.by for each in incident.actions.all()] == [incident.acknowledged_by]
    for each in both:
        assert f"{incident.acknowledged_by} is on it" in each.locator("#anomaly-banner").inner_text()


def test_quiet_for_a_while_ends_where_it_gets_worse(page, stack, session, incident):
    open_on(stack, session, page)

    page.get_by_text("More…").click()
    page.get_by_role("button", name="Quiet for 15 min").click()

    page.locator(".incident[data-quiet]").get_by_text("unless it gets worse").wait_for()
    incident.refresh_from_db()
    assert incident.snoozed_until is not None


def test_false_alarm_is_struck_out_on_the_chart_and_taken_back(page, stack, session, incident):
    open_on(stack, session, page)

    page.get_by_role("button", name="False alarm").click()
    page.locator(".chart-span[data-dismissed]").wait_for(state="attached")
    page.get_by_text("Called a false alarm.").wait_for()
    assert page.locator("[data-anomaly-id]").count() == 0
    page.locator("#incident-timeline").get_by_text("mara found it to be a false alarm").wait_for()

    page.locator("#anomaly-banner").get_by_role("button", name="Undo").click()
    page.locator(f"[data-anomaly-id='{incident.id}']").wait_for()
    assert page.locator(".chart-span[data-dismissed]").count() == 0


def test_what_was_tried_is_told_with_the_score_of_then(page, other_page, stack, session, incident):
    open_on(stack, session, page, other_page)

    page.get_by_text("We tried…").click()
    page.get_by_role("button", name="a poll").click()

    for each in (page, other_page):
        said = each.locator(".incident-attempt").first
        said.wait_for()
        assert re.search(r"mara opened a poll\. The score was \.\d\d then and is \.\d\d now\.", said.inner_text())
    assert incident.actions.get().tried == "poll"


def test_menu_that_is_open_stays_open_when_a_push_comes(page, stack, session, incident):
    open_on(stack, session, page)
    page.get_by_text("We tried…").click()

    incident.annotate("No sound.", Actor("noor"), incident.timestamp)  # nobody is told
    browsing.post_a_row(session)
    page.wait_for_function("() => document.querySelector('.timeline-done')")

    assert page.locator(".incident-menu[open]").count() == 1
