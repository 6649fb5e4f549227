"""The detector is there before the first row, and what only compiling needs is not."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

PREPARE = """
import sys
from anomalies.detector.replay import prepare
from conductor.preparing import COMPILER, prepare_lean

def resident_kilobytes(library):
    found, is_of_it = 0, False
    for line in open("/proc/self/smaps"):
        if "-" in line.split()[0]:
            is_of_it = line.rstrip().endswith(library)
        elif line.startswith("Rss:") and is_of_it:
            found += int(line.split()[1])
    return found

prepare_lean()
print("scipy" in sys.modules, COMPILER in open("/proc/self/maps").read(), resident_kilobytes(COMPILER))
prepare()
import scipy
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is in memory")
def test_worker_gives_back_what_only_compiling_needs():
    """And judges on, with SciPy there for whoever wants it."""
    said = subprocess.run(
        [sys.executable, "-c", PREPARE], cwd=settings.BASE_DIR, env=os.environ, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    *loaded, kilobytes = said.stdout.split()
    assert loaded == ["False", "True"]
    assert int(kilobytes) < 10_000
