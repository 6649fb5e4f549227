"""CPU and memory of processes, as /proc tells them."""

import os
import subprocess
import sys

import pytest

from benchmarks.processes import Restarted, cpu_of_family, find_family, memory_of, spent

BURN = "import time\nwhile time.process_time() < 0.3: pass"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}]); print('done', flush=True); input()"


@pytest.fixture
def parent():
    """A process whose child has burnt some CPU, and has ended."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


def test_children_that_ended_are_counted(parent):
    assert find_family(parent) == [parent]
    assert cpu_of_family(parent) >= 0.29


def test_family_holds_those_who_live(parent):
    assert parent in find_family(os.getpid())


def test_memory_is_that_of_a_python(parent):
    assert 2 < memory_of([parent]) < 100


def test_nothing_is_spent_by_who_restarted():
    assert spent({"web": 1.0}, {"web": 1.5}) == {"web": 0.5}
    with pytest.raises(Restarted):
        spent({"web": 1.0}, {"web": 0.5})
    with pytest.raises(Restarted):
        spent({"web": 1.0}, {})
