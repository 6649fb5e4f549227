"""Pages for who needs them larger, in colours of their own, without motion or without a mouse."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor.models import Heard
from conductor.tests import stage
from conductor.tests.browsing import LAPTOP, post_a_row, session_of_now, wait_until_live
from conductor.tests.platforms.payloads import make_platform
from engagement.models import Session, Upload

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2

# What reaches over the right edge of the page, so that a failure says what it is.
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [document.documentElement.scrollWidth,
  ...[...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth)
    .map((each) => `${each.tagName}#${each.id}.${each.getAttribute("class")}`).slice(0, 12)]"""


def open_everything(page) -> None:
    page.evaluate("for (const each of document.querySelectorAll('main details')) each.open = true")


def find_too_wide(page, text: str) -> list:
    page.evaluate("size => document.documentElement.style.fontSize = size", text)
    return page.evaluate(TOO_WIDE)


SIZES = {
    "320 px": (320, 800, "100%"),
    "a laptop at 400 %": (320, 256, "100%"),
    "a phone with text at 200 %": (390, 844, "200%"),
    "the smallest with text at 200 %": (320, 800, "200%"),
    "a tablet with text at 200 %": (768, 1024, "200%"),
    "a laptop with text at 200 %": (1366, 768, "200%"),
}


@pytest.mark.parametrize(("width", "height", "text"), SIZES.values(), ids=SIZES)
def test_no_page_scrolls_sideways(page, stack, event, complaints, width, height, text):
    session = session_of_now(event, LONG)
    for severity, kind in (("CRITICAL", "GRADUAL_DECLINE"), ("WARNING", "LOW_ENGAGEMENT")):
        stage.incident(session, severity, timestamp=now() - timedelta(minutes=1), anomaly_type=kind, description=LONG)
    over = {"status": Anomaly.Status.RESOLVED, "resolved_at": now()}
    ended = session_of_now(event, f"{LONG} is over", minutes=2)
    stage.incident(ended, timestamp=now() - timedelta(minutes=1), description=LONG, **over)
    Session.objects.filter(id=ended.id).update(status="ended", ended_at=now())
    bare = Session.objects.create(event=event, title=f"{LONG} to come", starts_at=now() + timedelta(days=1))
    page.set_viewport_size({"width": width, "height": height})
    own = [f"/sessions/{each.id}/" for each in (session, ended, bare)]
    found = {}
    User.objects.update(is_staff=True, is_superuser=True)
    Heard.objects.create(platform=make_platform(event, name=LONG[:100]), name=LONG[:100], used=1, last_at=now())
    reports = (f"{own[0]}report/", f"/events/{event.id}/report/", reverse("desk"))
    reports += (
        f"/events/{event.id}/",
        f"/events/{event.id}/channels/",
        f"/events/{event.id}/platforms/",
        f"{own[0]}edit/",
        "/accounts/",
    )
    reports += (f"{own[2]}beacon/", "/static/beacon/demo.html")
    question = {"columns": [LONG, "Joined", "Left"]}
    asked = Upload.objects.create(
        event=event, title=LONG, zone="UTC", file_names=[], size=1, uploaded_at=now(), status="asked", question=question
    )
    elsewhere = (f"{own[0]}anomalies/", "/recordings/", f"/recordings/{asked.id}/", f"/?q={LONG}", "/nowhere/")
    for address in ("/", "/?projector=1", *own, *reports, *elsewhere):
        page.goto(f"{stack.url}{address}")
        open_everything(page)
        found[address] = find_too_wide(page, text)
    page.goto(f"{stack.url}/")
    page.keyboard.press("?")
    found["keys"] = find_too_wide(page, text)
    Session.objects.bulk_create([Session(event=event, title=f"{LONG} {n}", status="live") for n in range(12)])
    page.goto(f"{stack.url}/")
    assert page.locator("[data-many]").count() == 1
    found["many"] = find_too_wide(page, text)
    page.context.clear_cookies()
    page.goto(f"{stack.url}/accounts/login/")
    found["login"] = find_too_wide(page, text)
    assert not any(found.values()), {address[-20:]: wide for address, wide in found.items() if wide}
    complaints.clear()  # Chromium says that one was not found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colors_take_no_meaning_away(page, stack, event, scheme):
    session = session_of_now(event)
    stage.incident(session, "CRITICAL", timestamp=now() - timedelta(minutes=1))
    calm = session_of_now(event, "Calm", minutes=2)
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    page.goto(f"{stack.url}/")
    wait_until_live(page)

    def look(selector: str, name: str) -> str:
        return page.locator(selector).first.evaluate("(each, name) => getComputedStyle(each)[name]", name)

    ground = look("body", "backgroundColor")
    assert look(".room-action", "forcedColorAdjust") == "none"
    assert look(".room-action", "color") != look(".room-action", "backgroundColor")
    assert look(f"#room-{session.id}", "borderTopStyle") == "double"
    assert look(f"#room-{calm.id}", "borderTopStyle") == "solid"
    assert look(f"#room-{session.id} .spark path", "stroke") != ground
    assert look(f"#room-{session.id} .spark-incident", "stroke") != ground
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    page.locator("#sensitivity-summary").click()
    assert look(".incident", "borderTopStyle") == "double"
    for mark in (".chart-line", ".chart-start"):
        assert look(mark, "stroke") != ground
    assert look(".part", "fill") != ground
    assert look(".parts-ground", "fill") == ground
    pressed, others = "#sensitivity-normal", "#sensitivity-calm"
    assert look(pressed, "backgroundColor") != look(others, "backgroundColor")
    assert look("#range-30min", "backgroundColor") != look("#range-5min", "backgroundColor")


@pytest.mark.parametrize(("motion", "duration"), [("reduce", "0s"), ("no-preference", "0.15s")])
def test_nothing_moves_for_who_wants_no_motion(page, stack, event, motion, duration):
    session = session_of_now(event)
    page.emulate_media(reduced_motion=motion)
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    stage.incident(session, timestamp=session.judged_until)
    post_a_row(session)
    page.wait_for_selector(".banner[data-new] .incident")
    assert page.locator(".incident").evaluate("each => getComputedStyle(each).animationDuration") == duration
    durations = page.evaluate("""() => [...document.querySelectorAll("*")].map((each) => getComputedStyle(each))
      .flatMap((style) => [style.animationDuration, style.transitionDuration])""")
    assert (set(durations) == {"0s"}) == (motion == "reduce")


def reach(page, most: int = 60) -> list[str]:
    """Go through a page with the Tab key, and return what was reached, by id or else by its words."""
    found = []
    for _ in range(most):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => {
          const { activeElement, body } = document;
          return activeElement === body ? "" : activeElement.id || activeElement.textContent.trim();
        }""")
        if here == "" and not found:
            continue
        if here in ("", *found[:1]):  # once around
            break
        found.append(here)
        assert page.evaluate("""() => {
          const { outlineStyle } = getComputedStyle(document.activeElement);
          return outlineStyle !== "none" || document.activeElement.closest(".room") !== null;
        }"""), here
    return found


def test_whatever_can_be_clicked_on_a_session_is_reached_with_the_keyboard(page, stack, event):
    page.set_viewport_size({"width": LAPTOP[0], "height": LAPTOP[1]})
    session = session_of_now(event)
    for severity in ("CRITICAL", "WARNING"):
        stage.incident(session, severity, timestamp=now() - timedelta(minutes=1))
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    open_everything(page)
    page.evaluate("document.activeElement.blur()")
    wanted = page.evaluate("""() => [...document.querySelectorAll("a, button, summary, [tabindex]")]
      .filter((each) => each.tabIndex >= 0 && each.checkVisibility())
      .map((each) => each.id || each.textContent.trim())""")
    assert len(wanted) > 14
    assert set(wanted) <= set(reach(page))


def test_header_of_an_admin_is_one_line_on_the_smallest_phone(page, stack, event):
    stage.User.objects.filter(username="mara").update(is_staff=True)
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(f"{stack.url}/")
    tops = page.locator(".site").evaluate("each => [...each.children].map((child) => child.getBoundingClientRect().y)")
    assert abs(tops[0] - tops[1]) < 12
    assert page.locator(".site").evaluate("each => each.offsetHeight") < 60
    assert page.get_by_role("link", name="Engagement Conductor").is_visible()


def test_names_in_a_wide_table_are_read_on_a_phone(page, stack, event):
    session = session_of_now(event, "Kubernetes for teachers", minutes=2)
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(f"{stack.url}/events/{event.id}/report/")
    name = page.get_by_role("link", name=session.title)
    assert name.bounding_box()["width"] > 100
    assert find_too_wide(page, "100%") == []
    main = page.locator("main").bounding_box()
    assert main["y"] + 16 <= page.locator("h1").bounding_box()["y"]


def test_actions_of_an_incident_take_a_line_beside_it_and_none_on_paper(page, stack, event):
    session = session_of_now(event)
    stage.incident(session, timestamp=now() - timedelta(minutes=1))
    page.set_viewport_size({"width": LAPTOP[0], "height": LAPTOP[1]})
    page.goto(f"{stack.url}/sessions/{session.id}/")
    wait_until_live(page)
    assert page.locator(".incident").bounding_box()["height"] <= 132
    assert page.locator(".incident-actions").bounding_box()["height"] <= 44
    page.emulate_media(media="print")
    assert not page.locator(".incident-actions").is_visible()
