import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    call_command("simulate", str(folder), "--sessions", "4", "--kind", "workshop", "--seed", "5", stdout=StringIO())
    return folder


def test_evaluate_prints_a_table_and_writes_the_same_as_json(corpus, tmp_path):
    out = StringIO()
    call_command("evaluate", str(corpus), "--json", str(tmp_path / "figures.json"), stdout=out)
    figures = json.loads((tmp_path / "figures.json").read_text())
    labels = [json.loads(line) for line in (corpus / "labels.jsonl").read_text().splitlines()]
    assert figures["total"]["sessions"] == 4
    assert figures["total"]["incidents"] == sum(label["type"] is not None for label in labels) > 0
    lines = {line.split()[0]: line.split() for line in out.getvalue().splitlines() if line}
    assert lines["all"][1:3] == [str(figures["total"]["incidents"]), f"{figures['total']['recall']:.2f}"]
    assert {"MASS_EXIT", "LOW_ENGAGEMENT", "SUDDEN_DROP", "GRADUAL_DECLINE"} <= set(lines)


def test_what_is_no_corpus_is_said(tmp_path):
    with pytest.raises(CommandError, match=r"holds no sessions\.jsonl"):
        call_command("evaluate", str(tmp_path))
