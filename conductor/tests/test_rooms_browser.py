"""The control room in a real Chromium: what a card tells, and how it is steered while pushes come."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor.tests import stage
from conductor.tests.browsing import session_of_now, wait_until_live
from engagement.models import Session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def rooms(event) -> list[Session]:
    """Three calm rooms, in the order of the list."""
    return [session_of_now(event, title, minutes=2) for title in ("Atrium", "Barn", "Cellar")]


def card(session: Session) -> str:
    return f"#room-{session.id}"


def test_card_tells_all_that_goes_on_and_is_acknowledged_on_the_spot(page, stack, rooms):
    room = rooms[1]
    worst = stage.incident(room, "CRITICAL", timestamp=now() - timedelta(minutes=1))
    stage.incident(room, "WARNING", timestamp=now(), anomaly_type="GRADUAL_DECLINE")
    page.goto(f"{stack.url}/")
    wait_until_live(page)
    assert page.locator(".room").first.get_attribute("id") == card(room)[1:]
    assert page.locator(f"{card(room)} .spark-incident").count() == 2
    page.get_by_text("+1 more").click()
    assert page.locator(f"{card(room)} .room-more li").all_inner_texts()[0].startswith("Warning Gradual decline since")
    page.get_by_role("button", name="Acknowledge").click()
    page.wait_for_selector(f"{card(room)} >> text=, acknowledged")
    assert page.locator(f"{card(room)} .room-more li").is_visible()
    assert Anomaly.objects.get(id=worst.id).reviewed_by.username == "mara"
    assert page.get_by_role("button", name="Acknowledge").count() == 0
    assert page.url == f"{stack.url}/"
    page.locator(f"{card(room)} .room-value").click(force=True)  # all of the card is its link's
    page.wait_for_url(f"{stack.url}/sessions/{room.id}/")
