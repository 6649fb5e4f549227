import json
from datetime import UTC, datetime

import pytest

from engagement.recordings import open_recording

TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)
MILLISECONDS = 1772618400_000


def event(second: float, name: str, who: str | None = "a", **attributes: object) -> dict[str, object]:
    user = (
        {"user": {"internal-user-id": f"w_{who}", "external-user-id": f"x-{who}", **attributes}} if who else attributes
    )
    told = {"type": "event", "id": name, "attributes": {"meeting": {"internal-meeting-id": "m"}, **user}}
    return {"data": told | {"event": {"ts": MILLISECONDS + round(second * 1000)}}}


def chat(second: float, who: str, chat_id: str = "MAIN-PUBLIC-GROUP-CHAT") -> dict[str, object]:
    sender = {"internal-user-id": f"w_{who}", "name": "Guest", "time": 0}
    message = {"id": "1", "message": "hello", "sender": sender}
    return event(second, "chat-group-message-sent", None, **{"chat-message": message, "chat-id": chat_id})


MEETING = [
    event(-1, "meeting-created", None),
    event(0, "user-joined"),
    event(1, "user-joined", "b"),
    event(2, "user-audio-voice-enabled", **{"listening-only": False, "sharing-mic": True}),
    event(3, "user-audio-muted"),
    event(4, "user-cam-broadcast-start", stream="s"),
    event(5, "user-cam-broadcast-end", stream="s"),
    chat(6, "b"),
    chat(6.5, "b", "private-1"),
    event(7, "user-emoji-changed", emoji="👍"),
    event(8, "user-emoji-changed", emoji="none"),
    event(9, "user-raise-hand-changed", "b", **{"raise-hand": True}),
    event(10, "user-raise-hand-changed", "b", **{"raise-hand": False}),
    event(11, "poll-started", None, poll={"id": "q", "question": "Lunch?"}),
    {
        **(vote := event(12, "poll-responded")),
        "data": {**vote["data"], "attributes": {**vote["data"]["attributes"], "poll": {"id": "q"}}},
    },
    event(13, "user-left", "b"),
    event(14, "meeting-ended", None),
]


@pytest.mark.parametrize("write", [json.dumps, lambda events: "\n".join(map(json.dumps, events))])
def test_the_events_of_a_meeting_are_read(write):
    recording = open_recording(write(MEETING).encode())
    told = [(each.type, (each.timestamp - TEN).total_seconds(), each.user, each.poll) for each in recording.events]
    assert told == [
        ("join", 0, "u1", None),
        ("join", 1, "u2", None),
        ("mic_on", 2, "u1", None),
        ("mic_off", 3, "u1", None),
        ("camera_on", 4, "u1", None),
        ("camera_off", 5, "u1", None),
        ("chat", 6, "u2", None),
        ("reaction", 7, "u1", None),
        ("hand_raised", 9, "u2", None),
        ("hand_lowered", 10, "u2", None),
        ("poll_opened", 11, None, "p1"),
        ("poll_vote", 12, None, "p1"),
        ("leave", 13, "u2", None),
    ]
    assert recording.ended_at == datetime(2026, 3, 4, 10, 0, 14, tzinfo=UTC)
    assert recording.unused == {
        "events of other kinds": 1,
        "private messages": 1,
        "changes of status that are no reaction": 1,
    }
