import json
import shutil
from io import StringIO
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command

from anomalies.bench import curves, small_rooms
from anomalies.bench.rivals import RIVALS
from anomalies.bench.simulation.degrade import DEGRADATIONS
from conductor.management.commands.evaluate import PICTURES, promised_hours

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    call_command(
        "simulate", str(folder), "--sessions", "4", "--kind", "workshop", "--seed", "5", "--events", stdout=StringIO()
    )
    return folder


def evaluated(tmp_path, *arguments):
    """Return what is printed, and the JSON."""
    out = StringIO()
    call_command("evaluate", *map(str, arguments), "--json", str(tmp_path / "figures.json"), stdout=out)
    return out.getvalue(), json.loads((tmp_path / "figures.json").read_text())


def line(text: str, name: str) -> list[str]:
    return next(line.removeprefix(name).split() for line in text.splitlines() if line.startswith(name + " "))


def test_evaluate_prints_a_table_and_writes_the_same_as_json(corpus, tmp_path):
    text, figures = evaluated(tmp_path, corpus, "--alone", "--halves")
    labels = [json.loads(line) for line in (corpus / "labels.jsonl").read_text().splitlines()]
    assert figures["total"]["sessions"] == 4
    assert figures["total"]["incidents"] == sum(label["type"] is not None for label in labels) > 0
    assert line(text, "all")[:2] == [str(figures["total"]["incidents"]), f"{figures['total']['recall']:.2f}"]
    for name in ("MASS_EXIT", "LOW_ENGAGEMENT", "SUDDEN_DROP", "GRADUAL_DECLINE", "even sessions", "odd sessions"):
        assert line(text, name)
    assert figures["rivals"] == {}
    assert sum(sum(told.values()) for told in figures["names"].values()) == figures["total"]["incidents"]
    assert "rank correlation with what was lost" in text
    assert "by which name they were last told" in text
    assert sum(half["sessions"] for half in figures["by_half"].values()) == 4
    assert sum(known["sessions"] for known in figures["by_known"].values()) == 4


def test_other_detectors_stand_beside_ours_and_in_the_drawing(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "WARNINGS", ())  # the sensitivities are enough
    text, figures = evaluated(tmp_path, corpus, "--curve", tmp_path / "curve.svg")
    assert set(figures["rivals"]) == {rival.name for rival in RIVALS}
    for rival in RIVALS:
        assert line(text, rival.name)[0] == f"{figures['rivals'][rival.name]['total']['recall']:.2f}"
        at_default = [p for p in figures["curves"][rival.name] if p["threshold"] == rival.threshold]
        assert at_default[0]["recall"] == figures["rivals"][rival.name]["total"]["recall"]
    assert ElementTree.parse(tmp_path / "curve.svg").getroot().tag.endswith("svg")


def test_pictures_of_the_same_corpora_are_the_same_bytes(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "WARNINGS", ())  # the sensitivities are enough
    beside = tmp_path / "beside"
    shutil.copytree(corpus, beside)
    drawn = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        _, figures = evaluated(tmp_path, corpus, "--alone", "--pictures", folder, "--beside", beside)
        drawn.append({picture.name: picture.read_bytes() for picture in folder.iterdir()})
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == set(PICTURES)
    assert all(ElementTree.fromstring(picture).tag.endswith("svg") for picture in drawn[0].values())
    assert figures["pictures"][beside.name] == figures["pictures"][corpus.name]
    normal = next(point for point in figures["pictures"][corpus.name] if point["name"] == "normal")
    assert normal["recall"] == figures["total"]["recall"]
    assert normal["false_alarms_per_hour_by_half"] == [
        half["false_alarms_per_hour"] for half in figures["by_half"].values()
    ]
    assert b"beside" in drawn[0]["detector-promise.svg"]


def test_hours_that_pages_promise_are_read_from_their_words():
    assert promised_hours() == {"calm": 60, "normal": 20, "sensitive": 8}


def test_pictures_need_a_corpus():
    with pytest.raises(CommandError, match="--pictures needs the folder"):
        call_command("evaluate", "--small-rooms", "--pictures", "pictures")
    with pytest.raises(CommandError, match="--beside needs --pictures"):
        call_command("evaluate", "corpus", "--beside", "other")


def test_rows_and_events_can_be_held_against_each_other(corpus, tmp_path):
    text, figures = evaluated(tmp_path, corpus, "--alone", "--both")
    assert (figures["source"], figures["events"]["source"]) == ("rows", "events")
    assert figures["events"]["total"]["incidents"] == figures["total"]["incidents"]
    assert "from events: 4 sessions" in text


def test_worse_rates_stand_beside_the_exact_ones(corpus, tmp_path):
    text, figures = evaluated(tmp_path, corpus, "--alone", "--degrade", "all")
    assert list(figures["degraded"]) == ["exact", *DEGRADATIONS]
    assert figures["degraded"]["exact"] == figures["total"]
    assert line(text, "every-30-s")


def test_small_rooms_need_no_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(small_rooms, "SIZES", (12,))
    monkeypatch.setattr("conductor.management.commands.evaluate.HEALTHY_HOURS", 0.5)
    monkeypatch.setattr("conductor.management.commands.evaluate.COLLAPSES", 1)
    text, figures = evaluated(tmp_path, "--small-rooms")
    [room] = figures["small_rooms"]
    assert line(text, "12")[1] == str(room["healthy"]["false_alarms"])


def test_sessions_without_events_are_said_to_be_left_out(corpus, tmp_path):
    out = StringIO()
    for name in ("rows.jsonl.gz", "labels.jsonl", "sessions.jsonl"):
        (tmp_path / name).write_bytes((corpus / name).read_bytes())
    (tmp_path / "events.jsonl").write_text("")
    call_command("evaluate", str(tmp_path), "--alone", "--events", stdout=out)
    assert "4 sessions have no raw events" in out.getvalue()


def test_what_is_no_corpus_is_said(tmp_path):
    with pytest.raises(CommandError, match=r"holds no sessions\.jsonl"):
        call_command("evaluate", str(tmp_path))
    with pytest.raises(CommandError, match="Name the folder"):
        call_command("evaluate")


def test_a_file_that_cannot_be_written_is_refused_before_the_work(corpus, tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("evaluate", str(corpus), "--json", str(tmp_path / "missing" / "figures.json"))
