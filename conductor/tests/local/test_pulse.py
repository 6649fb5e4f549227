import os
import subprocess
import sys

import pytest

from conductor.local import pulse
from conductor.local.pulse import STUCK_SECONDS, Pulse, find_stuck, pulse_folder
from conductor.tests.waiting import wait_until


@pytest.fixture
def folder(tmp_path):
    return pulse_folder(tmp_path)


def test_process_is_stuck_that_gave_no_sign_for_long(folder):
    own = Pulse(folder, "worker")
    own.beat()
    beaten_at = own.path.stat().st_mtime
    assert find_stuck(folder, "worker", beaten_at + STUCK_SECONDS) == []
    assert find_stuck(folder, "worker", beaten_at + STUCK_SECONDS + 1) == [os.getpid()]
    assert find_stuck(folder, "beat", beaten_at + STUCK_SECONDS + 1) == []


def test_process_that_is_gone_is_not_stuck_and_is_forgotten(folder):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder.mkdir()
    left = folder / f"worker.{gone.pid}"
    left.touch()
    assert find_stuck(folder, "worker", left.stat().st_mtime + 1000) == []
    assert not left.exists()


def test_thread_beats_while_its_process_is_well(folder, monkeypatch):
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.01)
    is_well = True
    own = Pulse(folder, "worker")
    own.beat_while(lambda: is_well)
    own.path.unlink()
    wait_until(own.path.exists)

    is_well = False
    own.path.touch()
    os.utime(own.path, (1, 1))
    # A beat may have been under way.
    wait_until(lambda: own.path.stat().st_mtime == 1 or os.utime(own.path, (1, 1)))
