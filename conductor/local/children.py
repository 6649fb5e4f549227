"""Child processes: each logs to a file of its own and dies with the process that started it, however that dies.

Knows no Django.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # other systems have no such call


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when the thread that started it ends (on Linux)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, by, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started, how it wants to be told to stop, and whether it may come to an end by itself."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    stop_signal: signal.Signals
    may_end: bool = False

    @property
    def is_lost(self) -> bool:
        code = self.process.poll()
        return code is not None and not (self.may_end and code == 0)

    def last_words(self, lines: int = 10) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Children:
    """The processes started from one place. Start them from the main thread: they die when their thread ends."""

    def __init__(self, log_folder: Path):
        self.log_folder = log_folder
        self.all: list[Child] = []

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: signal.Signals = signal.SIGKILL,
        may_end: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Child:
        """Start a process in a session of its own, so that a terminal's Ctrl-C reaches only us."""
        log = self.log_folder / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        parent = os.getpid()

        def tie_to_parent() -> None:
            die_with_parent(orphan_signal)
            if LIBC is not None and os.getppid() != parent:  # it died before we had asked
                os.kill(os.getpid(), signal.SIGKILL)

        with log.open("wb") as output:
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
        child = Child(name, process, log, stop_signal, may_end)
        self.all.append(child)
        return child

    def first_lost(self) -> Child | None:
        """Return a child that ended and should not have, None while all is well."""
        return next((child for child in self.all if child.is_lost), None)

    def stop(self, seconds: float = 10) -> None:
        """Tell all of them to stop; kill what is left of them, grandchildren too, when the time is over."""
        for child in reversed(self.all):
            child.process.send_signal(child.stop_signal)
        deadline = time.monotonic() + seconds
        for child in reversed(self.all):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self.all.clear()
