"""Work that is done apart: what it returns and raises comes back, and nothing else."""

import os
import signal
import subprocess
import sys

import pytest
from django.core.management import CommandError

from conductor.local.apart import do_apart
from conductor.tests.waiting import is_running, wait_until

HOLDER = """
import os, time
from conductor.local.apart import do_apart
def wait():
    print(os.getpid(), flush=True)
    time.sleep(60)
do_apart(wait)
"""


def test_what_is_done_apart_leaves_nothing_here():
    kept = []

    def work():
        kept.append(1)
        return os.getpid()

    assert do_apart(work) != os.getpid()
    assert kept == []


def test_what_goes_wrong_apart_goes_wrong_here():
    def fail():
        raise CommandError("The port is taken.")

    with pytest.raises(CommandError) as caught:
        do_apart(fail)
    assert str(caught.value) == "The port is taken."
    assert "in fail" in caught.value.__notes__[0]


def test_who_is_killed_apart_is_missed():
    with pytest.raises(RuntimeError, match="-9"):
        do_apart(lambda: os.kill(os.getpid(), signal.SIGKILL))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_who_is_apart_ends_with_who_waits(number):
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        apart = int(holder.stdout.readline())
        holder.send_signal(number)
        holder.wait(10)
    wait_until(lambda: not is_running(apart))
