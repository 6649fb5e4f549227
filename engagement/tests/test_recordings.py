import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from engagement.readings import Reading
from engagement.recordings.corpus import CorpusWriter, read_corpus
from engagement.recordings.jsonl import (
    BadRecording,
    event_object,
    raw_event,
    read_recording,
    reading,
    signals_object,
    write_lines,
)
from engagement.simulation import simulate
from engagement.windows import RawEvent

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
GOOD = '{"timestamp": "2026-03-02T09:00:00Z", "chat_msgs_per_min": 4}'


def rows() -> list[Reading]:
    full = Reading(NINE, 12.0, 0.123456, 40, 50, 3.0, 0.0125)
    return [full, Reading(NINE + timedelta(seconds=5, microseconds=7), chat_msgs_per_min=0.0)]


def events() -> list[RawEvent]:
    return [RawEvent("join", NINE, "Ádám", "e1"), RawEvent("poll_opened", NINE, poll="p1"), RawEvent("chat", NINE)]


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_a_recording_comes_back_as_it_was_written(tmp_path, name):
    write_lines(tmp_path / name, map(signals_object, rows()))
    assert read_recording(tmp_path / name) == rows()
    write_lines(tmp_path / name, map(event_object, events()))
    assert read_recording(tmp_path / name) == events()


def test_the_same_recording_gives_the_same_bytes(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_lines(tmp_path / name, map(signals_object, rows()))
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_a_gzipped_recording_is_known_by_its_content(tmp_path):
    path = tmp_path / "misnamed.jsonl"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert read_recording(path) == [Reading(NINE, chat_msgs_per_min=4.0)]


def test_null_signals_blank_lines_and_other_fields_are_passed_over(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(f'\n{GOOD[:-1]}, "active_users": null, "engagement_score": 0.4}}\n\n')
    assert read_recording(path) == [Reading(NINE, chat_msgs_per_min=4.0)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2: is not JSON"),
        ("[1]", "line 2: is not a JSON object"),
        ('{"chat_msgs_per_min": 4}', "line 2: has no timestamp"),
        ('{"timestamp": "yesterday", "chat_msgs_per_min": 4}', "line 2: timestamp 'yesterday' is no RFC 3339"),
        ('{"timestamp": "2026-03-02T09:00:00", "chat_msgs_per_min": 4}', "line 2: .* has no offset"),
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
        ('{"timestamp": "2026-03-02T09:00:00Z", "type": "wave"}', "line 2: unknown event type 'wave'"),
        ('{"timestamp": "2026-03-02T09:00:00Z", "type": "chat"}', "line 2: raw events and signals objects are mixed"),
        ('{"timestamp": "2026-03-02T08:59:59Z", "chat_msgs_per_min": 4}', "line 2: is older than the line before"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, complaint):
    path = tmp_path / "r.jsonl"
    path.write_text(f"{GOOD}\n{line}\n")
    with pytest.raises(BadRecording, match=complaint):
        read_recording(path)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00", b"\x1f\x8b broken", gzip.compress(b"x")[:-4]])
def test_what_is_no_recording_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadRecording, match=r"r\.jsonl"):
        read_recording(path)


def test_an_event_keeps_its_texts_only():
    record = {"type": "chat", "timestamp": "2026-03-02T11:00:00+02:00", "user": "u", "id": "7", "text": "hello"}
    assert raw_event(record) == RawEvent("chat", NINE, "u", "7")
    with pytest.raises(ValueError, match="user is not a string"):
        raw_event(record | {"user": 7})


def test_a_reading_keeps_people_whole():
    record = {"timestamp": "2026-03-02T09:00:00Z", "active_users": 4.0, "total_users": 5}
    assert reading(record) == Reading(NINE, active_users=4, total_users=5)


def test_a_corpus_comes_back_as_it_was_written(tmp_path):
    sessions = [simulate(4, "meeting", index=index) for index in range(3)]
    with CorpusWriter(tmp_path, with_events=True) as corpus:
        for session in sessions:
            corpus.write(session)
    found = read_corpus(tmp_path)
    for session, again in zip(sessions, found, strict=True):
        assert (again.name, again.rows, again.breaks) == (session.name, session.rows, session.breaks)
        assert (again.starts_at, again.ends_at, again.audience) == (
            session.starts_at,
            session.ends_at,
            session.audience,
        )
        assert [(label.type, label.start, label.end, label.why) for label in again.labels] == [
            (label.type, label.start, label.end, label.why) for label in session.labels
        ]
    with gzip.open(tmp_path / "events.jsonl.gz", "rt") as lines:
        told = [raw_event(record) for record in map(json.loads, lines)]
    assert told == [event for session in sessions for event in session.events]


def test_a_corpus_may_be_plain_and_name_its_breaks(tmp_path):
    pause = {"starts_at": "2026-03-02T09:30:00Z", "ends_at": "2026-03-02T09:40:00Z"}
    (tmp_path / "sessions.jsonl").write_text(json.dumps({"session": "a", "breaks": [pause]}) + "\n")
    (tmp_path / "rows.jsonl").write_text(json.dumps(json.loads(GOOD) | {"session": "a"}) + "\n")
    (tmp_path / "labels.jsonl").write_text("")
    [session] = read_corpus(tmp_path)
    assert session.rows == [Reading(NINE, chat_msgs_per_min=4.0)]
    assert session.breaks == ((NINE + timedelta(minutes=30), NINE + timedelta(minutes=40)),)
    assert (session.starts_at, session.labels) == (None, [])


def test_a_corpus_that_is_incomplete_or_contradicts_itself_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no sessions\.jsonl"):
        read_corpus(tmp_path)
    (tmp_path / "sessions.jsonl").write_text('{"session": "a"}\n')
    (tmp_path / "labels.jsonl").write_text('{"session": "b", "type": null, "start": "x", "end": "y"}\n')
    (tmp_path / "rows.jsonl").write_text(json.dumps(json.loads(GOOD) | {"session": "b"}) + "\n")
    with pytest.raises(BadRecording, match=r"labels\.jsonl, line 1: start 'x' is no RFC 3339"):
        read_corpus(tmp_path)
    (tmp_path / "labels.jsonl").write_text("")
    with pytest.raises(BadRecording, match="session 'b' is not in the sessions file"):
        read_corpus(tmp_path)
