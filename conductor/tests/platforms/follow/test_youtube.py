"""A live chat of YouTube, read from a server that answers as it does."""

from datetime import UTC, datetime, timedelta

import pytest

from conductor.platforms.follow.chat import CannotFollow, Said
from conductor.platforms.follow.youtube import Chat, until_new_quota
from conductor.tests.platforms.follow.servers import Listener, at, message, messages, refused, video, youtube

OVER = messages([], offlineAt="2026-03-02T10:00:00Z")


class Followed(Listener):
    """What came of following a chat to its end, and how long was waited for what."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def follow(server) -> Followed:
    found = Followed()
    chat = Chat("v1", "a key", found.tell, server.url, found.sleep)
    try:
        await chat.follow(await chat.find_broadcast(), found.take)
    finally:
        await chat.close()
    return found


async def test_pages_follow_one_another_until_the_stream_is_over():
    pages = [messages([message(1, at(0)), message(2, at(1))], "p2"), messages([message(3, at(2))], "p3"), OVER]
    with youtube([video()], pages) as server:
        found = await follow(server)
    assert found.said == [Said("chat", at(number - 1), "UC-ada", f"LCC.{number}") for number in (1, 2, 3)]
    asked = [query for path, query, _ in server.asked if path == "/liveChat/messages"]
    assert [query.get("pageToken") for query in asked] == [None, "p2", "p3"]
    assert {query["liveChatId"] for query in asked} == {"chat-1"}
    assert {key for *_, key in server.asked} == {"a key"}


@pytest.mark.parametrize(("milliseconds", "seconds"), [(100, 5.0), (12_345, 12.345), ("soon", 5.0)])
async def test_next_page_is_asked_for_when_youtube_says_and_the_quota_lasts(milliseconds, seconds):
    with youtube([video()], [messages([], milliseconds=milliseconds), OVER]) as server:
        assert (await follow(server)).slept == [seconds]


@pytest.mark.parametrize("last", [OVER, messages([message(1, at(0), "chatEndedEvent")]), refused(403, "liveChatEnded")])
async def test_chat_is_over_when_youtube_says_so(last):
    with youtube([video()], [last]) as server:
        assert (await follow(server)).said == []


async def test_quota_that_is_used_up_is_told_and_waited_for():
    pages = [messages([message(1, at(0))], "p2"), refused(403, "quotaExceeded"), messages([message(2, at(9))]), OVER]
    with youtube([video()], pages) as server:
        found = await follow(server)
    assert [each.id for each in found.said] == ["LCC.1", "LCC.2"]
    assert "quota of the key is used up" in found.told[0]
    assert 60 <= found.slept[1] <= 25 * 3_600 + 60
    asked = [query.get("pageToken") for path, query, _ in server.asked if path == "/liveChat/messages"]
    assert asked == [None, "p2", "p2", "next"]


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 7, 1, 6, 59, tzinfo=UTC), 2 / 60),  # 23:59 in summer
        (datetime(2026, 1, 1, 8, 0, tzinfo=UTC), 24 + 1 / 60),
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), 23 + 1 / 60),  # clocks are put forward
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), 25 + 1 / 60),
    ],
)
def test_quota_is_new_at_midnight_in_california(now, hours):
    assert until_new_quota(now) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "trouble", [refused(403, "rateLimitExceeded"), (500, b"<html>"), (503, {}), (429, {}), (200, b"no JSON")]
)
async def test_trouble_that_passes_is_waited_out(trouble):
    with youtube([video()], [trouble, trouble, messages([message(1, at(0))]), OVER]) as server:
        found = await follow(server)
    assert [each.id for each in found.said] == ["LCC.1"]
    assert found.slept == [2.0, 4.0, 5.0]
    assert all("asking again in" in words for words in found.told)


@pytest.mark.parametrize("reason", ["liveChatDisabled", "forbidden", "keyInvalid"])
async def test_refusal_ends_it_with_googles_word(reason):
    with (
        youtube([video()], [refused(403, reason)]) as server,
        pytest.raises(CannotFollow, match=f"YouTube answers 403 {reason}"),
    ):
        await follow(server)


async def test_broadcast_that_has_not_begun_is_waited_for():
    scheduled = video("", scheduledStartTime="2026-03-02T09:00:00Z")
    with youtube([scheduled, scheduled, video()], [OVER]) as server:
        found = await follow(server)
    assert found.slept == [60.0, 60.0]
    assert found.told == ["it has not begun", "it has not begun"]


async def test_broadcast_that_is_over_is_known():
    found = Followed()
    with youtube([video("", actualEndTime="2026-03-02T10:00:00Z")], [OVER]) as server:
        chat = Chat("v1", "a key", found.tell, server.url, found.sleep)
        broadcast = await chat.find_broadcast()
        await chat.close()
    assert (broadcast.is_over, broadcast.title) == (True, "Spring keynote")


@pytest.mark.parametrize(
    ("answer", "words"),
    [({"items": []}, "knows no video v1"), ({"items": [{"id": "v1", "snippet": {"title": "x"}}]}, "is no live one")],
)
async def test_video_that_is_none_or_not_live_is_refused(answer, words):
    with youtube([answer], [OVER]) as server, pytest.raises(CannotFollow, match=words):
        await follow(server)


async def test_server_that_is_away_is_waited_for():
    with youtube([video()], [OVER]) as server:
        url = server.url
    found = Followed()

    async def give_up(seconds: float) -> None:
        found.slept.append(seconds)
        if len(found.slept) == 3:
            raise CannotFollow("enough")

    chat = Chat("v1", "a key", found.tell, url, give_up)
    with pytest.raises(CannotFollow, match="enough"):
        await chat.find_broadcast()
    await chat.close()
    assert found.slept == [2.0, 4.0, 8.0]
    assert "a key" not in "".join(found.told)


async def test_kinds_of_messages_are_what_they_mean():
    kinds = ["textMessageEvent", "superChatEvent", "superStickerEvent", "newSponsorEvent"]
    kinds += ["tombstone", "userBannedEvent", "pollEvent"]
    items = [message(number, at(number), kind) for number, kind in enumerate(kinds)]
    with youtube([video()], [messages([*items, {}, 7]), OVER]) as server:
        found = await follow(server)
    assert [each.type for each in found.said] == ["chat", "chat", "reaction", "reaction"]
