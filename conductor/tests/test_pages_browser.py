"""The pages in a real Chromium, served by the running product under the Content-Security-Policy of production."""

import http.client
import re
import signal
from datetime import datetime, timedelta

import pytest
from django.utils.timezone import now
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from anomalies.detector.changes import Reason
from anomalies.models import Anomaly
from conductor import pipeline
from conductor.tests import browsing, stage
from conductor.tests.browsing import LAPTOP, PHONE, PROJECTOR, post_a_row, session_of_now, wait_until_live
from conductor.tests.network import Network
from engagement.ingest import record_rows
from engagement.models import ApiKey, EngagementRow, Event, Session
from engagement.readings import Reading
from engagement.wording import write_score

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def session(event) -> Session:
    return browsing.session_of_now(event)


@pytest.mark.parametrize("width_and_height", [PHONE, LAPTOP, PROJECTOR])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_load_without_a_complaint_and_fit(page, stack, session, width_and_height, scheme):
    stage.incident(session, timestamp=session.judged_until - timedelta(seconds=60))
    page.set_viewport_size(dict(zip(("width", "height"), width_and_height, strict=True)))
    page.emulate_media(color_scheme=scheme)
    address = f"{stack.url}/sessions/{session.id}/"
    for url in (f"{stack.url}/", address, f"{address}anomalies/"):
        page.goto(url)
        if url == address:
            wait_until_live(page)
        page.evaluate("for (const each of document.querySelectorAll('main details')) each.open = true")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url


def test_page_of_a_session_is_small_and_its_files_are_kept(page, stack, session):
    stage.incident(session, timestamp=session.judged_until)
    network = page.context.new_cdp_session(page)
    sizes, answers = {}, {}
    network.on("Network.responseReceived", lambda told: answers.update({told["requestId"]: told}))
    network.on("Network.loadingFinished", lambda told: sizes.update({told["requestId"]: told["encodedDataLength"]}))
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(f"{stack.url}/sessions/{session.id}/", wait_until="networkidle")
    wait_until_live(page)
    files = [told["response"] for id_, told in answers.items() if "/static/" in told["response"]["url"]]
    assert len(files) > 5
    assert [told["type"] for told in answers.values()].count("Stylesheet") == 1
    for file in files:
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", file["url"]), file["url"]
        kept = {name.lower(): value for name, value in file["headers"].items()}["cache-control"]
        assert kept == "max-age=315360000, public, immutable", file["url"]
    told = {answers[id_]["response"]["url"]: round(size) for id_, size in sizes.items() if id_ in answers}
    assert 10_000 < sum(told.values()) <= 60 * 1024, told


def test_four_rooms_fit_a_laptop(page, stack, event, session):
    for title in ("Second", "Third", "Fourth"):
        stage.live_session(event, title)
    page.goto(f"{stack.url}/")
    assert page.locator(".room").count() == 4
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_times_are_in_the_viewers_zone(page, stack, session):
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    label = page.locator("#engagement-chart [data-time]").first
    hours, minutes = map(int, label.text_content().split(":"))
    at = re.search(r"T(\d\d):(\d\d)", label.get_attribute("data-time"))
    assert (hours * 60 + minutes) % 1440 == (int(at[1]) * 60 + int(at[2]) + 330) % 1440


def test_push_opens_the_banner_and_acknowledging_changes_it_without_a_reload(page, stack, session):
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    page.evaluate("window.neverReloaded = true")
    anomaly = stage.incident(session, timestamp=session.judged_until)
    post_a_row(session)
    page.wait_for_selector(f"#anomaly-banner [data-anomaly-id='{anomaly.id}'][data-severity=CRITICAL]")
    assert "Sudden drop" in page.locator("[role=alert]").text_content()
    page.get_by_role("button", name="Acknowledge").click()
    page.wait_for_selector("text=mara is on it")
    anomaly.refresh_from_db()
    assert anomaly.reviewed_by.username == "mara"
    page.get_by_role("button", name="False alarm").click()
    page.wait_for_selector("#anomaly-banner[data-kind=calm]")
    assert page.evaluate("window.neverReloaded")


def test_incidents_that_go_on_together_are_all_there_and_stay_open_when_a_push_comes(page, stack, session):
    stage.incident(session, "CRITICAL", timestamp=session.judged_until - timedelta(minutes=1))
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    assert page.locator("#more-incidents").count() == 0
    kinds = {"WARNING": "GRADUAL_DECLINE", "CRITICAL": "MASS_EXIT"}
    warning, exit = [
        stage.incident(session, severity, timestamp=session.judged_until - timedelta(minutes=2), anomaly_type=type)
        for severity, type in kinds.items()
    ]
    stage.incident(session, timestamp=session.judged_until, status=Anomaly.Status.DISMISSED, review="false_alarm")
    post_a_row(session)
    page.wait_for_selector("text=+3 more")
    assert "Gradual decline" in page.locator("[role=status]#say-warning").text_content()
    assert "Mass exit" in page.locator("[role=alert]").text_content()
    page.locator("#more-incidents-summary").focus()
    page.keyboard.press("Enter")
    beside = page.locator(".incident-beside")
    assert [text.split()[0:3] for text in beside.locator(".incident-head").all_text_contents()] == [
        ["Critical", "Mass", "exit"], ["Warning", "Gradual", "decline"], ["Critical", "Sudden", "drop"],
    ]  # fmt: skip
    pushed(page, session)
    assert beside.first.is_visible()
    assert page.evaluate("document.activeElement.id") == "more-incidents-summary"
    page.locator(f"#acknowledge-{warning.id}").click()
    page.wait_for_selector(f"[data-anomaly-id='{warning.id}'] >> text=mara took it on")
    page.locator(f"#dismiss-{exit.id}").click()
    page.wait_for_selector("text=Called a false alarm >> nth=1")
    assert [text.split()[0] for text in beside.locator(".incident-head").all_text_contents()] == [
        "Warning", "Critical", "Critical",
    ]  # fmt: skip


def test_focus_stays_on_the_button_when_a_push_comes(page, stack, session):
    anomaly = stage.incident(session, timestamp=session.judged_until)
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    page.get_by_role("button", name="Acknowledge").focus()
    pushed(page, session)
    assert page.evaluate("document.activeElement.id") == f"acknowledge-{anomaly.id}"


# What of each part that pushes replace can be focused, and what can be selected in it.
FOCUSED = {
    "session-line": "a[href='#sensitivity-form']",
    "anomaly-banner": "[id^='dismiss-']",
    "incident-timeline": "a.timeline-what",
}
SELECTED = {
    "session-line": "h1",
    "anomaly-banner": ".incident-why",
    "engagement-score": ".parts-names dt",
    "signal-cards": "#card-chat_msgs_per_min h2",
    "incident-timeline": ".timeline-scores",
}
SELECT = """selector => {
  const text = document.createTreeWalker(document.querySelector(selector), NodeFilter.SHOW_TEXT).nextNode();
  getSelection().setBaseAndExtent(text, 1, text, text.length);
  return getSelection().toString();
}"""
STATES = (
    """() => [...document.querySelector('main').querySelectorAll('[id]')].map(({id, innerText}) => [id, innerText])"""
)


@pytest.fixture
def incident_page(page, stack, session):
    """A page with an incident that goes on and one before it."""
    over = {"resolved_at": session.judged_until - timedelta(seconds=200), "status": Anomaly.Status.RESOLVED}
    stage.incident(session, "WARNING", timestamp=session.judged_until - timedelta(seconds=300), **over)
    stage.incident(session, timestamp=session.judged_until)
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    return page


def push_another(page, session: Session) -> None:
    """Have every part pushed with something new in it, and wait for it."""
    newest = EngagementRow.objects.for_session(session).last().timestamp
    stage.incident(session, "WARNING", timestamp=newest + timedelta(seconds=5), description="Another one.")
    Session.objects.filter(id=session.id).update(title=f"Keynote {newest:%S%f}", starts_at=newest - timedelta(hours=3))
    Event.objects.update(sensitivity=Event.Sensitivity.CALM)
    before = page.locator(".timeline li").count()
    record_rows(session.id, [Reading(newest + timedelta(seconds=5), 3.0, 0.2, 20, 44, 1.0, 0.0)], now())
    page.wait_for_selector(f"#incident-timeline li:nth-child({before + 1})")
    page.wait_for_selector("#sensitivity-calm[aria-pressed=true]", state="attached")


@pytest.mark.parametrize("part", FOCUSED)
def test_push_takes_no_focus(incident_page, session, part):
    page = incident_page
    page.focus(f"#{part} {FOCUSED[part]}")
    page.evaluate("window.focused = document.activeElement; window.said = focused.href ?? focused.textContent")
    page.evaluate("addEventListener('focusout', () => { window.wasLost = true; })")
    push_another(page, session)
    assert page.evaluate("document.activeElement === focused && (focused.href ?? focused.textContent) === said")
    assert not page.evaluate("window.wasLost"), "a screen reader would say it anew"


@pytest.mark.parametrize("part", SELECTED)
def test_push_takes_no_selection(incident_page, session, part):
    page = incident_page
    selected = page.evaluate(SELECT, f"#{part} {SELECTED[part]}")
    assert len(selected) > 1
    push_another(page, session)
    assert page.evaluate("getSelection().toString()")[: len(selected)] in (selected, selected.replace("Keynote", ""))


def test_push_leaves_a_selection_over_words_that_change_where_it_is(incident_page, session):
    page = incident_page
    value = "#card-chat_msgs_per_min .card-value"
    page.evaluate("""selector => {
        const [title] = document.querySelector('#card-chat_msgs_per_min h2').childNodes;
        getSelection().setBaseAndExtent(title, 0, document.querySelector(selector).firstChild, 2);
    }""", value)  # fmt: skip
    push_another(page, session)
    assert page.locator(value).text_content().startswith("3")
    assert re.fullmatch(r"Chat\s+moved\s+3.?", page.evaluate("getSelection().toString()"))


def test_list_keeps_a_selection_when_rooms_change_places(page, stack, event):
    selected, other = (session_of_now(event, title) for title in ("Second", "Third"))
    page.goto(f"{stack.url}/")
    wait_until_live(page)
    page.evaluate(SELECT, f"#room-{selected.id} h3")
    stage.incident(other)
    page.wait_for_selector(f".room-group .room:first-child[id='room-{other.id}']", timeout=15_000)
    assert page.evaluate("getSelection().toString()") == "econd"
    assert page.locator(".room").count() == page.locator(".room h3").count() == 2


def test_list_keeps_a_selection_when_a_room_comes_to_a_section_that_was_not_there(page, stack, event):
    selected, _ = (session_of_now(event, title) for title in ("Second", "Third"))
    page.goto(f"{stack.url}/")
    wait_until_live(page)
    page.evaluate(SELECT, f"#room-{selected.id} h3")
    pipeline.end_session(selected.id, now())
    page.wait_for_selector(f"[aria-labelledby=rooms-over] [id='room-{selected.id}']", timeout=15_000)
    assert page.evaluate("getSelection().toString()") == "econd"
    assert page.locator(".room").count() == page.locator(".room h3").count() == 2


def test_resolved_incident_turns_calm_and_closes_by_itself(page, stack, session):
    page.clock.install()
    anomaly = stage.incident(session, timestamp=session.judged_until)
    page.goto(f"{stack.url}/sessions/{session.id}/")
    page.wait_for_selector("#anomaly-banner [data-anomaly-id]")
    anomaly.status, anomaly.resolved_at = Anomaly.Status.RESOLVED, session.judged_until + timedelta(seconds=5)
    anomaly.save()
    post_a_row(session)
    page.wait_for_selector("#anomaly-banner[data-kind=resolved]")
    assert "Sudden drop is over. It lasted 5 s." in page.locator("#anomaly-banner").text_content()
    page.clock.fast_forward(11_000)
    page.wait_for_selector("#anomaly-banner[data-kind=calm]")
    assert page.get_by_text("As this room usually is").is_visible()


def test_what_came_while_a_notice_was_read_is_shown_after_it(page, stack, session):
    page.clock.install()
    anomaly = stage.incident(session, timestamp=session.judged_until)
    page.goto(f"{stack.url}/sessions/{session.id}/")
    page.wait_for_selector("#anomaly-banner [data-anomaly-id]")
    anomaly.status, anomaly.resolved_at = Anomaly.Status.RESOLVED, session.judged_until + timedelta(seconds=5)
    anomaly.save()
    post_a_row(session)
    page.wait_for_selector("#anomaly-banner[data-kind=resolved]")
    page.clock.pause_at(now() + timedelta(seconds=2))
    # Told once, while the notice is there; pushes that follow hold other parts.
    anomaly.metadata |= {"history": [{"reason": Reason.STAYING}]}
    anomaly.resolved_at -= timedelta(seconds=60)
    anomaly.save()
    redrawn(page, session)
    redrawn(page, session)
    assert page.locator("#anomaly-banner").get_attribute("data-kind") == "resolved"
    page.clock.run_for(11_000)
    page.wait_for_selector("#anomaly-banner[data-kind=calm]")
    assert "It stayed as the sudden drop left it." in page.locator("#anomaly-banner").text_content()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_page_reconnects_when_the_server_was_restarted(page, complaints, stack, session, how):
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    stack.processes["web"].send_signal(how)
    stack.processes["web"].wait()
    page.wait_for_selector("#connection-status[data-state=reconnecting]")
    assert re.match(r"Reconnecting, shown is \d+ s old", page.locator("#connection-status").text_content())
    anomaly = stage.incident(session, timestamp=session.judged_until)
    stack.start_web()
    page.wait_for_selector(f"#anomaly-banner [data-anomaly-id='{anomaly.id}']", timeout=60_000)
    wait_until_live(page)
    complaints.clear()  # Chromium says that it could not connect


@pytest.mark.parametrize("is_list", [False, True], ids=["session", "list"])
def test_page_says_its_age_while_the_server_is_frozen_and_is_right_again_by_itself(
    page, complaints, stack, session, is_list
):
    page.clock.install()
    page.goto(f"{stack.url}/" if is_list else f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    web = stack.processes["web"]
    web.send_signal(signal.SIGSTOP)
    try:
        page.clock.fast_forward(20_000)
        assert page.locator("main[data-stale]").count() == 0  # two heartbeats may have been missed, and no more
        page.clock.fast_forward(10_000)
        page.wait_for_selector("main[data-stale]")
        pill = page.locator("#connection-status")
        assert re.match(r"Reconnecting, shown is 3\d s old", pill.text_content())
        page.clock.fast_forward(45_000)
        page.wait_for_function("() => document.getElementById('connection-status').textContent.includes('7')")
        assert re.match(r"Reconnecting, shown is 7\d s old", pill.text_content())
    finally:
        web.send_signal(signal.SIGCONT)
    anomaly = stage.incident(session, timestamp=session.judged_until)
    page.wait_for_selector("main:not([data-stale]) #connection-status[data-state=live]", timeout=10_000)
    page.wait_for_selector("[data-state=critical]" if is_list else f"[data-anomaly-id='{anomaly.id}']", timeout=10_000)
    assert pill.text_content() == "Live"
    complaints.clear()  # Chromium says that it gave up on sockets that did not open


@pytest.fixture
def network(stack):
    """A network between the page and the server, which can be cut."""
    with Network(stack.url) as network:
        yield network


@pytest.mark.parametrize("is_list", [False, True], ids=["session", "list"])
def test_page_says_its_age_while_the_network_is_cut_and_is_right_ten_seconds_after(
    page, complaints, network, session, is_list
):
    page.clock.install()
    page.goto(f"{network.url}/" if is_list else f"{network.url}/sessions/{session.id}/")
    wait_until_live(page)
    network.cut()
    page.clock.pause_at(now() + timedelta(seconds=60))  # nobody told the page that its socket leads nowhere
    assert page.locator("main[data-stale]").count() == 1
    pill = page.locator("#connection-status")
    assert re.match(r"Reconnecting, shown is [56]\d s old", pill.text_content())
    anomaly = stage.incident(session, timestamp=session.judged_until)
    page.clock.run_for(10_000)
    assert pill.get_attribute("data-state") == "reconnecting"
    network.mend()
    page.clock.run_for(10_000)
    page.wait_for_selector("main:not([data-stale]) #connection-status[data-state=live]")
    page.wait_for_selector("[data-state=critical]" if is_list else f"[data-anomaly-id='{anomaly.id}']")
    assert pill.text_content() == "Live"
    complaints.clear()  # the address is another; and Chromium says that it gave up on sockets that did not open


def test_page_is_grey_thirty_seconds_after_the_network_was_cut(page, complaints, network, session):
    page.clock.install()
    page.goto(f"{network.url}/sessions/{session.id}/")
    wait_until_live(page)
    page.clock.pause_at(now() + timedelta(seconds=1))
    network.cut()
    page.clock.run_for(30_000)
    assert page.locator("main[data-stale]").count() == 1
    assert re.match(r"Reconnecting, shown is (2|3)\d s old", page.locator("#connection-status").text_content())
    page.close()  # or it would go on to complain that it reaches nobody
    complaints.clear()


WATCH_STALE = """() => {
  const main = document.querySelector("main");
  const note = () => main.hasAttribute("data-stale") && main.setAttribute("data-was-stale", "");
  new MutationObserver(note).observe(main, {attributeFilter: ["data-stale"]});
}"""


def test_laptop_that_slept_shows_nothing_old_as_new(page, complaints, stack, session):
    page.clock.install()
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    page.evaluate(WATCH_STALE)
    page.clock.set_system_time(now() + timedelta(hours=2))  # no timer ran meanwhile
    page.wait_for_selector("main[data-was-stale]")
    page.wait_for_selector("main:not([data-stale]) #connection-status[data-state=live]", timeout=15_000)
    complaints.clear()


def test_session_that_has_not_begun_is_not_live(page, stack, event):
    waiting = Session.objects.create(event=event, title="In two days", starts_at=now() + timedelta(days=2))
    page.goto(f"{stack.url}/sessions/{waiting.id}/")
    wait_until_live(page)
    assert page.locator("#connection-status").text_content() == "Not begun"


def test_heartbeat_leaves_the_page_as_it_is(page, stack, session):
    heard = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(frame)))
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    for _ in range(200):
        if any('"heartbeat"' in str(frame) for frame in heard):
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail("no heartbeat came")
    assert page.locator("#connection-status").text_content() == "Live"
    assert page.locator("main > section").count() == page.locator("main > section[id]").count() > 3


def test_list_refreshes_itself(page, stack, event, session):
    page.goto(f"{stack.url}/")
    assert page.locator(".room").count() == 1
    stage.live_session(event, "Second room")
    page.wait_for_selector("text=Second room", timeout=15_000)


def test_keyboard_reaches_everything_that_can_be_clicked(page, stack, session):
    stage.incident(session, timestamp=session.judged_until)
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    reached = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Skip to the content", "Log out", "Acknowledge", "False alarm", "All, with their evidence"} <= reached


def test_sensitivity_is_chosen_and_taken_back_with_the_keyboard_and_without_a_reload(page, stack, event, session):
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    page.evaluate("window.neverReloaded = true")
    assert page.locator("#sensitivity-form").is_hidden()
    page.locator("#sensitivity-summary").press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "sensitivity-sensitive"
    page.keyboard.press("Space")
    page.wait_for_selector("#sensitivity-sensitive[aria-pressed=true]")
    assert page.get_by_role("link", name="Sensitivity: sensitive").is_visible()
    assert page.get_by_text("Sensitivity: sensitive · change").is_visible()
    assert page.locator("#event-sensitivity [aria-pressed=true]").count() == 1
    assert page.evaluate("document.activeElement.id") == "sensitivity-sensitive"
    event.refresh_from_db()
    assert event.sensitivity == "sensitive"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "undo-sensitivity"
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Sensitivity is normal now, and was sensitive.")
    page.wait_for_selector("#sensitivity-normal[aria-pressed=true]")
    assert page.evaluate("document.activeElement.id") == "undo-sensitivity"
    assert page.evaluate("window.neverReloaded")
    event.refresh_from_db()
    assert event.sensitivity == "normal"


def test_sensitivity_is_chosen_and_taken_back_without_javascript(page, browser, stack, event, session):
    context = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(f"{stack.url}/sessions/{session.id}/")
    plain.get_by_role("link", name="Sensitivity: normal").click()
    plain.get_by_role("button", name="Calm").click()
    plain.wait_for_selector("text=Sensitivity is calm now, and was normal.")
    event.refresh_from_db()
    assert event.sensitivity == "calm"
    plain.get_by_role("button", name="Undo").click()
    plain.wait_for_selector("text=Sensitivity is normal now, and was calm.")
    assert plain.url == f"{stack.url}/sessions/{session.id}/"
    context.close()
    event.refresh_from_db()
    assert event.sensitivity == "normal"


HINT = "Point at the chart, or read it with the arrow keys."


def chart_line(page) -> str:
    return page.locator(".chart-reading").text_content()


def told_of(row: EngagementRow) -> str:
    """What the line under the chart says of a row, in the viewer's zone."""
    clock = (row.timestamp + timedelta(hours=5, minutes=30)).strftime("%H:%M:%S")
    return f"{clock} score {write_score(row.engagement_score)}, {row.total_users} people"


def pushed(page, session: Session) -> None:
    """Have a row pushed, whichever parts it changes, and wait for it."""
    page.evaluate("""() => {
        delete document.body.dataset.told;
        document.addEventListener('htmx:wsAfterMessage', () => { document.body.dataset.told = ''; }, {once: true});
    }""")
    post_a_row(session)
    page.wait_for_selector("body[data-told]")


def redrawn(page, session: Session) -> None:
    """Have a push draw the chart anew, and wait for it."""
    page.evaluate("document.querySelector('.chart-sheet').dataset.old = ''")
    post_a_row(session)
    page.wait_for_selector(".chart-sheet:not([data-old])")


def test_chart_is_read_with_the_keys_and_a_push_leaves_it_where_it_is(page, stack, session):
    rows = list(session.rows.order_by("timestamp"))
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    assert chart_line(page) == HINT
    page.locator(".chart-picture").focus()
    page.keyboard.press("End")
    assert chart_line(page) == told_of(rows[-1])
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    assert chart_line(page) == told_of(rows[-3])
    page.keyboard.press("Shift+ArrowLeft")
    assert chart_line(page) == told_of(rows[-15])
    assert page.locator(".chart-reading").get_attribute("aria-live") == "polite"
    across = page.locator(".chart-cross").bounding_box()["x"]
    redrawn(page, session)
    expected = r", expected \.\d\d to (\.\d\d|1\.00)"  # the worker knows the room by now
    assert re.sub(expected, "", chart_line(page)) == told_of(rows[-15]) != chart_line(page)
    assert page.evaluate("document.activeElement.className") == "chart-picture"
    assert page.locator(".chart-cross").bounding_box()["x"] < across
    page.keyboard.press("ArrowRight")
    assert re.sub(expected, "", chart_line(page)) == told_of(rows[-14])
    page.keyboard.press("Home")
    assert chart_line(page).startswith(told_of(rows[0]).partition(",")[0])
    page.keyboard.press("Escape")
    assert (chart_line(page), page.locator(".chart-cross").count()) == (HINT, 0)
    assert page.locator(".chart-reading").get_attribute("aria-live") == "off"


def test_keys_jump_from_incident_to_incident(page, stack, session):
    rows = list(session.rows.order_by("timestamp"))
    for place, severity in ((40, "WARNING"), (80, "CRITICAL")):
        end = {"resolved_at": rows[place + 3].timestamp, "status": Anomaly.Status.RESOLVED}
        stage.incident(session, severity, timestamp=rows[place].timestamp, **end)
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    page.locator(".chart-picture").focus()
    page.keyboard.press("PageUp")
    assert chart_line(page) == f"{told_of(rows[80])}, Sudden drop (critical)"
    page.keyboard.press("ArrowUp")
    assert chart_line(page) == f"{told_of(rows[40])}, Sudden drop (warning)"
    page.keyboard.press("ArrowUp")
    assert chart_line(page) == f"{told_of(rows[40])}, Sudden drop (warning)"
    page.keyboard.press("ArrowDown")
    assert chart_line(page) == f"{told_of(rows[80])}, Sudden drop (critical)"


def open_poll(rows: list[EngagementRow]) -> None:
    """Have these rows tell of a poll in which half of the audience takes part."""
    timestamps = [row.timestamp for row in rows]
    EngagementRow.objects.filter(session=rows[0].session_id, timestamp__in=timestamps).update(poll_participation=0.5)


def test_polls_are_reached_with_the_keys_and_told_by_the_line(page, stack, session):
    rows = list(session.rows.order_by("timestamp"))
    open_poll(rows[30:40])
    open_poll(rows[110:])
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    assert page.locator(".chart-mark-poll").all_text_contents() == ["Poll 50 %", "Poll 50 %"]
    assert (page.locator(".chart-poll").count(), page.locator(".chart-poll-end").count()) == (2, 3)
    page.locator(".chart-picture").focus()
    page.keyboard.press("ArrowUp")
    assert chart_line(page) == f"{told_of(rows[110])}, poll open, 50 % took part so far"
    page.keyboard.press("ArrowUp")
    assert chart_line(page) == f"{told_of(rows[30])}, poll, 50 % took part"
    page.keyboard.press("ArrowLeft")
    assert chart_line(page) == told_of(rows[29])
    page.get_by_text("The chart as a table").click()
    page.wait_for_selector("#chart-table-lines >> text=Poll open (50 % took part so far)")


def test_chart_is_read_with_a_mouse_and_says_nothing_aloud(page, stack, session):
    rows = list(session.rows.order_by("timestamp"))
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    box = page.locator(".chart-window").bounding_box()
    page.mouse.move(box["x"] + box["width"], box["y"] + 50)
    assert chart_line(page) == HINT  # the edge is no longer in it
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 50)
    assert chart_line(page) == told_of(rows[-1])
    page.mouse.move(box["x"] + 1, box["y"] + 50)
    assert chart_line(page) == told_of(rows[0])
    assert page.locator(".chart-reading").get_attribute("aria-live") == "off"
    page.mouse.move(box["x"] + 1, box["y"] - 50)
    assert chart_line(page) == HINT


def test_chart_is_read_with_a_finger(page, browser, stack, session):
    rows = list(session.rows.order_by("timestamp"))
    state = page.context.storage_state()
    context = browser.new_context(storage_state=state, has_touch=True, timezone_id="Asia/Kolkata")
    phone = context.new_page()
    phone.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    phone.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(phone)
    box = phone.locator(".chart-window").bounding_box()
    phone.touchscreen.tap(box["x"] + 1, box["y"] + 50)
    assert chart_line(phone) == told_of(rows[0])
    context.close()


@pytest.fixture
def long_session(event) -> Session:
    """A room that has gone on for an hour, with an incident of twenty minutes ago."""
    session = Session.objects.create(event=event, title="Keynote")
    moment = now().replace(microsecond=0)
    rows = [
        Reading(moment - timedelta(seconds=5 * place), 12.0, None, 40, 50 + place, 4.0, 0.0)
        for place in reversed(range(721))
    ]
    record_rows(session.id, rows, moment)
    Session.objects.filter(id=session.id).update(
        judged_until=moment, heard_at=moment, detector_state=Session.DetectorState.WATCHING
    )
    stage.incident(session, timestamp=moment - timedelta(minutes=4), status="resolved", resolved_at=moment)
    return Session.objects.select_related("event").get()


def shown_minutes(page) -> float:
    """Return how many minutes of the chart are to be seen."""
    return page.evaluate("""() => {
        const sheet = document.querySelector(".chart-sheet"), shown = document.querySelector(".chart-window");
        const drawn = Date.parse(sheet.dataset.until) - Date.parse(sheet.dataset.since);
        return Math.round(drawn / 60_000 * shown.clientWidth / sheet.clientWidth * 10) / 10;
    }""")


def pressed(page) -> list[str]:
    return page.locator(".chart-ranges [aria-pressed=true]").all_text_contents()


def test_ranges_of_the_chart_stay_while_pushes_come(page, stack, long_session):
    page.goto(f"{stack.url}/sessions/{long_session.id}/")
    wait_until_live(page)
    assert (shown_minutes(page), pressed(page)) == (30, ["30 min"])
    page.get_by_role("button", name="5 min").click()
    assert (shown_minutes(page), pressed(page)) == (5, ["5 min"])
    redrawn(page, long_session)
    assert (shown_minutes(page), pressed(page)) == (5, ["5 min"])
    assert page.evaluate("document.activeElement.id") == "range-5min"
    page.get_by_role("button", name="Whole session").click()
    page.wait_for_selector(".chart[data-range=whole]")
    assert (shown_minutes(page), pressed(page)) == (60.1, ["Whole session"])
    pushed(page, long_session)
    assert (shown_minutes(page), pressed(page)) == (60.1, ["Whole session"])
    page.get_by_role("button", name="30 min").click()
    page.wait_for_selector(".chart[data-range='30min']")
    assert (shown_minutes(page), pressed(page)) == (30, ["30 min"])


def test_part_of_the_chart_that_a_mouse_is_dragged_over_is_shown(page, stack, long_session):
    page.goto(f"{stack.url}/sessions/{long_session.id}/")
    wait_until_live(page)
    box = page.locator(".chart-window").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 2 * box["width"] / 3, box["y"] + 60)
    assert page.locator(".chart-drag").bounding_box()["width"] == pytest.approx(box["width"] / 3, abs=2)
    page.mouse.up()
    assert (shown_minutes(page), pressed(page)) == (10, [])
    assert page.locator(".chart-drag").count() == 0
    before = page.locator(".chart-times text").all_text_contents()
    redrawn(page, long_session)
    assert shown_minutes(page) == 10
    assert page.locator(".chart-times text").all_text_contents() == before
    page.locator(".chart-picture").focus()
    page.keyboard.press("End")
    assert page.evaluate("""() => {
        const read = document.querySelector(".chart-cross").getBoundingClientRect();
        return read.left <= document.querySelector(".chart-window").getBoundingClientRect().right + 1;
    }""")
    page.locator(".chart-window").dblclick()
    assert (shown_minutes(page), pressed(page)) == (30, ["30 min"])


def test_ranges_of_the_chart_are_chosen_without_javascript(page, browser, stack, long_session):
    context = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(f"{stack.url}/sessions/{long_session.id}/")
    for name, minutes in (("5 min", 5), ("Whole session", 60), ("30 min", 30)):
        plain.get_by_role("button", name=name).click()
        sheet = plain.locator(".chart-sheet")
        since, until = (datetime.fromisoformat(sheet.get_attribute(f"data-{end}")) for end in ("since", "until"))
        assert (until - since, pressed(plain)) == (timedelta(minutes=minutes), [name])
    context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1366, 1920])
@pytest.mark.parametrize("size", ["100%", "200%"])
def test_words_of_the_chart_never_collide(page, stack, session, width, size):
    rows = list(session.rows.order_by("timestamp"))
    for place in (10, 12, 30, 50, 55, 60, 62, 64, 66, 68, 110, 114):
        end = {"resolved_at": rows[place + 3].timestamp, "status": Anomaly.Status.RESOLVED}
        stage.incident(session, timestamp=rows[place].timestamp, anomaly_type="GRADUAL_DECLINE", **end)
    for place in (8, 14, 31, 33, 57, 64, 90, 111, 117):
        open_poll(rows[place : place + 2])
    Session.objects.filter(id=session.id).update(
        breaks=[{"starts_at": rows[place].timestamp.isoformat(), "ends_at": rows[place + 5].timestamp.isoformat()}
                for place in (20, 52, 112)]
    )  # fmt: skip
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    page.evaluate("size => document.documentElement.style.fontSize = size", size)
    for name in ("30 min", "5 min"):
        page.get_by_role("button", name=name).click()
        assert page.evaluate(COLLISIONS) == [], name
        box = page.locator("#engagement-chart").bounding_box()
        assert page.evaluate("document.getElementById('engagement-chart').scrollWidth") <= box["width"] <= width


COLLISIONS = """() => {
  const shown = document.querySelector(".chart-window").getBoundingClientRect();
  const boxes = [...document.querySelectorAll(".chart-mark, .chart-mark-break, .chart-mark-poll, .chart-times text")]
    .map((each) => [each.textContent, each.getBoundingClientRect()])
    .filter(([, { width, left, right }]) => width && right > shown.left && left < shown.right);
  const meets = ([, one], [, other]) =>
    one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
  return boxes.flatMap((one, place) =>
    boxes.slice(place + 1).filter((other) => meets(one, other)).map((other) => [one[0], other[0]]));
}"""


def test_table_is_as_new_as_its_opening_and_is_there_without_javascript(page, browser, stack, session):
    address = f"{stack.url}/sessions/{session.id}/"
    page.goto(address)
    wait_until_live(page)
    lines = page.locator("#chart-table tbody tr")
    before = lines.count()
    assert before in (10, 11)
    moment = session.rows.last().timestamp
    record_rows(session.id, [Reading(moment + timedelta(minutes=1), 12.0, 0.5, 40, 77, 4.0, 0.0)], now())
    page.get_by_text("The chart as a table").click()
    page.wait_for_selector(f"#chart-table tbody tr:nth-child({before + 1})")
    assert lines.first.locator("td").nth(2).text_content() == "77"
    hours, minutes = map(int, lines.first.locator("time").text_content().split(":"))
    newest = moment + timedelta(minutes=1, hours=5, seconds=1800)
    assert (hours, minutes) == (newest.hour, newest.minute)
    context = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(address)
    plain.get_by_text("The chart as a table").click()
    assert plain.locator("#chart-table tbody tr").first.is_visible()
    assert plain.locator(".chart-line").get_attribute("d").startswith("M")
    context.close()


def test_refused_handshake_is_http_403(stack, session):
    _, secret = ApiKey.objects.issue(Event.objects.create(name="Other"), "platform")
    assert handshake(stack.url, f"/ws/sessions/{session.id}/") == 403
    assert handshake(stack.url, f"/ws/sessions/{session.id}/stream/", Authorization=f"Bearer {secret}") == 403
    _, own = ApiKey.objects.issue(session.event, "platform")
    assert handshake(stack.url, f"/ws/sessions/{session.id}/stream/", Authorization=f"Bearer {own}") == 101


def handshake(url: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    connection.request("GET", path, headers=upgrade | headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_sockets_are_compressed_for_who_offers_it_and_a_bomb_is_not_unpacked(stack, session, event):
    _, secret = ApiKey.objects.issue(event, "stream")
    address = f"{stack.url.replace('http', 'ws', 1)}/ws/sessions/{session.id}/stream/"
    headers = {"Authorization": f"Bearer {secret}"}
    with connect(address, additional_headers=headers, compression=None) as plain:
        assert "Sec-WebSocket-Extensions" not in plain.response.headers
    with connect(address, additional_headers=headers) as socket:
        assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
        socket.send("x" * 50_000_000)
        with pytest.raises(ConnectionClosed):
            list(iter(lambda: socket.recv(timeout=20), None))  # whatever comes before the end
