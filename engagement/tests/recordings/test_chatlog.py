import json
from datetime import UTC, datetime, timedelta

import pytest

from engagement.recordings import BadRecording, open_recording
from engagement.recordings.messages import CONTRADICTS

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
NINE_USEC = 1772442000_000_000


def told(content: bytes, **options) -> list[tuple[str, float, str | None]]:
    events = open_recording(content, "log", **options).events
    return [(each.type, (each.timestamp - NINE).total_seconds(), each.user) for each in events]


def youtube(offset_ms: int, kind: str = "liveChatTextMessageRenderer", *, action: str = "addChatItemAction", **message):
    words = {"message": {"runs": [{"text": "hello"}]}}
    item = {"item": {kind: words | message}}
    actions = [{"clickTrackingParams": "x", action: item}]
    return json.dumps({"replayChatItemAction": {"actions": actions, "videoOffsetTimeMsec": str(offset_ms)}})


def lines(*each: str) -> bytes:
    return "\n".join(each).encode()


def test_a_youtube_chat_is_read():
    content = lines(
        youtube(0, "liveChatViewerEngagementMessageRenderer", timestampUsec=str(NINE_USEC)),
        youtube(0, id="a", authorExternalChannelId="UC1", timestampUsec=str(NINE_USEC - 5_000_000)),
        youtube(4000, id="b", authorExternalChannelId="UC2", timestampUsec=str(NINE_USEC + 4_000_000)),
        youtube(
            5000, "liveChatPaidMessageRenderer", id="c", authorExternalChannelId="UC1", timestampUsec=str(NINE_USEC)
        ),
        youtube(5000, id="c", authorExternalChannelId="UC1", timestampUsec=str(NINE_USEC)),
        youtube(5000, action="addLiveChatTickerItemAction", id="c"),
        json.dumps({"clickTrackingParams": "x"}),
    )
    recording = open_recording(content)
    assert told(content) == [("chat", -5, "u1"), ("chat", 0, "u1"), ("chat", 4, "u2")]
    assert recording.unused == {"notices of the platform": 2, "repeats of an event": 1, "lines that are no chat": 1}
    assert recording.format == "YouTube live chat"


def test_a_youtube_chat_without_times_of_day_needs_the_start():
    content = lines(youtube(0, authorName={"simpleText": "Guest One"}), youtube(61_000, authorName={"simpleText": "G"}))
    assert told(content, starts_at=NINE) == [("chat", 0, "u1"), ("chat", 61, "u2")]
    with pytest.raises(BadRecording, match="line 1: counts its times from the start: give the planned start"):
        open_recording(content)


def comment(seconds: float, who: str | None = "1", **more) -> dict:
    return {
        "_id": f"id-{seconds}-{who}",
        "content_offset_seconds": seconds,
        "commenter": who and {"_id": who, "display_name": f"Guest {who}"},
        "message": {"body": 'a "comments": [ of sorts', "fragments": []},
    } | more


DATED = [comment(9.5, created_at="2026-03-02T09:00:09.5Z"), comment(2, "2", created_at="2026-03-02T09:00:02Z")]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_twitch_chat_is_read(indent):
    document = {"FileInfo": {"Version": {}}, "video": {"title": 'no "comments": [1]'}, "comments": DATED, "emotes": []}
    content = json.dumps(document, indent=indent).encode()
    assert told(content) == [("chat", 2, "u2"), ("chat", 9.5, "u1")]
    assert open_recording(content).format == "Twitch chat"


def test_dates_that_a_video_cannot_have_are_those_of_a_copy():
    minutes = [comment(60 * n + 5, str(n), created_at=f"2026-03-02T09:00:0{n}.745062071Z") for n in range(6)]
    content = json.dumps({"comments": minutes}).encode()
    assert [second for _, second, _ in told(content)] == [0.745062 + 60 * n for n in range(6)]
    assert [second for _, second, _ in told(content, starts_at=NINE)] == [60 * n + 5 for n in range(6)]
    assert open_recording(content).notes == (CONTRADICTS,)


def test_dates_that_go_further_than_the_video_are_right():
    cut = [comment(60 * n, str(n), created_at=f"2026-03-02T09:{10 * n:02d}:00Z") for n in range(6)]
    content = json.dumps({"comments": cut}).encode()
    assert [second for _, second, _ in told(content, starts_at=NINE)] == [600 * n for n in range(6)]
    assert open_recording(content).notes == ()


def test_a_twitch_chat_without_dates_counts_from_the_start():
    content = json.dumps({"comments": [comment(9.5), comment(-3, "2"), comment(9.5), comment(11, None)]}).encode()
    assert told(content, starts_at=NINE) == [("chat", 0, "u2"), ("chat", 9.5, "u1"), ("chat", 11, None)]
    assert open_recording(content, starts_at=NINE).unused == {"repeats of an event": 1}
    with pytest.raises(BadRecording, match="message 1: counts its times from the start"):
        open_recording(content)


def test_an_array_of_messages_is_read():
    message = {"timestamp": NINE_USEC + 1_000_000, "author": {"id": "UC1", "name": "Guest"}, "message": "hello"}
    content = json.dumps([message, {"timestamp": NINE_USEC, "action_type": "notice"}]).encode()
    assert told(content) == [("chat", 1, "u1")]


def test_a_large_document_is_read_in_pieces():
    comments = [comment(second, str(second % 7), padding="x" * 3000) for second in range(200)]
    content = json.dumps({"embedded": "y" * 300_000, "comments": comments}).encode()
    assert [second for _, second, _ in told(content, starts_at=NINE)] == list(range(200))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (json.dumps({"comments": DATED}).encode()[:-40], "is not JSON, or breaks off"),
        (b'{"comments": [', "breaks off"),
        (b'{"comments": []}', "nothing in it can be used"),
        (b'{"comments": [1, 2]}', "holds a list, but not of messages"),
        (b'{"comments": [' + b"[" * 200_000, "nested too deeply"),
        (b'{\n"rooms": {}\n}', "it has no comments"),
        (b'{"comments": [{"message": {}, "content_offset_seconds": "soon"}]}', "message 1: a message has no time"),
        (b'{"comments": [{"message": {}, "timestamp": 1e300}]}', "message 1: a message has no time"),
        (b'{"comments": [{"message": {}, "created_at": "9999-12-31T23:59:59Z"}]}', "message 1: the time does not lie"),
        (b'{"comments": [{"message": "' + b"x" * 2_000_000 + b'"}]}', "is not JSON, or breaks off"),
    ],
)
def test_a_document_that_is_wrong_or_broken_off_is_refused(content, complaint):
    with pytest.raises(BadRecording, match=complaint):
        open_recording(content, "chat.json")


@pytest.mark.parametrize(
    "written",
    [
        "[0:00:05] guest_one: hello\n[0:01:05] guest_two: see: this\n",
        "[00:05] guest_one: hello\n[01:05] guest_two: hello\n",
        "[2026-03-02 09:00:05 UTC] guest_one: hello\n[2026-03-02 09:01:05 UTC] guest_two: hello\n",
        "[09:00:05] <guest_one> hello\n[09:01:05] <guest_two> hello\n",
        "0:05 | guest_one: hello\n1:05 | (Member) guest_two: hello\n",
        "(0:05) guest_one: hello\n(1:05) guest_two: hello\n",
        "2026-03-02 09:00:05 | guest_one: hello\n2026-03-02 09:01:05 | guest_two: hello\n",
    ],
)
def test_a_plain_log_is_read(written):
    content = f"# a log\n{written}".encode()
    assert told(content, starts_at=NINE) == [("chat", 5, "u1"), ("chat", 65, "u2")]
    recording = open_recording(content, starts_at=NINE + timedelta(minutes=1) if "2026" in written else NINE)
    assert (recording.format, recording.unused) == ("chat log", {"lines that are no message": 1})


def test_a_log_that_counts_needs_the_start():
    with pytest.raises(BadRecording, match="line 1: counts its times from the start"):
        open_recording(b"[0:00:05] guest_one: hello")
