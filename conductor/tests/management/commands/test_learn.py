"""`manage.py learn` on a few sessions and a few numbers: what it writes, says and repeats.

In a process of its own, as it parts into several: what a test has open is not to be shared with them.
"""

import json
import subprocess
import sys

import pytest
from django.conf import settings

from anomalies.detector.config import read_learnt

FEW_NUMBERS = """
import django
django.setup()
from django.core.management import call_command
from anomalies.bench.fitting import climbing
climbing.STEPS = {"fusion.full_evidence": 0.3, "weighing.slow_part": 0.3}
"""


def learn(out, sweeps, sessions=6):
    """Learn two numbers at most; return what was written, and what was said."""
    call = f'call_command("learn", sessions={sessions}, sweeps={sweeps}, out=__import__("pathlib").Path({str(out)!r}))'
    done = subprocess.run(
        [sys.executable, "-c", FEW_NUMBERS + call],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return out.read_text(), done.stdout


@pytest.mark.slow
def test_learning_writes_the_same_bytes_again_and_says_what_came_of_each_maker(tmp_path):
    first, said = learn(tmp_path / "first.json", sweeps=1)
    assert learn(tmp_path / "second.json", sweeps=1)[0] == first
    assert {"second_look.constant", "second_look.ramp_age"} <= set(json.loads(first)["numbers"])
    read_learnt(first)
    assert said.count("left out: ") == 4
    assert "rates, wide" in said
    assert "false alarms an hour" in said
    assert "first.json" in said


@pytest.mark.slow
def test_without_a_sweep_only_names_are_learnt(tmp_path):
    numbers = json.loads(learn(tmp_path / "names.json", sweeps=0)[0])["numbers"]
    assert numbers
    assert all(place.startswith("second_look.") for place in numbers)
