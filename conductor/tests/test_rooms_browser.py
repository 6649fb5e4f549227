"""The control room in a real Chromium: what a card tells, and how it is steered while pushes come."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor.tests import stage
from conductor.tests.browsing import post_a_row, session_of_now, wait_until_live
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
    page.wait_for_selector(f"{card(room)}[data-state=warning]:not([data-quiet])")  # what nobody is on comes first
    assert page.locator(f"{card(room)} .room-more li").is_visible()
    assert page.locator(f"{card(room)} .room-more li").inner_text().endswith(", acknowledged")
    assert Anomaly.objects.get(id=worst.id).reviewed_by.username == "mara"
    page.get_by_role("button", name="Acknowledge").click()
    page.wait_for_selector(f"{card(room)}[data-quiet]")
    assert page.get_by_role("button", name="Acknowledge").count() == 0
    assert page.url == f"{stack.url}/"
    page.locator(f"{card(room)} .room-value").click(force=True)  # all of the card is its link's
    page.wait_for_url(f"{stack.url}/sessions/{room.id}/")


def focused(page) -> str:
    return page.evaluate("document.activeElement.closest('.room')?.id ?? document.activeElement.tagName")


def open_list(page, stack, query: str = "") -> None:
    page.goto(f"{stack.url}/{query}")
    wait_until_live(page)


def hear_a_push(page, session: Session) -> None:
    """Have the card of a room told anew, and wait for it."""
    page.evaluate("selector => document.querySelector(selector).dataset.old = ''", card(session))
    stage.incident(session, "WARNING", timestamp=now() - timedelta(minutes=2))
    post_a_row(session)
    page.wait_for_selector(f"{card(session)}:not([data-old])", state="attached")


def test_arrows_go_from_room_to_room_and_enter_opens_one(page, stack, rooms, event):
    Session.objects.create(event=event, title="Over", status="ended", ended_at=now())
    over = f"room-{Session.objects.get(title='Over').id}"
    names = [card(room)[1:] for room in rooms]
    open_list(page, stack)
    for key, expected in [
        ("ArrowRight", names[0]), ("ArrowRight", names[1]), ("ArrowLeft", names[0]), ("ArrowLeft", names[0]),
        ("End", over), ("ArrowUp", names[0]), ("ArrowDown", over), ("Home", names[0]), ("ArrowRight", names[1]),
    ]:  # fmt: skip
        page.keyboard.press(key)
        assert focused(page) == expected, key
    page.keyboard.press("Enter")
    page.wait_for_url(f"{stack.url}/sessions/{rooms[1].id}/")


def test_rooms_are_one_stop_of_the_tab_key(page, stack, rooms):
    for room in rooms:
        stage.incident(room, "WARNING", timestamp=now() - timedelta(minutes=1))
    open_list(page, stack)
    page.get_by_role("link", name="Projector", exact=True).focus()
    seen = []
    for _ in range(3):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent"))
    assert seen[:2] == ["Atrium", "Acknowledge"]
    assert not page.evaluate("document.getElementById('session-list').contains(document.activeElement)")
    page.get_by_role("link", name="Barn").focus()
    page.keyboard.press("Tab")
    assert focused(page) == card(rooms[1])[1:]


def test_letter_acts_on_the_room_that_has_the_focus_and_on_no_other(page, stack, rooms):
    found = stage.incident(rooms[1], "WARNING", timestamp=now() - timedelta(minutes=1))
    open_list(page, stack)
    page.keyboard.press("a")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert focused(page) == card(rooms[0])[1:]  # the room with the incident is first
    page.keyboard.press("a")
    page.keyboard.press("ArrowLeft")
    found.refresh_from_db()
    assert found.status == Anomaly.Status.OPEN
    page.keyboard.press("a")
    page.wait_for_selector(f"{card(rooms[1])} >> text=, acknowledged")
    assert focused(page) == card(rooms[1])[1:]
    found.refresh_from_db()
    assert (found.status, found.reviewed_by.username) == (Anomaly.Status.ACKNOWLEDGED, "mara")


def test_letters_are_only_letters_where_somebody_writes(page, stack, rooms):
    stage.incident(rooms[0], "WARNING", timestamp=now() - timedelta(minutes=1))
    open_list(page, stack, "?q=a")
    search = page.get_by_role("searchbox")
    search.fill("")
    search.press_sequentially("ap?")
    search.press("ArrowRight")
    assert (search.input_value(), focused(page), page.url) == ("ap?", "INPUT", f"{stack.url}/?q=a")
    assert page.locator("dialog").is_hidden()
    assert Anomaly.objects.get().status == Anomaly.Status.OPEN
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    assert Anomaly.objects.get().status == Anomaly.Status.OPEN


def test_keys_are_shown_and_can_be_turned_off(page, stack, rooms):
    open_list(page, stack)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    assert dialog.is_visible()
    page.keyboard.press("p")
    assert page.url == f"{stack.url}/"
    page.get_by_label("Letters act").uncheck()
    page.keyboard.press("Escape")
    assert (dialog.is_hidden(), focused(page)) == (True, card(rooms[0])[1:])
    page.keyboard.press("?")
    page.keyboard.press("p")
    assert (dialog.is_hidden(), page.url) == (True, f"{stack.url}/")
    open_list(page, stack)
    page.get_by_role("button", name="Keys").click()
    assert page.get_by_label("Letters act").is_checked() is False


def test_projector_mode_is_in_the_address_alone(page, stack, rooms):
    stage.incident(rooms[0], "WARNING", timestamp=now() - timedelta(minutes=1))
    open_list(page, stack)
    small = page.locator(".room-value").first.evaluate("each => parseFloat(getComputedStyle(each).fontSize)")
    page.keyboard.press("p")
    assert page.url == f"{stack.url}/?projector=1"
    page.reload()
    wait_until_live(page)
    assert page.locator(":is(header.site, button, input, summary, nav):visible").count() == 0
    assert (
        page.locator(".room-value").first.evaluate("each => parseFloat(getComputedStyle(each).fontSize)") >= 2 * small
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("a")  # what nobody sees is not pressed
    page.keyboard.press("Escape")
    assert page.url == f"{stack.url}/"
    assert page.get_by_role("button", name="Acknowledge").is_visible()
    assert page.locator("header.site").is_visible()
    assert Anomaly.objects.get().status == Anomaly.Status.OPEN
    open_list(page, stack)
    assert page.locator("header.site").is_visible()


def stop_the_clock(page) -> None:
    """Have the page's time stand still, however slow this machine is, but for what a test lets pass."""
    page.clock.install()
    page.reload()
    wait_until_live(page)
    page.clock.pause_at(now() + timedelta(seconds=2))


def order(page) -> list[str]:
    return page.locator("#session-list .room h3").all_text_contents()


def test_rooms_keep_their_places_while_somebody_points_at_one(page, stack, rooms, event):
    open_list(page, stack)
    stop_the_clock(page)
    page.locator(card(rooms[0])).hover()
    hear_a_push(page, rooms[2])
    assert order(page) == ["Atrium", "Barn", "Cellar"]
    assert page.locator(card(rooms[2])).get_attribute("data-state") == "warning"
    late = session_of_now(event, "Dome", minutes=2)
    page.wait_for_selector(f"#rooms-to-come {card(late)}", state="attached")
    hear_a_push(page, late)
    assert order(page) == ["Atrium", "Barn", "Cellar"]
    page.mouse.move(2, 2)
    page.wait_for_selector(f"#session-list {card(late)}[data-state=warning]")
    assert order(page) == ["Cellar", "Dome", "Atrium", "Barn"]
    assert page.locator("#rooms-to-come .room").count() == 0


def test_rooms_move_under_a_mouse_that_nobody_moves(page, stack, rooms):
    open_list(page, stack)
    stop_the_clock(page)
    page.locator(card(rooms[0])).hover()
    page.clock.fast_forward(14_000)
    hear_a_push(page, rooms[2])
    assert order(page) == ["Atrium", "Barn", "Cellar"]
    page.clock.fast_forward(2_000)
    page.wait_for_selector(f"{card(rooms[2])}:first-child")


def test_focus_stays_on_a_card_that_changes_place(page, stack, rooms):
    open_list(page, stack)
    stop_the_clock(page)
    page.keyboard.press("End")
    hear_a_push(page, rooms[2])
    assert (order(page), focused(page)) == (["Atrium", "Barn", "Cellar"], card(rooms[2])[1:])
    page.clock.fast_forward(16_000)
    page.wait_for_selector(f"{card(rooms[2])}:first-child")
    assert focused(page) == card(rooms[2])[1:]
    hear_a_push(page, rooms[1])
    page.wait_for_selector(f"{card(rooms[2])}:nth-child(2)")
    assert focused(page) == card(rooms[2])[1:]
    page.keyboard.press("ArrowLeft")
    assert focused(page) == card(rooms[1])[1:]
