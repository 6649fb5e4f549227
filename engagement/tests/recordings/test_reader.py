import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from engagement.readings import Reading
from engagement.recordings import BadRecording, Recording, open_recording
from engagement.recordings.jsonl import event_object, raw_event, reading, signals_object, write_lines
from engagement.windows import RawEvent

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
GOOD = '{"timestamp": "2026-03-02T09:00:00Z", "chat_msgs_per_min": 4}'


def rows() -> list[Reading]:
    full = Reading(NINE, 12.0, 0.123456, 40, 50, 3.0, 0.0125)
    return [full, Reading(NINE + timedelta(seconds=5, microseconds=7), chat_msgs_per_min=0.0)]


def told(recording: Recording) -> list[tuple[str, datetime, str | None, str | None]]:
    """The events without their ids."""
    return [(event.type, event.timestamp, event.user, event.poll) for event in recording.events]


def events() -> list[RawEvent]:
    return [
        RawEvent("join", NINE, "Guest One", "e1"),
        RawEvent("poll_opened", NINE + timedelta(seconds=1), poll="Lunch?"),
        RawEvent("chat", NINE + timedelta(seconds=2)),
        RawEvent("poll_vote", NINE + timedelta(seconds=3), "Guest Two", "e2", "Lunch?"),
        RawEvent("leave", NINE + timedelta(seconds=4), "Guest One", "e3"),
    ]


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_rows_come_back_as_they_were_written(tmp_path, name):
    write_lines(tmp_path / name, map(signals_object, rows()))
    recording = open_recording(tmp_path / name)
    assert (recording.format, recording.rows, recording.events) == ("JSON Lines", rows(), [])
    assert recording.readings() == rows()


def test_row_says_nothing_of_optional_signals_that_are_unknown():
    usual, told = Reading(NINE, 12.0), Reading(NINE, 12.0, hands_raised=2, talk_share=0.25)
    assert "hands_raised" not in signals_object(usual)
    assert signals_object(usual)["poll_participation"] is None
    assert signals_object(told) == signals_object(usual) | {"hands_raised": 2, "talk_share": 0.25}
    assert [reading(signals_object(row)) for row in (usual, told)] == [usual, told]


def test_events_come_back_under_pseudonyms(tmp_path):
    write_lines(tmp_path / "r.jsonl", map(event_object, events()))
    recording = open_recording(tmp_path / "r.jsonl")
    assert told(recording) == [
        ("join", NINE, "u1", None),
        ("poll_opened", NINE + timedelta(seconds=1), None, "p1"),
        ("chat", NINE + timedelta(seconds=2), None, None),
        ("poll_vote", NINE + timedelta(seconds=3), "u2", "p1"),
        ("leave", NINE + timedelta(seconds=4), "u1", None),
    ]
    assert (recording.people, recording.unused) == (2, {})


def test_ids_tell_events_and_recordings_apart():
    lines = [json.dumps(event_object(event)).encode() for event in events()]
    once, again, other = (open_recording(b"\n".join(part)) for part in (lines, lines, lines[1:]))
    ids = [event.id for event in once.events]
    assert len(set(ids)) == len(ids)
    assert [event.id for event in again.events] == ids
    assert not {event.id for event in other.events} & set(ids)


def test_a_repeated_event_is_counted_once():
    line = json.dumps(event_object(events()[0])).encode()
    recording = open_recording(b"\n".join([line, line, line]))
    assert (len(recording.events), recording.unused) == (1, {"repeats of an event": 2})


@pytest.mark.parametrize("items", [list(map(signals_object, rows())), list(map(event_object, events()))])
def test_order_of_lines_does_not_matter(items):
    straight, back = (open_recording("\n".join(map(json.dumps, order)).encode()) for order in (items, items[::-1]))
    assert straight.rows == back.rows
    assert [event.type for event in straight.events] == [event.type for event in back.events]
    assert [reading.timestamp for reading in straight.readings()] == [reading.timestamp for reading in back.readings()]


def test_the_same_recording_gives_the_same_bytes(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_lines(tmp_path / name, map(signals_object, rows()))
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_a_gzipped_recording_is_known_by_its_content(tmp_path):
    path = tmp_path / "misnamed.jsonl"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert open_recording(path).rows == [Reading(NINE, chat_msgs_per_min=4.0)]


def test_null_signals_blank_lines_and_other_fields_are_passed_over():
    recording = open_recording(f'\n{GOOD[:-1]}, "active_users": null, "engagement_score": 0.4}}\n\n'.encode())
    assert recording.rows == [Reading(NINE, chat_msgs_per_min=4.0)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2: is not JSON, or breaks off"),
        (GOOD[:-7], "line 2: is not JSON, or breaks off"),
        ('{"timestamp": ' + "1" * 5000 + "}", "line 2: is not JSON"),
        ("[" * 200_000, "line 2: is not JSON"),
        ("[1]", "line 2: is not a JSON object"),
        ('{"chat_msgs_per_min": 4}', "line 2: has no timestamp"),
        ('{"timestamp": "yesterday", "chat_msgs_per_min": 4}', "line 2: timestamp is no RFC 3339"),
        ('{"timestamp": "2026-03-02T09:00:00", "chat_msgs_per_min": 4}', "line 2: timestamp has no offset"),
        ('{"timestamp": "2026-03-02T09:00:00Z"}', "line 2: has neither a type nor a known signal"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "chat_msgs_per_min": -1}', "line 2: chat_msgs_per_min is no number"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "chat_msgs_per_min": NaN}', "line 2: chat_msgs_per_min is no number"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "chat_msgs_per_min": true}', "line 2: chat_msgs_per_min is no number"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "user_leave_rate": 1.2}', "line 2: user_leave_rate is above 1"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "active_users": 1.5}', "line 2: active_users is not whole"),
        (
            '{"timestamp": "2026-03-02T09:00:00Z", "active_users": 3, "total_users": 2}',
            "line 2: active_users is above total_users",
        ),
        ('{"timestamp": "2026-03-02T09:00:00Z", "type": "wave"}', "line 2: unknown event type"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "type": ["chat"]}', "line 2: unknown event type"),
        ('{"timestamp": "1026-03-02T09:00:00Z", "chat_msgs_per_min": 4}', "line 2: the time does not lie between"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "total_users": 1e300}', "line 2: total_users is above 2,147,483,647"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "chat_msgs_per_min": 1e10}', "line 2: chat_msgs_per_min is above"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "type": "chat"}', "line 2: raw events and signals objects are mixed"),
    ],
)
def test_a_bad_line_is_named_and_not_quoted(line, complaint):
    with pytest.raises(BadRecording, match=f"^r.jsonl, {complaint}") as caught:
        open_recording(f"{GOOD}\n{line}\n".encode(), "r.jsonl")
    assert "wave" not in str(caught.value)
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"\x00\x01\x02" * 999, "is no recording that we know"),
        (b"Dear all,\nsee you tomorrow", "is no recording that we know"),
        (b"PK\x03\x04" + b"\x00" * 99, "is a zip archive: unpack it"),
        (b"\x1f\x8b broken, and not packed", "is packed with gzip and damaged"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-4], "is packed with gzip and breaks off"),
        (GOOD.encode() + b"\n\xff\xfe", "is no text in UTF-8"),
        (GOOD.encode() + b"\n" + b" " * 2_000_000, "line 2: is longer than a megabyte"),
        ((GOOD + "\n" + GOOD.replace("03-02", "03-04")).encode(), "spans more than 24 hours"),
    ],
)
def test_what_is_no_recording_is_said_to_be_none(content, complaint):
    with pytest.raises(BadRecording, match=f"^r.jsonl.*({complaint})"):
        open_recording(content, "r.jsonl")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(BadRecording, match="is larger than 64 MB"):
        open_recording(path)


def test_a_file_that_unpacks_to_too_much_is_left_alone(monkeypatch):
    monkeypatch.setattr("engagement.recordings.source.MAX_UNPACKED_BYTES", 200_000)
    with pytest.raises(BadRecording, match="unpacks to more than"):
        open_recording(gzip.compress((GOOD + "\n").encode() * 10_000))


def test_too_many_events_are_refused(monkeypatch):
    monkeypatch.setattr("engagement.recordings.recording.MAX_EVENTS", 4)
    lines = "\n".join(json.dumps(event_object(event)) for event in events())
    with pytest.raises(BadRecording, match="line 5: more than 4 events: split the recording"):
        open_recording(lines.encode())


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_recording(tmp_path / "none")


def test_an_event_keeps_its_texts_only():
    record = {"type": "chat", "timestamp": "2026-03-02T11:00:00+02:00", "user": "u", "id": "7", "text": "hello"}
    assert raw_event(record) == RawEvent("chat", NINE, "u", "7")
    with pytest.raises(ValueError, match="user is not a string"):
        raw_event(record | {"user": 7})


def test_a_reading_keeps_people_whole():
    record = {"timestamp": "2026-03-02T09:00:00Z", "active_users": 4.0, "total_users": 5}
    assert reading(record) == Reading(NINE, active_users=4, total_users=5)
