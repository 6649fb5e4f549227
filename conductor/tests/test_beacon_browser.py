"""The beacon in real tabs: what becomes of a room when they are hidden, closed, killed, cut off and back.

The page is of another origin than the conductor, as anybody's is.
"""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
import redis
from django.db.models import F

from conductor import wakeups
from conductor.tests.waiting import wait_until
from engagement.models import BeaconToken, EngagementRow, Event, RawEventRow, Session, Visitor
from engagement.visits import UNHEARD_SECONDS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGE = """<!doctype html><title>A player</title><h1>Player</h1>
<script src="{url}/beacon.js" data-token="{token}"{more} async></script>"""


class Site(http.server.BaseHTTPRequestHandler):
    """Somebody's own page, of an origin of its own."""

    pages: dict[str, str] = {}

    def do_GET(self) -> None:
        body = self.pages.get(self.path, "").encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def room() -> Session:
    event = Event.objects.create(name="Spring summit")
    return Session.objects.create(event=event, title="Keynote", lateness_seconds=0)


@pytest.fixture
def player(site, stack, room) -> str:
    """Return the address of a page with a beacon in it."""
    has_listened(stack)
    token = BeaconToken.objects.issue(room, "Player", [site])[1]
    Site.pages = {
        "/": PAGE.format(url=stack.url, token=token, more=""),
        "/asks": PAGE.format(url=stack.url, token=token, more=' data-consent="ask"'),
        "/slips": PAGE.format(url=stack.url, token=token, more=' data-consent="Ask first"'),
        "/module": f"""<!doctype html><title>A player</title><script type="module">
            import {{ connect }} from "{stack.url}/static/beacon/index.js";
            globalThis.engagement = connect({{ token: "{token}", url: "{stack.url}" }});</script>""",
        "/other": "<!doctype html><title>Elsewhere</title>",
    }
    return site


@pytest.fixture
def context(browser) -> Iterator:
    context = browser.new_context()
    yield context
    context.close()


def open_tab(context, address: str):
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("globalThis.engagement")
    return page


def wait_for(room: Session, *kinds: str) -> None:
    """Wait until these are the raw events of a room, in any order."""
    found = RawEventRow.objects.filter(session=room).values_list("type", flat=True)
    wait_until(lambda: sorted(found.all()) == sorted(kinds), tell=lambda: f"{sorted(found.all())}")


def wait_until_there_are(room: Session, total: int, active: int, seconds: float = 30) -> None:
    """Wait until the newest row says so many are there, and look."""
    rows = EngagementRow.objects.for_session(room).order_by("-timestamp")
    told = rows.values_list("total_users", "active_users")
    wait_until(lambda: told.all().first() == (total, active), seconds=seconds, tell=lambda: f"{told.all().first()}")


def hide(page, is_hidden: bool = True) -> None:
    """Say to a page what the browser says when another tab is looked at: headless tabs are never hidden by others."""
    state = "hidden" if is_hidden else "visible"
    page.evaluate(
        f"""() => {{
            Object.defineProperty(document, "visibilityState", {{ value: "{state}", configurable: true }});
            document.dispatchEvent(new Event("visibilitychange"));
        }}"""
    )


def has_listened(stack) -> None:
    """Have the server listen for an hour already, as silence counts from when it began, and that is just now."""
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        for what in (wakeups.LISTENING, wakeups.TICKING):
            wait_until(
                lambda what=what: client.set(f"conductor:{what}:since", time.time() - 3_600, xx=True, keepttl=True)
            )


def forget_time(room: Session, seconds: float) -> None:
    """Have it so much longer ago that visitors were heard, as if nobody had been for that long."""
    Visitor.objects.filter(session=room).update(heard_at=F("heard_at") - timedelta(seconds=seconds))


def test_two_tabs_come_look_away_come_back_and_are_closed(context, player, room):
    ada, bob = open_tab(context, f"{player}/"), open_tab(context, f"{player}/module")
    wait_for(room, "join", "focus", "join", "focus")
    wait_until_there_are(room, 2, 2)

    hide(ada)
    wait_until_there_are(room, 2, 1)
    hide(ada, is_hidden=False)
    bob.evaluate("engagement.reaction(3); engagement.chat()")
    wait_for(room, *["join", "focus"] * 2, "blur", "focus", "reaction", "reaction", "reaction", "chat")

    ada.close(run_before_unload=True)
    wait_until_there_are(room, 1, 1)
    bob.goto(f"{player}/other")
    wait_until_there_are(room, 0, 0)
    assert RawEventRow.objects.filter(session=room, late=True).count() == 0
    assert {visitor.state for visitor in Visitor.objects.all()} == {"left"}


def test_tab_that_goes_back_is_there_again(context, player, room):
    ada = open_tab(context, f"{player}/")
    wait_for(room, "join", "focus")
    ada.goto(f"{player}/other")
    wait_for(room, "join", "focus", "leave")
    ada.go_back()
    wait_for(room, "join", "focus", "leave", "join", "focus")


def kill(page) -> None:
    """End the process of a tab, which gets no chance to say anything."""
    from playwright.sync_api import Error

    with page.expect_event("crash"), suppress(Error):
        page.goto("chrome://crash", timeout=5_000)


def killed_and_alive(browser, context, player: str, room: Session) -> tuple[Visitor, Visitor]:
    """Return two visitors of a room, of whom the first is dead; each has a process of its own."""
    doomed = browser.new_context()
    page = open_tab(doomed, f"{player}/")
    wait_until_there_are(room, 1, 1)
    killed = Visitor.objects.get()
    open_tab(context, f"{player}/")
    wait_until_there_are(room, 2, 2)
    kill(page)
    return killed, Visitor.objects.exclude(user=killed.user).get()


def test_tab_that_is_killed_is_missed_and_no_other(browser, context, player, room):
    killed, alive = killed_and_alive(browser, context, player, room)
    Visitor.objects.filter(user=killed.user).update(heard_at=killed.heard_at - timedelta(seconds=UNHEARD_SECONDS))
    wait_until_there_are(room, 1, 1)
    assert RawEventRow.objects.get(session=room, type="leave").user == killed.user
    assert Visitor.objects.get(user=alive.user).state == "focus"


@pytest.mark.long
def test_tab_that_is_killed_has_left_after_the_stated_seconds(browser, context, player, room):
    killed, alive = killed_and_alive(browser, context, player, room)
    wait_until_there_are(room, 1, 1, seconds=UNHEARD_SECONDS + 40)
    leave = RawEventRow.objects.get(session=room, type="leave")
    assert (leave.user, leave.late) == (killed.user, False)
    heard_at = Visitor.objects.get(user=killed.user).heard_at
    assert UNHEARD_SECONDS <= (leave.timestamp - heard_at).total_seconds() <= UNHEARD_SECONDS + 12
    assert Visitor.objects.get(user=alive.user).heard_at > heard_at + timedelta(seconds=30), "it went on by itself"


def test_tab_that_was_cut_off_is_there_again(context, player, room):
    ada = open_tab(context, f"{player}/")
    wait_until_there_are(room, 1, 1)
    context.set_offline(True)
    ada.evaluate("engagement.reaction()")
    hide(ada)
    ada.wait_for_timeout(1_500)
    forget_time(room, 200)  # as long as it takes to be missed
    wait_until_there_are(room, 0, 0)
    context.set_offline(False)
    hide(ada, is_hidden=False)
    wait_until_there_are(room, 1, 1)
    assert RawEventRow.objects.filter(session=room, type="reaction").count() == 1, "what was done meanwhile, once"


def test_tab_that_slept_is_there_again(context, player, room):
    """Asleep it says nothing; when it wakes, its timers fire, within one beat."""
    ada = open_tab(context, f"{player}/")
    wait_until_there_are(room, 1, 1)
    browser_says = context.new_cdp_session(ada).send
    browser_says("Page.setWebLifecycleState", {"state": "frozen"})
    forget_time(room, 200)
    wait_until_there_are(room, 0, 0)
    browser_says("Page.setWebLifecycleState", {"state": "active"})
    wait_until_there_are(room, 1, 1, seconds=40)


@pytest.mark.parametrize("path", ["asks", "slips"])
def test_who_does_not_agree_counts_as_present_and_nothing_more(context, player, room, path):
    ada = open_tab(context, f"{player}/{path}")
    wait_for(room, "join")
    requests: list[str] = []
    ada.on("request", lambda request: requests.append(request.url))
    hide(ada)
    hide(ada, is_hidden=False)
    ada.evaluate("engagement.reaction(); engagement.chat()")
    ada.wait_for_timeout(1_500)
    wait_for(room, "join")
    assert requests == [], "nor does it speak when it is looked at"
    ada.evaluate("engagement.consent(true)")
    wait_for(room, "join", "focus")
    ada.evaluate("engagement.consent(false); engagement.reaction()")
    wait_for(room, "join", "focus", "blur")
    ada.goto("about:blank")
    wait_for(room, "join", "focus", "blur", "leave")


def test_global_privacy_control_is_honoured(context, player, room):
    context.add_init_script("Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true })")
    ada = open_tab(context, f"{player}/")
    ada.evaluate("engagement.consent(true); engagement.reaction()")
    ada.wait_for_timeout(1_500)
    wait_for(room, "join")
    assert Visitor.objects.get().state == "here"


def test_page_that_is_made_ready_before_it_is_opened_has_no_visitor(context, player, room):
    context.add_init_script(
        "Object.defineProperty(Document.prototype, 'prerendering', { get: () => !globalThis.isOpened })"
    )
    ada = open_tab(context, f"{player}/asks")
    ada.evaluate("engagement.consent(true); engagement.reaction()")
    ada.wait_for_timeout(1_500)
    assert not Visitor.objects.exists()
    ada.evaluate("isOpened = true; document.dispatchEvent(new Event('prerenderingchange'))")
    wait_for(room, "join", "focus", "reaction")


def test_nothing_is_stored_in_the_browser(context, player, room, stack):
    ada = open_tab(context, f"{player}/")
    ada.evaluate("engagement.reaction()")
    wait_for(room, "join", "focus", "reaction")

    assert context.cookies() == []
    stored = """async () => [document.cookie, localStorage.length, sessionStorage.length,
        (await indexedDB.databases()).length, (await caches.keys()).length]"""
    assert ada.evaluate(stored) == ["", 0, 0, 0, 0]
    before = Visitor.objects.get().user
    ada.reload()
    ada.wait_for_function("globalThis.engagement")
    wait_until(lambda: Visitor.objects.count() == 2)
    assert Visitor.objects.exclude(user=before).exists(), "the same tab is somebody new"


def test_reports_hold_no_login_of_ours(context, player, room, stack):
    """Also where the visitor is logged in here."""
    ada = open_tab(context, f"{player}/")
    wait_for(room, "join", "focus")
    context.add_cookies([{"name": "sessionid", "value": "x" * 32, "url": stack.url}])
    with ada.expect_request(lambda request: "/api/v1/beacon/" in request.url) as sent:
        ada.evaluate("engagement.reaction()")
    wait_for(room, "join", "focus", "reaction")
    assert sent.value.post_data_json["events"][0]["type"] == "reaction"
    assert "cookie" not in sent.value.all_headers()


def test_page_whose_token_was_revoked_falls_silent(context, player, room, stack):
    ada = open_tab(context, f"{player}/")
    wait_for(room, "join", "focus")
    requests: list[str] = []
    ada.on("request", lambda request: requests.append(request.url))
    Session.objects.filter(id=room.id).update(status="ended")
    with ada.expect_response(lambda answer: answer.status == 409):
        ada.evaluate("engagement.reaction()")
    requests.clear()
    hide(ada)
    ada.evaluate("engagement.reaction(); engagement.consent(false)")
    ada.wait_for_timeout(1_500)
    assert requests == []


def test_page_of_another_origin_is_refused(context, player, room, site, stack):
    BeaconToken.objects.update(origins=["https://player.example.org"])
    page = context.new_page()
    # The answer is not shared with the page, so that it learns no more than that it failed.
    with page.expect_event("requestfailed", lambda request: "/api/v1/beacon/" in request.url):
        page.goto(f"{player}/")
    assert not RawEventRow.objects.exists()


def test_organizer_makes_a_token_tries_it_and_sees_the_room(page, stack, event, context):
    session = Session.objects.create(event=event, title="Keynote", lateness_seconds=0)
    page.goto(f"{stack.url}/events/{event.id}/")
    page.get_by_role("link", name="Beacon of Keynote").click()
    page.get_by_role("button", name="Make a token").click()
    assert 'data-token="eb_' in page.locator("#snippet").text_content()
    tab = context.new_page()
    tab.goto(page.locator("#try").evaluate("(link) => link.href"))
    tab.get_by_role("button", name="Applaud").click()
    wait_for(session, "join", "focus", "reaction")
    tab.get_by_role("button", name="Leave").click()
    wait_for(session, "join", "focus", "reaction", "leave")
    page.get_by_role("button", name="Revoke My page").click()
    page.get_by_text("None that works.").wait_for()
