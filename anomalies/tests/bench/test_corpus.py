import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from anomalies.bench.corpus import CorpusWriter, read_corpus
from anomalies.bench.simulation import simulate
from engagement.readings import Reading
from engagement.recordings import BadRecording
from engagement.recordings.jsonl import raw_event

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROW = {"timestamp": "2026-03-02T09:00:00Z", "chat_msgs_per_min": 4}


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
        written = [raw_event(record) for record in map(json.loads, lines)]
    assert written == [event for session in sessions for event in session.events]


def test_a_corpus_may_be_plain_and_name_its_breaks(tmp_path):
    pause = {"starts_at": "2026-03-02T09:30:00Z", "ends_at": "2026-03-02T09:40:00Z"}
    (tmp_path / "sessions.jsonl").write_text(json.dumps({"session": "a", "breaks": [pause]}) + "\n")
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW | {"session": "a"}) + "\n")
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
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW | {"session": "b"}) + "\n")
    with pytest.raises(BadRecording, match=r"labels\.jsonl, line 1: start is no RFC 3339"):
        read_corpus(tmp_path)
    (tmp_path / "labels.jsonl").write_text("")
    with pytest.raises(BadRecording, match="session 'b' is not in the sessions file"):
        read_corpus(tmp_path)
