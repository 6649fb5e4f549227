"""Children are told to stop, are missed when they end, and take their own children with them."""

import os
import signal
import subprocess
import sys

import pytest

from conductor.local.children import Children
from conductor.tests.waiting import is_running, wait_until

SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print(subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']).pid, flush=True); signal.pause()",
]
PARENT = """
import sys
from pathlib import Path
from conductor.local.children import Children
child = Children(Path(sys.argv[1])).start("child", [sys.executable, "-c", "import signal; signal.pause()"])
print(child.process.pid, flush=True)
child.process.wait()
"""


def test_child_dies_with_its_parent(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    with parent.stdout:
        child = int(parent.stdout.readline())
    assert is_running(child)

    parent.kill()
    parent.wait(timeout=10)

    wait_until(lambda: not is_running(child))


def test_stop_is_gentle_first_and_kills_what_stays_with_its_children(tmp_path):
    children = Children(tmp_path)
    gentle = children.start("gentle", SLEEP)
    stubborn = children.start("stubborn", STUBBORN)
    wait_until(lambda: stubborn.log.read_text().endswith("\n"))
    grandchild = int(stubborn.log.read_text())

    children.stop(seconds=0.5)

    assert gentle.process.returncode == -signal.SIGTERM
    assert stubborn.process.returncode == -signal.SIGKILL
    wait_until(lambda: not is_running(grandchild))
    assert children.all == []


@pytest.mark.parametrize(("code", "may_end", "is_lost"), [(0, False, True), (0, True, False), (3, True, True)])
def test_lost_child_is_one_that_should_not_have_ended(tmp_path, code, may_end, is_lost):
    children = Children(tmp_path)
    child = children.start("child", [sys.executable, "-c", f"raise SystemExit({code})"], may_end=may_end)
    child.process.wait(timeout=20)
    assert (children.first_lost() is child) is is_lost
    children.stop()


def test_log_of_the_former_run_is_kept(tmp_path):
    for text in ("first", "second"):
        children = Children(tmp_path)
        child = children.start("child", [sys.executable, "-c", f"print('{text}')"])
        child.process.wait(timeout=20)
        children.stop()
    assert (tmp_path / "child.log.1").read_text() == "first\n"
    assert child.last_words() == "second"


def test_child_is_in_a_session_of_its_own(tmp_path):
    children = Children(tmp_path)
    child = children.start("child", SLEEP)
    assert os.getsid(child.process.pid) == child.process.pid
    children.stop()
