"""Keep processes going: what ends is started again, and what is stuck is ended. Knows no Django."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from conductor.local.children import Child, Children
from conductor.local.embedded import CannotStart

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0  # who ran for so long did not fail at its start: its next pause is the first again
LOOK_SECONDS = 5.0  # how often we ask whether somebody is stuck
FAILURES = 3  # in a row, and who has answered before is stuck
FIRST_FAILURES = 12  # in a row, and who has never answered will not


@dataclass(slots=True)
class Program:
    """A process that must go on: how it starts, and how one sees that it is stuck.

    `find_stuck` returns the pids that must be ended for it to go on: its own, or those of its children.
    """

    name: str
    family: Children
    start: Callable[[], Child]
    find_stuck: Callable[[Child], Iterable[int]] = lambda child: ()
    child: Child | None = None  # None while it is down
    started_at: float = field(default_factory=time.monotonic)
    starts_again_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS


class Supervisor:
    """The programs of one machine; `say` tells a person what happens to them.

    Use it in the main thread, as children die with the thread that started them.
    """

    def __init__(self, say: Callable[[str], object]):
        self.say = say
        self.programs: list[Program] = []
        self._looks_again_at = 0.0

    def add(self, program: Program) -> None:
        """Watch over a program; it is started now unless its child is there. Raises what its start raises."""
        program.child = program.child or program.start()
        self.programs.append(program)

    def step(self, now: float) -> None:
        """Start again whose time has come, and end what is stuck; `now` is the reading of the monotonic clock."""
        for program in self.programs:
            if program.child is None:
                self._start_again(program, now)
            elif program.child.has_ended:
                self._notice_end(program, program.child, now)
        if now >= self._looks_again_at:
            self.look()

    def look(self) -> None:
        """End what is stuck, and keep the logs from growing for ever."""
        for family in {program.family for program in self.programs}:
            family.cut_logs()
        for program in self.programs:
            if program.child is not None:
                self._end_stuck(program, program.child)
        self._looks_again_at = time.monotonic() + LOOK_SECONDS

    def _notice_end(self, program: Program, child: Child, now: float) -> None:
        self.say(
            f"{program.name} ended (exit status {child.process.returncode}). The end of {child.log}:\n"
            f"{child.last_words()}"
        )
        program.family.bury(child)
        program.child = None
        if now - program.started_at >= STEADY_SECONDS:
            program.pause = FIRST_PAUSE_SECONDS
        self._wait(program, now)

    def _start_again(self, program: Program, now: float) -> None:
        if now < program.starts_again_at:
            return
        try:
            program.child = program.start()
        except (CannotStart, OSError) as error:  # as on a full disk, where there is no room for a log
            self.say(str(error))
            self._wait(program, now)
        else:
            program.started_at = now
            self.say(f"{program.name} is started again.")

    def _wait(self, program: Program, now: float) -> None:
        program.starts_again_at = now + program.pause
        self.say(f"{program.name} starts again in {program.pause:g} s.")
        program.pause = min(2 * program.pause, LONGEST_PAUSE_SECONDS)

    def _end_stuck(self, program: Program, child: Child) -> None:
        for pid in program.find_stuck(child):
            self.say(f"{program.name} is stuck and is ended (process {pid}).")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Probe:
    """Finds a program stuck that does not answer several times in a row; while it starts, it has more of them."""

    def __init__(self, answers: Callable[[], bool]):
        self.answers = answers
        self.child: Child | None = None
        self.failures = 0

    def __call__(self, child: Child) -> Iterable[int]:
        if child is not self.child:
            self.child, self.failures, self.has_answered = child, 0, False
        if self.answers():
            self.failures, self.has_answered = 0, True
        else:
            self.failures += 1
        return [child.process.pid] if self.failures >= (FAILURES if self.has_answered else FIRST_FAILURES) else []
