"""`manage.py learn` on a few sessions and a few numbers: what it writes, says and repeats."""

import json

import pytest
from django.core.management import call_command

from anomalies.bench.fitting import climbing
from anomalies.detector.config import read_learnt


@pytest.fixture
def few_numbers(monkeypatch):
    monkeypatch.setattr(climbing, "STEPS", {"fusion.full_evidence": 0.3, "weighing.slow_part": 0.3})


def learn(out, **options):
    call_command("learn", sessions=10, out=out, **options)
    return out.read_text()


@pytest.mark.slow
def test_learning_writes_the_same_bytes_again_and_says_what_came_of_each_maker(few_numbers, tmp_path, capsys):
    first = learn(tmp_path / "first.json", sweeps=1)
    said = capsys.readouterr().out
    assert learn(tmp_path / "second.json", sweeps=1) == first
    assert {"second_look.constant", "second_look.ramp_age"} <= set(json.loads(first)["numbers"])
    read_learnt(first)
    assert said.count("left out: ") == 4
    assert "rates, wide" in said
    assert "false alarms an hour" in said
    assert "first.json" in said


@pytest.mark.slow
def test_without_a_sweep_only_names_are_learnt(few_numbers, tmp_path):
    numbers = json.loads(learn(tmp_path / "names.json", sweeps=0))["numbers"]
    assert numbers
    assert all(place.startswith("second_look.") for place in numbers)
