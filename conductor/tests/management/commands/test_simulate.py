import gzip
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from anomalies.bench.corpus import read_corpus
from conductor.local.demo import CALM, WEBINAR


def simulate(folder: Path, *arguments: str) -> str:
    out = StringIO()
    call_command("simulate", str(folder), "--sessions", "3", "--kind", "meeting", *arguments, stdout=out)
    return out.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_simulate_writes_a_corpus_that_can_be_read(tmp_path):
    said = simulate(tmp_path / "new" / "corpus", "--audience", "12", "--seed", "9")
    sessions = read_corpus(tmp_path / "new" / "corpus")
    assert [(session.kind, session.audience) for session in sessions] == [("meeting", 12)] * 3
    assert all(len(session.rows) > 200 and session.labels for session in sessions)
    assert "3 sessions" in said


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    for name, seed in (("a", "9"), ("b", "9"), ("c", "10")):
        simulate(tmp_path / name, "--seed", seed, "--events")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert set(contents(tmp_path / "a")) == {"rows.jsonl.gz", "labels.jsonl", "sessions.jsonl", "events.jsonl.gz"}
    assert contents(tmp_path / "a")["rows.jsonl.gz"] != contents(tmp_path / "c")["rows.jsonl.gz"]


def test_quiet_writes_no_incident_and_no_events_unless_asked(tmp_path):
    simulate(tmp_path, "--quiet")
    assert not (tmp_path / "events.jsonl.gz").exists()
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert labels
    assert {label["type"] for label in labels} == {None}
    assert all(label["why"] for label in labels)


def test_the_demo_recordings_are_those_that_the_command_makes(tmp_path):
    call_command("simulate", "--demo", str(tmp_path), stdout=StringIO())
    for show in (WEBINAR, CALM):
        # Unpacked: another zlib packs the same lines into other bytes.
        made = gzip.decompress((tmp_path / show.recording.name).read_bytes())
        assert made == gzip.decompress(show.recording.read_bytes())
        assert show.recording.stat().st_size < 100_000


@pytest.mark.parametrize("arguments", [[], ["x", "--sessions", "0"], ["x", "--seed", "-1"], ["x", "--audience", "0"]])
def test_what_cannot_be_simulated_is_said(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError):
        call_command("simulate", *arguments)
    assert list(tmp_path.iterdir()) == []
