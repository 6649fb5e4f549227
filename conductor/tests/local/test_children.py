"""Children are told to stop, are missed when they end, and take their own children with them."""

import os
import signal
import subprocess
import sys

from conductor.local.children import Children
from conductor.tests.waiting import is_running, wait_until

SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print(subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']).pid, flush=True); signal.pause()",
]
TALKATIVE = [
    sys.executable,
    "-c",
    "import time\nwhile True:\n    print('word', flush=True)\n    time.sleep(.01)",
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


def test_child_that_ended_is_buried_with_what_it_left_and_may_start_again_in_the_same_log(tmp_path):
    children = Children(tmp_path)
    log = tmp_path / "child.log"
    for lines in (1, 2):
        child = children.start("child", STUBBORN)
        wait_until(lambda lines=lines: log.read_text().count("\n") == lines)
        grandchild = int(child.last_words(1))
        child.process.kill()
        child.process.wait(timeout=20)
        assert child.has_ended

        children.bury(child)

        wait_until(lambda grandchild=grandchild: not is_running(grandchild))
        assert children.all == []


def test_long_log_is_cut_while_its_child_writes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("conductor.local.children.MOST_LOG_BYTES", 10)
    children = Children(tmp_path)
    child = children.start("child", TALKATIVE)
    wait_until(lambda: child.log.stat().st_size > 10)

    children.cut_logs()

    assert (tmp_path / "child.log.1").read_text().startswith("word\n")
    wait_until(lambda: child.log.read_text().startswith("word\n"))
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
