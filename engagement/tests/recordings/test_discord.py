import json
from datetime import date

import pytest

from engagement.recordings import BadRecording, DateOrder, open_recording
from engagement.recordings.discord import TELLS_LESS
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


TABLE = """\ufeffAuthorID,Author,Date,Content,Attachments,Reactions
"1","Guest 1","2026-03-04T10:00:00.1230000+00:00","hello
\"\"all\"\", of you","","👍 (3), ❤ (2)"
"2","Guest 2","2026-03-04T11:00:05.0000000+01:00","10/10","https://example.org/a.png",""
"1","Guest 1","2026-03-04T10:00:09.0000000+00:00","","",""
"""


def test_a_table_of_discord_is_read():
    recording = open_recording(TABLE.encode(), "talk.csv")
    assert [(event.type, event.timestamp.second, event.user) for event in recording.events] == [
        ("chat", 0, "u1"), ("chat", 5, "u2"), ("chat", 9, "u1"),
    ]  # fmt: skip
    assert (recording.format, recording.unused) == ("Discord export (table)", {"reactions that tell no time": 5})
    assert recording.notes == (TELLS_LESS,)


def test_a_table_of_discord_with_the_ids_of_messages_counts_each_once():
    row = '"7","1","Guest 1","2026-03-04T10:00:00+00:00","hello","",""\n'
    content = f"MessageID,AuthorID,Author,Date,Content,Attachments,Reactions\n{row}{row}"
    assert open_recording(content.encode()).unused == {"repeats of an event": 1}


@pytest.mark.parametrize(("order", "month"), [(None, 3), (DateOrder.DAY_FIRST, 4)])
def test_dates_of_older_versions_are_read_in_the_order_that_is_told(order, month):
    content = 'AuthorID,Author,Date,Content,Attachments\n"1","Guest 1","03/04/2026 10:00 AM","hello",""\n'
    recording = open_recording(content.encode(), date_order=order)
    assert recording.events[0].timestamp.month == month
    assert recording.dates.day_first == date(2026, 4, 3)


def test_a_table_of_discord_with_a_date_that_is_none_is_refused():
    with pytest.raises(BadRecording, match=r"^talk.csv, line 3: a date cannot be read: export .* as JSON"):
        open_recording(TABLE.replace("2026-03-04T10:00:00.1230000+00:00", "soon").encode(), "talk.csv")
