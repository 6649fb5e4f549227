import json

from engagement.recordings import open_recording
from engagement.tests.recordings.test_messages import SECONDS, TOLD, told


def test_slack_is_read_without_bots_and_notices():
    messages = [
        {"type": "message", "user": "U0", "text": "hello", "ts": f"{SECONDS}.000000"},
        {"type": "message", "user": "U1", "text": "hi", "ts": f"{SECONDS + 5}.000000", "subtype": "thread_broadcast"},
        {"type": "message", "user": "U2", "text": "joined", "ts": f"{SECONDS + 6}.000200", "subtype": "channel_join"},
        {"type": "message", "text": "beep", "ts": f"{SECONDS + 7}.000200", "subtype": "bot_message", "bot_id": "B1"},
    ]
    messages[0]["reactions"] = [{"name": "wave", "users": ["U1", "U2"], "count": 2}]
    assert told(json.dumps(messages).encode()) == TOLD
    assert open_recording(json.dumps(messages).encode()).unused == {
        "reactions that tell no time": 2,
        "notices of the platform": 1,
        "messages of bots": 1,
    }
