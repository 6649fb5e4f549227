"""Work that is done apart: what it returns and raises comes back, and nothing else."""

import signal
import subprocess
import sys

import pytest

from conductor.tests.waiting import is_running, wait_until

HOLDER = """
import os, time
from conductor.local.apart import do_apart
def wait():
    print(os.getpid(), flush=True)
    time.sleep(60)
do_apart(wait)
"""


LEAVES_NOTHING = """
import os
from conductor.local.apart import do_apart
kept = []
def work():
    kept.append(1)
    return os.getpid()
print(do_apart(work) != os.getpid(), kept)
"""
GOES_WRONG = """
from django.core.management import CommandError
from conductor.local.apart import do_apart
def fail():
    raise CommandError("The port is taken.")
try:
    do_apart(fail)
except CommandError as error:
    print(error, "in fail" in error.__notes__[0])
"""
IS_KILLED = """
import os, signal
from conductor.local.apart import do_apart
try:
    do_apart(lambda: os.kill(os.getpid(), signal.SIGKILL))
except RuntimeError as error:
    print(error)
"""


def run(program):
    """Return what a program says: not done by the process of the tests, whose open connections the copy would share."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_what_is_done_apart_leaves_nothing_here():
    assert run(LEAVES_NOTHING) == "True []\n"


def test_what_goes_wrong_apart_goes_wrong_here():
    assert run(GOES_WRONG) == "The port is taken. True\n"


def test_who_is_killed_apart_is_missed():
    assert "-9" in run(IS_KILLED)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_who_is_apart_ends_with_who_waits(number):
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        apart = int(holder.stdout.readline())
        holder.send_signal(number)
        holder.wait(10)
    wait_until(lambda: not is_running(apart))
