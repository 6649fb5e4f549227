"""Whatever bytes come: a recording or a `BadRecording`, never another exception, and no name or word in either."""

import gzip
import json
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.recordings import BadRecording, open_recording
from engagement.tests.recordings.test_attendance import REPORT
from engagement.tests.recordings.test_bigbluebutton import document, event, join, leave
from engagement.tests.recordings.test_chatlog import DATED, NINE, NINE_USEC, youtube
from engagement.tests.recordings.test_messages import answered, of_pytchat
from engagement.tests.recordings.test_reader import GOOD
from engagement.tests.recordings.test_tables import COLUMNS, workbook
from engagement.tests.recordings.test_zoom_chat import SAVED

CHAT = event(3, "CHAT", "PublicChatEvent", senderId="w_a", sender="Guest Xylophone", message="Marzipan")
TALK = event(4, "VOICE", "ParticipantTalkingEvent", participant="w_a", talking="true", callername="Guest Xylophone")
HAND = event(5, "PARTICIPANT", "ParticipantStatusChangeEvent", userId="w_a", status="raiseHand", value="true")
WHOLE = {
    "rows": f"{GOOD}\n{GOOD.replace(':00Z', ':05Z')}\n".encode(),
    "events": b'{"type": "chat", "timestamp": "2026-03-02T09:00:00Z", "user": "Guest Xylophone", "text": "Marzipan"}\n',
    "bigbluebutton": document(join(0, "w_a", "Guest Xylophone"), CHAT, TALK, HAND, leave(9, "w_a")),
    "report": REPORT.replace("Guest One", "Guest Xylophone").encode(),
    "chat": SAVED.replace(b"Guest One", b"Guest Xylophone").replace(b"good", b"Marzipan"),
    "youtube": youtube(0, authorName={"simpleText": "Guest Xylophone"}, timestampUsec=str(NINE_USEC)).encode(),
    "twitch": json.dumps({"comments": DATED}).replace("Guest 1", "Guest Xylophone").encode(),
    "log": b"[0:00:05] Guest Xylophone: Marzipan\n",
    "list": "Full Name\tUser Action\tTimestamp\nGuest Xylophone\tJoined\t3/2/2026, 9:00:00 AM\n".encode("utf-16"),
    "unknown language": b"Nimi,Liittyi,Poistui\nGuest Xylophone,2.3.2026 9.00,2.3.2026 9.30\n"
    + b"Marzipan,2.3.2026 9.00,2.3.2026 9.30\n",
    "workbook": workbook([COLUMNS, ["Guest Xylophone", "", NINE.replace(tzinfo=None), NINE.replace(tzinfo=None), 0]]),
    "pytchat": json.dumps([of_pytchat(0, 1)])
    .replace("Guest 1", "Guest Xylophone")
    .replace("hello", "Marzipan")
    .encode(),
    "api": json.dumps({"items": [answered(0, 1)]}).replace("Guest 1", "Guest Xylophone").encode(),
    "discord": b'AuthorID,Author,Date,Content\n"1","Guest Xylophone","2026-03-02T09:00:00+00:00","Marzipan"\n',
    "packed": gzip.compress(b"[0:00:05] Guest Xylophone: Marzipan\n"),
}


def try_to_open(content: bytes) -> None:
    """Open it, and look for a name and a word in all that comes of it."""
    try:
        said = repr(open_recording(content, "a file", starts_at=NINE))
    except BadRecording as error:
        said = str(error)
    assert "Xylophone" not in said
    assert "Marzipan" not in said


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_no_name_and_no_word_is_in_a_recording(content):
    try_to_open(content)
    assert open_recording(content, starts_at=NINE).readings()


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_a_file_may_end_anywhere(content):
    for length in range(0, len(content), max(1, len(content) // 150)):
        try_to_open(content[:length])


@settings(max_examples=300)
@given(st.binary(max_size=2000))
def test_any_bytes_may_come(content):
    try_to_open(content)
    try_to_open(gzip.compress(content))


@settings(max_examples=200)
@given(st.sampled_from(sorted(WHOLE)), st.integers(0, 10_000), st.binary(max_size=20), st.integers(0, 30))
def test_any_bytes_may_be_damaged(name, place, damage, length):
    content = WHOLE[name]
    place %= len(content)
    try_to_open(content[:place] + damage + content[place + length :])


FIELDS = [
    "type", "timestamp", "user", "id", "poll", "chat_msgs_per_min", "total_users", "replayChatItemAction", "message",
    "created_at", "content_offset_seconds", "commenter", "actions", "comments",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        VALUES | st.sampled_from(["chat", "2026-03-02T09:00:00Z"]),
    )
)
def test_any_json_may_come(record):
    try_to_open(json.dumps(record).encode())
    try_to_open(json.dumps({"comments": [record]}).encode())
    try_to_open(json.dumps({"replayChatItemAction": {"actions": [{"addChatItemAction": {"item": record}}]}}).encode())
    try_to_open(json.dumps({"replayChatItemAction": record}).encode())


HARD = [b" ", b'"', b"\n", b",\n", b"(", b"[", b"{", b"<a>", b"<", b"\0", b"1:00 ", b" to ", b"19:00:00 From ", b":\t"]


@pytest.mark.parametrize("piece", HARD)
@pytest.mark.parametrize("start", ["report", "chat", "log", "bigbluebutton", "twitch", "rows"])
def test_long_repeats_take_no_longer_than_other_bytes(start, piece):
    content = WHOLE[start][:-20] + piece * (500_000 // len(piece))
    started = process_time()
    try_to_open(content)
    assert process_time() - started < 5  # what is quadratic takes minutes
