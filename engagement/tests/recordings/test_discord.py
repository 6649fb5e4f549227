import json

from engagement.recordings import open_recording
from engagement.tests.recordings.test_messages import TOLD, told


def test_discord_is_read_without_bots_and_notices():
    def message(second: int, who: int, kind: str = "Default", **author) -> dict[str, object]:
        return {
            "id": f"{second}",
            "type": kind,
            "timestamp": f"2026-03-04T10:00:0{second}+00:00",
            "content": "hello",
            "author": {"id": f"{who}", "name": f"Guest {who}", **author},
            "reactions": [{"emoji": {"name": "👍"}, "count": 3}] if second == 0 else [],
        }

    messages = [message(0, 1), message(5, 2, "Reply"), message(6, 3, "GuildMemberJoin"), message(7, 4, isBot=True)]
    document = {"guild": {"id": "1"}, "channel": {"id": "2"}, "messages": messages, "messageCount": 4}
    content = json.dumps(document, indent=2).encode()
    assert told(content) == TOLD
    assert open_recording(content).unused == {
        "reactions that tell no time": 3,
        "notices of the platform": 1,
        "messages of bots": 1,
    }
