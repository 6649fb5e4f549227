"""Child processes: each logs to a file of its own and dies with the process that started it, however that dies.

Knows no Django.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
MOST_LOG_BYTES = 20_000_000
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # other systems have no such call


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when the thread that started it ends (on Linux)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, by, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started, and how it wants to be told to stop."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    stop_signal: signal.Signals

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def last_words(self, lines: int = 10) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Children:
    """The processes started from one place. Start them from the main thread: they die when their thread ends."""

    def __init__(self, log_folder: Path):
        self.log_folder = log_folder
        self.all: list[Child] = []
        self._has_log: set[str] = set()  # of this run, which is written on when a child starts again

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: signal.Signals = signal.SIGKILL,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Child:
        """Start a process in a session of its own, so that a terminal's Ctrl-C reaches only us."""
        log = self.log_folder / f"{name}.log"
        if log.exists() and name not in self._has_log:
            log.replace(log.with_suffix(".log.1"))
        self._has_log.add(name)
        parent = os.getpid()

        def tie_to_parent() -> None:
            die_with_parent(orphan_signal)
            if LIBC is not None and os.getppid() != parent:  # it died before we had asked
                os.kill(os.getpid(), signal.SIGKILL)

        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=tie_to_parent,
                start_new_session=True,
                env=env,
                cwd=cwd,
            )
        child = Child(name, process, log, stop_signal)
        self.all.append(child)
        return child

    def bury(self, child: Child) -> None:
        """Forget a child that ended, and kill what it left behind."""
        self._kill(child)
        self.all.remove(child)

    def cut_logs(self) -> None:
        """Keep of a log that has grown long one former part; children append, so they write on at the new start."""
        for child in self.all:
            if child.log.stat().st_size > MOST_LOG_BYTES:
                shutil.copyfile(child.log, child.log.with_suffix(".log.1"))
                os.truncate(child.log, 0)

    def stop(self, seconds: float = 10) -> None:
        """Tell all of them to stop; kill what is left of them, grandchildren too, when the time is over."""
        for child in reversed(self.all):
            child.process.send_signal(child.stop_signal)
        deadline = time.monotonic() + seconds
        for child in reversed(self.all):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
            self._kill(child)
        self.all.clear()

    @staticmethod
    def _kill(child: Child) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
