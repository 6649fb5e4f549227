"""`make bench`, as small as it can be: on the product itself, and without a word on how quick it was."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings


@pytest.mark.long
@pytest.mark.servers
def test_bench_prints_a_table_and_writes_the_same_as_json(tmp_path):
    asked = ["--case", "single frame", "--rate", "10", "--rooms", "8", "--seconds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *asked],
        cwd=settings.BASE_DIR,
        env={**os.environ, "TMPDIR": str(tmp_path), "CONDUCTOR_DATA_DIR": str(tmp_path / "out")},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert all(figure["name"] in done.stdout for figure in found["figures"])
    runs = {(run["stack"], run["case"]): run for run in found["runs"]}
    assert set(runs) == {("product", "single"), ("product", "frame"), ("echo", "single")}
    assert all(run["statuses"] == {"202": 10} and run["not_judged"] == 0 for run in runs.values())
    assert runs["product", "frame"]["ms"]["frame"]["p50"] > 0 == runs["product", "frame"]["unseen"]
    assert set(runs["product", "single"]["cpu_us"]) == {
        "web", "worker", "telling", "beat", "PostgreSQL", "Redis", "up", "all",
    }  # fmt: skip
