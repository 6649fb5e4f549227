import os
import signal
import sys
from functools import partial

import pytest

from conductor.local.children import Children
from conductor.local.embedded import CannotStart
from conductor.local.supervisor import FAILURES, FIRST_FAILURES, LOOK_SECONDS, Probe, Program, Supervisor
from conductor.tests.waiting import wait_until

SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]
FAIL = [sys.executable, "-c", "raise SystemExit('no such thing')"]


@pytest.fixture
def children(tmp_path):
    children = Children(tmp_path)
    yield children
    children.stop()


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(said):
    return Supervisor(said.append)


def program(children, command, **options) -> Program:
    return Program("child", children, partial(children.start, "child", command), **options)


def test_what_ends_is_told_of_and_started_again(children, supervisor, said):
    sleeper = program(children, SLEEP)
    supervisor.add(sleeper)
    first = sleeper.child
    first.process.kill()
    wait_until(lambda: first.has_ended)

    now = sleeper.started_at
    supervisor.step(now)
    assert said[0].startswith(f"child ended (exit status -9). The end of {first.log}:")
    assert said[1] == "child starts again in 0.5 s."
    supervisor.step(now + 0.4)
    assert sleeper.child is None
    supervisor.step(now + 0.5)
    assert not sleeper.child.has_ended
    assert sleeper.child.process.pid != first.process.pid
    assert said[2:] == ["child is started again."]
    assert children.all == [sleeper.child]


def test_what_fails_over_and_over_waits_longer_each_time(children, supervisor, said):
    failing = program(children, FAIL)
    supervisor.add(failing)
    now, pauses = failing.started_at, []
    for _ in range(8):
        wait_until(lambda: failing.child.has_ended)
        supervisor.step(now)
        pauses.append(failing.starts_again_at - now)
        now = failing.starts_again_at
        supervisor.step(now)
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30])
    assert "no such thing" in said[0]


def test_what_ran_for_long_starts_again_soon(children, supervisor):
    sleeper = program(children, SLEEP, pause=30.0)
    supervisor.add(sleeper)
    sleeper.child.process.kill()
    wait_until(lambda: sleeper.child.has_ended)
    supervisor.step(sleeper.started_at + 60)
    assert sleeper.starts_again_at == sleeper.started_at + 60.5


@pytest.mark.parametrize("error", [CannotStart("PostgreSQL does not start."), OSError("No space left on device")])
def test_what_cannot_start_is_tried_again(error, children, supervisor, said):
    sleeper = program(children, SLEEP)
    supervisor.add(sleeper)
    sleeper.child.process.kill()
    wait_until(lambda: sleeper.child.has_ended)
    start = sleeper.start

    def refuse():
        raise error

    sleeper.start = refuse
    supervisor.step(sleeper.started_at)
    supervisor.step(sleeper.starts_again_at)
    assert said[-2:] == [str(error), "child starts again in 1 s."]
    sleeper.start = start
    supervisor.step(sleeper.starts_again_at)
    assert not sleeper.child.has_ended


def test_what_is_stuck_is_ended_and_starts_again(children, supervisor, said):
    sleeper = program(children, SLEEP, find_stuck=lambda child: [child.process.pid])
    supervisor.add(sleeper)
    first = sleeper.child
    os.kill(first.process.pid, signal.SIGSTOP)

    supervisor.step(sleeper.started_at)

    assert said == [f"child is stuck and is ended (process {first.process.pid})."]
    wait_until(lambda: first.has_ended)
    supervisor.step(sleeper.started_at)
    supervisor.step(sleeper.starts_again_at)
    assert not sleeper.child.has_ended


def test_looks_for_what_is_stuck_now_and_then(children, supervisor):
    looks = []
    sleeper = program(children, SLEEP, find_stuck=lambda child: looks.append(child) or [])
    supervisor.add(sleeper)
    supervisor.step(sleeper.started_at)
    supervisor.step(sleeper.started_at + 1)
    assert len(looks) == 1
    supervisor.step(sleeper.started_at + 2 * LOOK_SECONDS)
    assert len(looks) == 2


def found_by(probe: Probe, child, times: int) -> list[list[int]]:
    return [list(probe(child)) for _ in range(times)]


def test_probe_finds_stuck_what_answered_once_and_then_no_more(children):
    answers = iter([False] * 9 + [True] + [False] * (FAILURES - 1) + [True] + [False] * FAILURES)
    child = children.start("child", SLEEP)
    found = found_by(Probe(lambda: next(answers)), child, 9 + 1 + FAILURES - 1 + 1 + FAILURES)
    assert found == [[]] * (len(found) - 1) + [[child.process.pid]]


def test_probe_finds_stuck_what_never_answers(children):
    child = children.start("child", SLEEP)
    found = found_by(Probe(lambda: False), child, FIRST_FAILURES)
    assert found == [[]] * (FIRST_FAILURES - 1) + [[child.process.pid]]


def test_probe_begins_anew_with_a_new_child(children):
    answers = iter([True] + [False] * FAILURES * 2)
    first, second = children.start("first", SLEEP), children.start("second", SLEEP)
    probe = Probe(lambda: next(answers))
    assert found_by(probe, first, 1 + FAILURES)[-1] == [first.process.pid]
    assert found_by(probe, second, FAILURES) == [[]] * FAILURES
