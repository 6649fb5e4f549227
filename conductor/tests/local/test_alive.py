import os
import subprocess
import sys

from conductor.local.pulse import pulse_folder
from conductor.tests.waiting import is_running


def test_health_check_ends_what_is_stuck(tmp_path):
    stuck = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    folder = pulse_folder(tmp_path)
    folder.mkdir()
    left = folder / f"worker.{stuck.pid}"
    left.touch()
    os.utime(left, (1, 1))
    check = subprocess.run(
        [sys.executable, "-m", "conductor.local.alive", "worker"],
        env={**os.environ, "CONDUCTOR_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert check.returncode == 1
    assert check.stderr == f"No sign of life from worker (process {stuck.pid}) for 40 s.\n"
    assert stuck.wait(timeout=10) == -9
    assert not is_running(stuck.pid)
