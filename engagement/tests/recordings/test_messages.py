"""Chats that are JSON, of all platforms but those with a file of their own."""

import json
from datetime import UTC, datetime

import pytest

from engagement.recordings import BadRecording, open_recording

TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)
SECONDS = 1772618400


def told(content: bytes, **options) -> list[tuple[str, float, str | None]]:
    events = open_recording(content, "chat", **options).events
    return [(each.type, (each.timestamp - TEN).total_seconds(), each.user) for each in events]


def lines(items) -> bytes:
    return "\n".join(map(json.dumps, items)).encode()


def downloaded(second: int, who: int, **more) -> dict[str, object]:
    author = {"id": f"UC{who}", "name": f"Guest {who}"}
    words = {"message": "hello", "message_type": "text_message", "message_id": f"m{second}"}
    return {"author": author, "timestamp": (SECONDS + second) * 1_000_000, "time_in_seconds": second, **words, **more}


TWO = [downloaded(0, 1), downloaded(5, 2)]
TOLD = [("chat", 0, "u1"), ("chat", 5, "u2")]


@pytest.mark.parametrize("write", [lines, lambda items: json.dumps(items, indent=1).encode()])
def test_what_chat_downloader_stores_is_read(write):
    items = [*TWO, downloaded(6, 3, message_type="viewer_engagement_message")]
    assert told(write(items)) == TOLD
    recording = open_recording(write(items))
    assert (recording.format, recording.unused) == ("chat-downloader chat", {"notices of the platform": 1})


def test_an_author_who_is_a_text_is_one():
    items = [each | {"author": each["author"]["name"], "author_id": each["author"]["id"]} for each in TWO]
    assert told(lines(items)) == TOLD
    without = [{key: value for key, value in each.items() if key != "author_id"} for each in items]
    assert told(lines(without)) == TOLD


def test_who_wrote_may_be_unknown():
    items = [{key: value for key, value in each.items() if key != "author"} for each in TWO]
    assert told(lines(items)) == [("chat", 0, None), ("chat", 5, None)]
    rows = open_recording(lines(items)).readings()
    assert {row.active_users for row in rows} == {None}


@pytest.mark.parametrize("digits", ["", ".7", ".745062", ".74506207", ".745062070"])
def test_a_moment_may_have_any_number_of_decimals(digits):
    created = f"2026-03-04T10:00:00{digits}Z"
    comment = {"_id": "a", "created_at": created, "commenter": {"_id": "1"}, "message": {"body": "hello"}}
    [(kind, second, _)] = told(json.dumps({"comments": [comment]}).encode())
    assert (kind, int(second)) == ("chat", 0)


def test_a_page_as_twitch_answers_it_is_read():
    nodes = [
        {"id": f"m{n}", "commenter": {"id": str(n)}, "contentOffsetSeconds": n, "createdAt": f"2026-03-04T10:00:0{n}Z"}
        for n in (0, 5)
    ]
    edges = [{"cursor": "x", "node": node | {"message": {"fragments": []}}} for node in nodes]
    page = {"data": {"video": {"id": "1", "comments": {"edges": edges}}}}
    for content in (page, [page], [page, page]):
        assert told(json.dumps(content).encode()) == TOLD
    assert told(lines([page, page])) == TOLD


def of_pytchat(second: int, who: int, kind: str = "textMessage") -> dict[str, object]:
    author = {"name": f"Guest {who}", "channelId": f"UC{who}"}
    stamp = {"timestamp": (SECONDS + second) * 1000, "datetime": "2026-03-04 10:00:00", "elapsedTime": "0:00"}
    return {"type": kind, "id": f"m{second}", "message": "hello", "messageEx": ["hello"], "author": author, **stamp}


def test_what_pytchat_stores_is_read():
    items = [of_pytchat(0, 1), of_pytchat(5, 2, "superChat"), of_pytchat(6, 3, "donation")]
    assert told(json.dumps(items).encode()) == told(lines(items)) == TOLD


def answered(second: int, who: int, kind: str = "textMessageEvent") -> dict[str, object]:
    snippet = {
        "type": kind,
        "liveChatId": "x",
        "authorChannelId": f"UC{who}",
        "publishedAt": f"2026-03-04T10:00:0{second}.5Z",
    }
    author = {"channelId": f"UC{who}", "displayName": f"Guest {who}"}
    return {"kind": "youtube#liveChatMessage", "id": f"m{second}", "snippet": snippet, "authorDetails": author}


def test_what_the_api_of_youtube_answers_is_read():
    items = [answered(0, 1), answered(5, 2), answered(6, 3, "messageDeletedEvent")]
    page = {"kind": "youtube#liveChatMessageListResponse", "pollingIntervalMillis": 5000, "items": items}
    for content in (json.dumps(page).encode(), json.dumps([page]).encode(), lines([page, page]), lines(items)):
        assert told(content) == [("chat", 0.5, "u1"), ("chat", 5.5, "u2")]


def test_json_of_anything_else_is_no_chat():
    for content in ({"name": "package", "version": "1"}, [{"name": "a"}, {"name": "b"}]):
        with pytest.raises(BadRecording, match=r"has neither a type nor a known signal|is JSON, but no"):
            open_recording(json.dumps(content).encode())
