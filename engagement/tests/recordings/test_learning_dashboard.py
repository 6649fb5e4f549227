import json
from datetime import UTC, datetime, timedelta

import pytest

from engagement.recordings import BadRecording, open_recording

TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)
START = 1772618400_000


def user(key: str, *sessions: tuple[int, int], **more: object) -> dict[str, object]:
    spans = [{"registeredOn": START + begin * 1000, "leftOn": end and START + end * 1000} for begin, end in sessions]
    ids = {"w_1": {"intId": "w_1", "sessions": spans}}
    none = {"answers": {}, "reactions": [], "raiseHand": [], "webcams": [], "totalOfMessages": 0}
    return {"userKey": key, "extId": key, "name": "Guest", "intIds": ids, **none, **more}


def dashboard(*users: dict[str, object], ended: int = 600) -> bytes:
    document = {"intId": "x", "users": {each["userKey"]: each for each in users}, "polls": {}, "createdOn": START}
    return json.dumps(document | {"endedOn": ended and START + ended * 1000}).encode()


def told(recording) -> list[tuple[str, float, str | None]]:
    return [(each.type, (each.timestamp - TEN).total_seconds(), each.user) for each in recording.events]


def test_the_data_of_the_dashboard_is_read():
    content = dashboard(
        user("a", (0, 300), (310, 0), reactions=[{"name": "👍", "sentOn": START + 60_000}], totalOfMessages=4),
        user("b", (5, 590), raiseHand=[START + 70_000], webcams=[{"startedOn": START + 80_000, "stoppedOn": 0}]),
    )
    recording = open_recording(content)
    assert told(recording) == [
        ("join", 0, "u1"),
        ("join", 5, "u2"),
        ("reaction", 60, "u1"),
        ("hand_raised", 70, "u2"),
        ("camera_on", 80, "u2"),
        ("leave", 300, "u1"),
        ("join", 310, "u1"),
        ("leave", 590, "u2"),
        ("leave", 600, "u1"),
        ("camera_off", 600, "u2"),
    ]
    assert recording.ended_at == TEN + timedelta(minutes=10)
    assert recording.unused == {"messages that tell no time": 4}


def test_an_older_version_is_read():
    older = user("a") | {"intIds": {"w_1": {"intId": "w_1", "registeredOn": START, "leftOn": START + 60_000}}}
    older["emojis"] = [{"name": "happy", "sentOn": START + 5_000}, {"name": "raiseHand", "sentOn": START + 6_000}]
    assert told(open_recording(dashboard(older))) == [("join", 0, "u1"), ("reaction", 5, "u1"), ("leave", 60, "u1")]


def test_data_that_break_off_are_told_of():
    with pytest.raises(BadRecording, match="is not JSON, or breaks off"):
        open_recording(dashboard(user("a", (0, 300)))[:-9])


def test_its_table_of_people_is_read():
    content = (
        "Name,Moderator,Activity Score,Talk Time,Webcam Time,Messages,Reactions,Poll Votes,Raise Hands,Join,Left,"
        "Duration\n"
        '"Guest","FALSE","5.2","-","-","3","1","0","0","3/4/2026, 10:00:00 AM","3/4/2026, 10:10:00 AM","00:10:00"\n'
        '"Other","FALSE","5.2","-","-","3","1","0","0","3/4/2026, 10:00:05 AM","3/4/2026, 10:05:00 AM","00:04:55"\n'
    )
    recording = open_recording(content.encode())
    assert recording.format == "BigBlueButton learning dashboard (CSV)"
    assert told(recording) == [("join", 0, "u1"), ("join", 5, "u2"), ("leave", 300, "u2"), ("leave", 600, "u1")]
