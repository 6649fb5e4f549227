"""What an open page weighs: bytes on the wire for each push, and memory in the browser after many hours."""

import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import redis
from channels.layers import get_channel_layer
from django.conf import settings
from django.test import Client
from django.utils.timezone import now
from websockets.sync.client import connect

from anomalies.models import Anomaly
from conductor import live
from conductor.access import Claim
from conductor.dashboards import DashboardRoom
from conductor.hub import Listener
from conductor.screens.facts import SessionFacts, read_facts
from conductor.screens.rooms import list_rooms
from conductor.screens.session import compose_screen, render_parts
from conductor.screens.standing import Choice
from conductor.tests import stage, sweeping
from conductor.tests.network import Network
from engagement.ingest import record_rows
from engagement.models import Session
from engagement.readings import Reading

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HALF_HOUR = 360  # rows
HOUR = 720
MOST_BYTES_A_PUSH = 1_000  # 0.7 MB an hour, of a row each five seconds
HOURS = int(os.environ.get("SOAK_HOURS", "0"))  # 0: a few minutes of each


def lively_rows(seed: int, count: int) -> list[Reading]:
    """Return the rows of a room in which everything moves all the time."""
    chance, share, people, rows = random.Random(seed), 0.6, 212, []
    for place in range(count):
        share = min(0.95, max(0.05, share + chance.gauss(0, 0.02)))
        people = max(10, people + chance.choice((-1, 0, 0, 1)))
        chats, reactions = max(0, round(chance.gauss(12, 3))), chance.randrange(10)
        at = START + timedelta(seconds=5 * place)
        rows.append(Reading(at, float(chats), None, int(share * people), people, float(reactions), 0.0))
    return rows


def tell_story(session: Session, count: int) -> Iterator[list[str]]:
    """Yield the page of a session, part by part, at each of so many rows after half an hour; incidents come and go."""
    rows = lively_rows(1, HALF_HOUR + count)
    record_rows(session.id, rows, rows[-1].timestamp)
    sweeping.sweep_all(rows[-1].timestamp)
    session.refresh_from_db()
    facts = read_facts(session, is_whole=True)
    for place in range(HALF_HOUR, HALF_HOUR + count):
        shown = facts.rows[place - HALF_HOUR : place + 1]
        at = shown[-1].timestamp
        session.judged_until = session.heard_at = at
        seen = replace(facts, session=session, rows=shown, incidents=incidents_at(session, facts, place))
        yield [str(part) for part in render_parts(compose_screen(seen, at))]


def incidents_at(session: Session, facts: SessionFacts, place: int) -> list[Anomaly]:
    """Return an incident for each five minutes, newest first, that goes on for a minute."""
    found = []
    for begin in range(60, place + 1, 60):
        end = begin + 12
        is_over = end <= place
        found.append(
            Anomaly(
                id=f"00000000-0000-4000-8000-{begin:012}",
                session=session,
                timestamp=facts.rows[begin].timestamp,
                resolved_at=facts.rows[end].timestamp if is_over else None,
                status=Anomaly.Status.RESOLVED if is_over else Anomaly.Status.OPEN,
                anomaly_type=list(Anomaly.Type)[begin // 60 % 4],
                severity=list(Anomaly.Severity)[begin // 60 % 2],
                anomaly_score=0.9,
                current_engagement=0.31,
                expected_engagement=0.74,
                deviation=0.58,
                description="Chat fell from 14 to 2 a minute.",
                metadata={"moved": ["chat_msgs_per_min"], "advice": "Ask the room a question."},
            )
        )
    return found[:-21:-1]


def cookie_of(user) -> str:
    client = Client()
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.session.session_key}"


def test_push_of_a_lively_room_is_small_on_the_wire(stack, session):
    cookie, group = cookie_of(stage.organizer("mara", session.event)), live.dashboard_group(session.id)
    address = f"/ws/sessions/{session.id}/"
    lively = stage.live_session(session.event, "Lively", rows=0)
    pushes = list(tell_story(lively, 61))
    with Network(stack.url) as network, redis.Redis.from_url(stack.environment["REDIS_URL"]) as carrier:
        url = network.url.replace("http", "ws", 1)
        with connect(url + address, additional_headers={"Cookie": cookie, "Origin": network.url}) as page:
            assert "permessage-deflate" in page.response.headers["Sec-WebSocket-Extensions"]
            page.recv(timeout=20)
            weights = []
            for parts in pushes:
                before = network.bytes_to_client
                message = {"type": "forward", "frames": parts}
                carrier.publish(live.redis_channel(group), get_channel_layer().serialize(message))
                while (frame := page.recv(timeout=20)).startswith("{"):
                    before = network.bytes_to_client  # a heartbeat
                weights.append(network.bytes_to_client - before)
                assert frame.count("<figure") == 1
    assert len(pushes[-1][3]) > 7_000, "the room is not lively"
    assert sum(weights[1:]) / len(weights[1:]) < MOST_BYTES_A_PUSH


class FedPage:
    """A page of the product whose socket is fed by the test, as fast as it takes what it is sent."""

    def __init__(self, page, url: str) -> None:
        self.page, self.fed, self.socket = page, 0, None
        page.route_web_socket(re.compile("/ws/"), self._open)
        page.goto(url)
        page.evaluate(
            "document.addEventListener('htmx:wsAfterMessage', () => { window.taken = (window.taken ?? 0) + 1; })"
        )
        self.devtools = page.context.new_cdp_session(page)

    def _open(self, socket) -> None:
        self.socket = socket

    def feed(self, frames: list[str]) -> None:
        for frame in frames:
            self.socket.send(frame)
            self.fed += 1
            if self.fed % 20 == 0:
                self.await_taken()
        self.await_taken()

    def await_taken(self) -> None:
        self.page.wait_for_function("most => window.taken === most", arg=self.fed, timeout=60_000)

    def weigh(self) -> tuple[int, int, int]:
        """Return the bytes of the heap, the nodes and the listeners that are left when all rubbish is gone."""
        for _ in range(3):
            self.devtools.send("HeapProfiler.collectGarbage")
        counters = self.devtools.send("Memory.getDOMCounters")
        heap = self.devtools.send("Runtime.getHeapUsage")["usedSize"]
        return heap, counters["nodes"], counters["jsEventListeners"]


@pytest.fixture
def page(stack, browser, event):
    """A page that is logged in, with a clock for `live.js` that the test does not steer."""
    context = browser.new_context()
    user = stage.organizer("mara", event)
    name, _, value = cookie_of(user).partition("=")
    context.add_cookies([{"name": name, "value": value, "url": stack.url}])
    yield context.new_page()
    context.close()


def changes_of(pushes: list[list[str]]) -> list[str]:
    """Return what a page is told that reads all of it: the parts that changed; of the first, against the last."""
    room, told = DashboardRoom(uuid4(), lambda: ""), []

    class Reading(Listener):
        def push_changes(self, changes: str, whole: str) -> None:
            told.append(changes)

    room.listeners.add(Reading(Claim(None), None, None, is_latest_enough=True))
    for parts in [pushes[-1], *pushes]:
        room.tell(parts)
    return told[1:]


def assert_flat(early: tuple[int, int, int], late: tuple[int, int, int]) -> None:
    """The same is shown, so the same is there: less than 1 MB more of heap, and hardly a node more."""
    assert late[0] < early[0] + 1_000_000, (early, late)
    assert late[1] <= early[1] * 1.02, (early, late)
    assert late[2] <= early[2] * 1.02, (early, late)


@pytest.mark.browser
def test_page_of_a_session_is_as_light_after_hours(page, stack, session):
    lively = stage.live_session(session.event, "Lively", rows=0)
    hour = changes_of(list(tell_story(lively, HOUR if HOURS else 72)))
    fed = FedPage(page, f"{stack.url}/sessions/{session.id}/")
    fed.feed(hour)
    early = fed.weigh()
    for _ in range(1, HOURS or 6):
        fed.feed(hour)
    assert_flat(early, fed.weigh())
    assert page.locator(".timeline li").count() > 0


@pytest.mark.browser
def test_list_is_as_light_after_hours(page, stack, event):
    sessions = [stage.live_session(event, f"Room {number}") for number in range(14)]
    user, frames = event.organizers.get(), []
    incident = stage.incident(sessions[-1])
    for score in (0.2, 0.6):
        sessions[0].rows.update(engagement_score=score)
        frames.append(list_rooms(user, Choice(), now(), "/"))
        Anomaly.objects.filter(id=incident.id).update(status="resolved", resolved_at=stage.NOW)
    one, other = frames
    minute = [one.write({}), "".join(other.cards.values()), other.whole, "".join(one.cards.values())]
    fed = FedPage(page, f"{stack.url}/")
    hour = minute * (60 if HOURS else 8)  # a push each quarter of a minute
    fed.feed(hour)
    early = fed.weigh()
    for _ in range(1, HOURS or 6):
        fed.feed(hour)
    assert_flat(early, fed.weigh())
    assert page.locator(".room").count() == 14
