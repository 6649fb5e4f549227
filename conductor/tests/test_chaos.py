"""The short scenario of `make chaos`: worker, web, a server of PostgreSQL's and Redis are killed under load."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings


@pytest.mark.long
@pytest.mark.servers
def test_nothing_is_lost_doubled_or_judged_otherwise(tmp_path):
    out = tmp_path / "chaos.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", "--scenario", "short", "--seed", "1", "--out", str(out)],
        cwd=settings.BASE_DIR,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    [outcome] = json.loads(out.read_text())
    figures = outcome["figures"]
    assert (outcome["verdict"], figures["faults"]) == ("kept", 4)
    assert all(figures[f"faults at {part}"] == "kill 1" for part in ("worker", "web", "backend", "redis"))
    assert figures["rows answered 202"] > 0 < figures["raw events answered 202"]
