import asyncio
import json

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.db import connections
from django.test import AsyncClient
from django.utils.timezone import now

from conductor import hub, lists, live
from conductor.asgi import application
from conductor.consumers import Dashboard
from conductor.tests import stage
from engagement.erasure import erase_events, erase_sessions
from engagement.models import ApiKey, EngagementRow, Event, Session

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def organizer(session):
    return stage.organizer("mara", session.event)


@pytest.fixture
def key(session) -> tuple[ApiKey, str]:
    return ApiKey.objects.issue(session.event, "platform")


@pytest.fixture
async def open_socket():
    """Open a socket on the real application; what is still open at the end is closed."""
    opened = []

    async def open_socket(path: str, **headers: str) -> tuple[WebsocketCommunicator, bool]:
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        socket = WebsocketCommunicator(application, path, headers=pairs)
        opened.append(socket)
        connected, _ = await socket.connect(timeout=5)
        return socket, connected

    yield open_socket
    for socket in opened:
        if not socket.future.done():
            await socket.disconnect()
    await sync_to_async(connections.close_all)()  # those of the thread in which the sockets ask the database


async def cookie_of(user, client: AsyncClient | None = None) -> str:
    client = client or AsyncClient()
    await client.aforce_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def paths(session: Session) -> tuple[str, str]:
    return f"/ws/sessions/{session.id}/", f"/ws/sessions/{session.id}/stream/"


async def closed_with(socket: WebsocketCommunicator) -> int:
    """Return the code that the server closes with; what it sends before is not looked at."""
    while (message := await socket.receive_output(timeout=5))["type"] != "websocket.close":
        pass
    return message["code"]


async def test_dashboard_gets_the_state_as_it_is_now(session, organizer, open_socket):
    socket, connected = await open_socket(paths(session)[0], cookie=await cookie_of(organizer))
    assert connected
    snapshot = await socket.receive_from(timeout=5)
    for name in ("engagement-score", "engagement-chart", "signal-cards", "anomaly-banner"):
        assert f'id="{name}"' in snapshot


async def test_stream_says_nothing_before_something_happens(session, organizer, open_socket):
    socket, connected = await open_socket(paths(session)[1], cookie=await cookie_of(organizer))
    assert connected
    assert await socket.receive_nothing()


async def test_stranger_is_refused_by_both_sockets(session, open_socket):
    cookie = await cookie_of(await sync_to_async(stage.organizer)("stranger"))
    for path in paths(session):
        assert (await open_socket(path, cookie=cookie))[1] is False
        assert (await open_socket(path))[1] is False
        assert (await open_socket(path, cookie="sessionid=invented"))[1] is False


async def test_deactivated_organizer_is_refused(session, organizer, open_socket):
    cookie = await cookie_of(organizer)
    organizer.is_active = False
    await organizer.asave()
    for path in paths(session):
        assert (await open_socket(path, cookie=cookie))[1] is False


async def test_superuser_may_listen(session, open_socket):
    admin = await stage.User.objects.acreate(username="admin", is_superuser=True)
    assert (await open_socket(paths(session)[1], cookie=await cookie_of(admin)))[1] is True


async def test_unknown_session_and_unknown_path_are_refused(organizer, key, open_socket):
    cookie, bearer = await cookie_of(organizer), f"Bearer {key[1]}"
    for path in (f"/ws/sessions/{NOBODY}/", f"/ws/sessions/{NOBODY}/stream/", "/ws/sessions/nonsense/", "/ws/"):
        assert (await open_socket(path, cookie=cookie))[1] is False
        assert (await open_socket(path, authorization=bearer))[1] is False


async def test_key_of_the_event_opens_the_stream_and_not_the_dashboard(session, key, open_socket):
    dashboard, stream = paths(session)
    assert (await open_socket(dashboard, authorization=f"Bearer {key[1]}"))[1] is False
    for scheme in ("Bearer", "bearer"):
        assert (await open_socket(stream, authorization=f"{scheme} {key[1]}"))[1] is True


async def test_other_keys_are_refused(session, key, open_socket):
    other = await sync_to_async(ApiKey.objects.issue)(await Event.objects.acreate(name="Other"), "platform")
    stream = paths(session)[1]
    for header in (f"Bearer {other[1]}", f"Bearer {key[1]}x", "Bearer", "Bearer \xff", f"Basic {key[1]}", key[1]):
        assert (await open_socket(stream, authorization=header))[1] is False
    await sync_to_async(key[0].revoke)(now())
    assert (await open_socket(stream, authorization=f"Bearer {key[1]}"))[1] is False


async def test_other_sites_pages_are_refused(session, organizer, key, open_socket):
    cookie = await cookie_of(organizer)
    for path in paths(session):
        assert (await open_socket(path, cookie=cookie, origin="https://evil.example"))[1] is False
    own = {"host": "localhost:8000", "origin": "http://localhost:8000"}
    assert (await open_socket(paths(session)[0], cookie=cookie, **own))[1] is True


async def test_announcement_reaches_both_sockets(session, organizer, key, open_socket):
    dashboard, _ = await open_socket(paths(session)[0], cookie=await cookie_of(organizer))
    stream, _ = await open_socket(paths(session)[1], authorization=f"Bearer {key[1]}")
    await dashboard.receive_from(timeout=5)
    row = await session.rows.alast()
    anomaly = await sync_to_async(stage.incident)(session)
    change = live.SessionChange(session.id, row, detected=(anomaly,))
    await sync_to_async(live.announce)([change], stage.NOW)
    assert f'data-anomaly-id="{anomaly.id}"' in await dashboard.receive_from(timeout=5)
    messages = [json.loads(await stream.receive_from(timeout=5)) for _ in range(2)]
    assert [message["type"] for message in messages] == ["engagement:update", "anomaly:detected"]
    assert messages[0]["engagement"]["engagement_score"] == row.engagement_score
    assert messages[1]["anomaly"]["id"] == str(anomaly.id)


async def test_page_that_reconnects_sees_what_it_missed(session, organizer, open_socket):
    cookie = await cookie_of(organizer)
    socket, _ = await open_socket(paths(session)[0], cookie=cookie)
    assert "data-anomaly-id" not in await socket.receive_from(timeout=5)
    await socket.disconnect()
    anomaly = await sync_to_async(stage.incident)(session)
    socket, _ = await open_socket(paths(session)[0], cookie=cookie)
    assert f'data-anomaly-id="{anomaly.id}"' in await socket.receive_from(timeout=5)


async def test_message_from_the_page_is_answered_with_the_state_but_not_in_a_flood(
    session, organizer, open_socket, monkeypatch
):
    monkeypatch.setattr(Dashboard, "snapshot_seconds", 0.0)
    socket, _ = await open_socket(paths(session)[0], cookie=await cookie_of(organizer))
    first = await socket.receive_from(timeout=5)
    await socket.send_to(text_data='{"HEADERS": {}}')
    assert await socket.receive_from(timeout=5) == first
    monkeypatch.setattr(Dashboard, "snapshot_seconds", 60.0)
    await socket.send_to(text_data="again")
    await socket.send_to(bytes_data=b"\x00")
    assert await socket.receive_nothing()


@pytest.mark.parametrize("end", ["logged out", "new password", "deactivated", "removed", "session erased"])
async def test_dashboard_is_closed_when_access_ends(session, organizer, open_socket, monkeypatch, end):
    monkeypatch.setattr(hub, "ACCESS_SECONDS", 0.05)
    client = AsyncClient()
    socket, connected = await open_socket(paths(session)[0], cookie=await cookie_of(organizer, client))
    assert connected
    if end == "logged out":
        await client.alogout()
    elif end == "new password":
        organizer.set_password("another horse")
        await organizer.asave()
    elif end == "deactivated":
        organizer.is_active = False
        await organizer.asave()
    elif end == "removed":
        await session.event.organizers.aremove(organizer)
    else:
        await sync_to_async(erase_sessions)([session.id], "ada", now())
    assert await closed_with(socket) == 4403


async def test_page_that_asks_for_the_state_of_an_erased_session_is_closed(
    session, organizer, open_socket, monkeypatch
):
    monkeypatch.setattr(Dashboard, "snapshot_seconds", 0.0)
    socket, _ = await open_socket(paths(session)[0], cookie=await cookie_of(organizer))
    await sync_to_async(erase_sessions)([session.id], "ada", now())

    await socket.send_to(text_data="again")

    assert await closed_with(socket) == 4403


@pytest.mark.parametrize("erased", ["session", "event"])
async def test_stream_is_closed_when_its_session_or_event_is_erased(session, key, open_socket, monkeypatch, erased):
    monkeypatch.setattr(hub, "ACCESS_SECONDS", 0.05)
    socket, connected = await open_socket(paths(session)[1], authorization=f"Bearer {key[1]}")
    assert connected
    if erased == "session":
        await sync_to_async(erase_sessions)([session.id], "ada", now())
    else:
        await sync_to_async(erase_events)([session.event_id], "ada", now())

    assert await closed_with(socket) == 4403
    assert (await open_socket(paths(session)[1], authorization=f"Bearer {key[1]}"))[1] is False


async def test_stream_is_closed_when_its_key_is_revoked(session, key, open_socket, monkeypatch):
    monkeypatch.setattr(hub, "ACCESS_SECONDS", 0.05)
    socket, _ = await open_socket(paths(session)[1], authorization=f"Bearer {key[1]}")
    await sync_to_async(key[0].revoke)(now())
    assert await closed_with(socket) == 4403


async def test_access_is_checked_within_thirty_seconds():
    assert hub.ACCESS_SECONDS <= 30


LIST = "/ws/sessions/"


@pytest.fixture
def open_list(open_socket, monkeypatch):
    """Open a list, which is told what its room knows after it was opened: it may be told both at once else."""
    is_open, keep_fresh = asyncio.Event(), lists.ListRoom._keep_fresh

    async def keep_fresh_once_open(room: lists.ListRoom) -> None:
        await is_open.wait()
        await keep_fresh(room)

    monkeypatch.setattr(lists.ListRoom, "_keep_fresh", keep_fresh_once_open)

    async def open_list(cookie: str) -> tuple[WebsocketCommunicator, str]:
        socket, _ = await open_socket(LIST, cookie=cookie)
        first = await socket.receive_from(timeout=5)
        is_open.set()
        return socket, first

    return open_list


async def test_list_gets_the_very_list_of_the_page(event, session, organizer, open_socket, client):
    await sync_to_async(client.force_login)(organizer)
    socket, connected = await open_socket(LIST, cookie=await cookie_of(organizer), host="testserver")
    assert connected
    frame = await socket.receive_from(timeout=5)
    page = (await sync_to_async(client.get)("/")).content.decode()
    assert frame.startswith('<section id="session-list"')
    assert frame in page


async def test_list_is_pushed_when_something_in_it_changes_and_not_before(
    event, session, organizer, open_list, monkeypatch
):
    monkeypatch.setattr(lists, "PUSH_SECONDS", 0.05)
    monkeypatch.setattr(lists, "LOOK_SECONDS", 60.0)
    other = await sync_to_async(stage.live_session)(await Event.objects.acreate(name="Other"), "Not mine")
    socket, first = await open_list(await cookie_of(organizer))
    assert await socket.receive_from(timeout=5) == first  # what the list knows before its first change
    for change in (session, other):
        await sync_to_async(live.announce)([live.SessionChange(change.id, None)], stage.NOW)
    assert await socket.receive_nothing(timeout=1), "the same list was told again"

    anomaly = await sync_to_async(stage.incident)(session)
    await sync_to_async(live.announce)([live.SessionChange(session.id, None, detected=(anomaly,))], stage.NOW)
    assert 'data-state="critical"' in await socket.receive_from(timeout=5)


async def test_list_is_pushed_card_by_card_and_mere_numbers_less_often(
    event, session, organizer, open_list, monkeypatch
):
    monkeypatch.setattr(lists, "PUSH_SECONDS", 0.05)
    monkeypatch.setattr(lists, "LOOK_SECONDS", 0.1)
    other = await sync_to_async(stage.live_session)(event, "Second room")
    socket, _ = await open_list(await cookie_of(organizer))
    await socket.receive_from(timeout=5)

    async def move(people: int) -> None:
        await EngagementRow.objects.filter(session=session).aupdate(total_users=people)

    await move(320)
    assert await socket.receive_nothing(timeout=0.5), "a number was told at once"
    await Session.objects.filter(id=other.id).aupdate(detector_state="INSUFFICIENT_DATA")
    news = await socket.receive_from(timeout=5)
    assert (news.count('class="room"'), "Getting to know this room" in news) == (1, True)
    monkeypatch.setattr(lists, "CALM_SECONDS", 0.0)
    calm = await socket.receive_from(timeout=5)
    assert (calm.count('class="room"'), "</svg>320" in calm) == (1, True)
    assert "session-list" not in news + calm


async def test_whoever_comes_late_and_whoever_was_there_show_the_same(
    event, session, organizer, open_socket, open_list, monkeypatch
):
    monkeypatch.setattr(lists, "PUSH_SECONDS", 0.05)
    monkeypatch.setattr(lists, "LOOK_SECONDS", 0.1)
    other = await sync_to_async(stage.live_session)(event, "Second room")
    cookie = await cookie_of(organizer)
    early, _ = await open_list(cookie)
    await early.receive_from(timeout=5)
    await EngagementRow.objects.filter(session=session).aupdate(total_users=320)  # which nobody is told at once
    late, _ = await open_socket(LIST, cookie=cookie)
    assert "</svg>320" in await late.receive_from(timeout=5)
    await Session.objects.filter(id=other.id).aupdate(detector_state="INSUFFICIENT_DATA")
    news, whole = await early.receive_from(timeout=5), await late.receive_from(timeout=5)
    assert (news.count('class="room"'), whole.count('class="room"')) == (1, 2)
    assert news in whole
    assert "</svg>320" not in whole, "later on it would be taken for told"


async def test_rooms_that_move_are_told_by_their_names(event, session, organizer, open_list, monkeypatch):
    monkeypatch.setattr(lists, "PUSH_SECONDS", 0.05)
    monkeypatch.setattr(lists, "LOOK_SECONDS", 0.1)
    other = await sync_to_async(stage.live_session)(event, "Second room")
    socket, _ = await open_list(await cookie_of(organizer))
    await socket.receive_from(timeout=5)
    await sync_to_async(stage.incident)(other)
    moved = await socket.receive_from(timeout=5)
    assert moved.startswith('<section id="session-list"')
    assert f'<article class="room" id="room-{session.id}" hx-preserve="true"></article>' in moved
    assert (moved.count("<h3>"), moved.index(str(other.id)) < moved.index(str(session.id))) == (1, True)


async def test_calm_rooms_change_places_only_when_numbers_are_told(event, organizer, session, open_list, monkeypatch):
    monkeypatch.setattr(lists, "PUSH_SECONDS", 0.05)
    monkeypatch.setattr(lists, "LOOK_SECONDS", 0.1)
    other = await sync_to_async(stage.live_session)(event, "Second room")
    socket, _ = await open_list(await cookie_of(organizer))
    await socket.receive_from(timeout=5)
    await EngagementRow.objects.filter(session=other).aupdate(engagement_score=0.05)
    assert await socket.receive_nothing(timeout=0.5), "a place was told at once"
    monkeypatch.setattr(lists, "CALM_SECONDS", 0.0)
    moved = await socket.receive_from(timeout=5)
    assert moved.index(str(other.id)) < moved.index(str(session.id))
    assert moved.count("<h3>") == 1


async def test_list_shows_what_nobody_announced(event, session, organizer, open_socket, monkeypatch):
    monkeypatch.setattr(lists, "PUSH_SECONDS", 0.05)
    monkeypatch.setattr(lists, "LOOK_SECONDS", 0.1)
    socket, _ = await open_socket(LIST, cookie=await cookie_of(organizer))
    await socket.receive_from(timeout=5)
    await sync_to_async(stage.live_session)(event, "Second room")
    while "Second room" not in await socket.receive_from(timeout=5):
        pass


async def test_list_of_those_that_are_over_shows_them_all(event, session, organizer, open_socket):
    for number in range(14):
        await Session.objects.acreate(event=event, title=f"Ended {number}", status="ended", ended_at=now())
    cookie = await cookie_of(organizer)
    for path, count in ((LIST, 13), (f"{LIST}?section=over", 14)):
        socket, _ = await open_socket(path, cookie=cookie)
        assert (await socket.receive_from(timeout=5)).count('class="room"') == count


async def test_list_is_closed_after_a_logout(organizer, open_socket, monkeypatch):
    monkeypatch.setattr(hub, "ACCESS_SECONDS", 0.05)
    client = AsyncClient()
    socket, connected = await open_socket(LIST, cookie=await cookie_of(organizer, client))
    assert connected
    await client.alogout()
    assert await closed_with(socket) == 4403


async def test_list_looks_at_itself_within_five_seconds():
    assert (lists.PUSH_SECONDS, lists.LOOK_SECONDS) == (1, 5)
