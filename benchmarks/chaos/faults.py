"""Faults at random moments from a seed: what is done to which part, and what `up` made of it."""

import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from benchmarks.chaos.figures import Figure, spread
from benchmarks.chaos.processes import PARTS, SUPERVISED, send
from benchmarks.chaos.product import Product

# How often each kind is drawn. `leave` is a freeze that nobody ends but the supervisor.
KINDS = {"kill": 10, "restart": 4, "freeze": 4, "delay": 3, "leave": 1}
# PostgreSQL waits for all who are connected when it is told to stop by SIGTERM; `up` and its images say SIGINT.
STOP_SIGNALS = {"postmaster": signal.SIGINT}
FREEZE_SECONDS = (0.5, 8.0)
DELAY_SECONDS = (1.0, 4.0)
DELAY_STEP_SECONDS = 0.05  # stopped for four of five such steps
PAUSE_SECONDS = (0.0, 1.0)  # between two faults
# How long a part is left alone after one: `up` waits longer and longer for who dies again within a minute, and where
# nothing ever runs, nothing can be lost. One in ten is struck again at once, while it starts.
ENDED_REST_SECONDS = (20.0, 75.0)
HELD_REST_SECONDS = (3.0, 12.0)
REST_SECONDS = {"pool": (0.5, 4.0), "backend": (2.0, 12.0)}
AT_ONCE_SHARE = 0.1
LOOK_SECONDS = 0.2
LEFT_SECONDS = 90.0  # how long the supervisor has for what is left to it


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to one process, and when, by the monotonic clock."""

    part: str
    kind: str
    pid: int
    at: float


@dataclass
class Faults:
    """Does faults to a product, one after the other; freezes and delays end by themselves, beside what comes next."""

    product: Product
    random: Random
    parts: Sequence[str] = PARTS
    kinds: Mapping[str, int] = field(default_factory=lambda: KINDS)
    done: list[Fault] = field(default_factory=list)
    _rested_at: dict[str, float] = field(default_factory=dict)
    _busy: set[int] = field(default_factory=set)  # frozen, delayed or left
    _threads: list[threading.Thread] = field(default_factory=list)

    def strike(self, count: int) -> None:
        """Do so many faults. A part that is down, or at which one is at work, is waited for while others are struck."""
        while len(self.done) < count:
            part, kind = self._draw()
            if time.monotonic() < self._rested_at.get(part, 0.0):
                time.sleep(LOOK_SECONDS / len(self.parts))
                continue
            pids = [process.pid for process in self.product.find(part) if process.pid not in self._busy]
            if pids:
                self._do(Fault(part, kind, self.random.choice(sorted(pids)), time.monotonic()))
                self._rested_at[part] = time.monotonic() + self._draw_rest(part, kind)
                time.sleep(self.random.uniform(*PAUSE_SECONDS))
            else:
                time.sleep(LOOK_SECONDS)

    def await_end(self) -> list[str]:
        """Wait until what is frozen goes on; return what was left to the supervisor and not ended by it."""
        for thread in self._threads:
            thread.join()
        left = [fault for fault in self.done if fault.kind == "leave"]
        while any(self._is_still_left(fault) for fault in left) and time.monotonic() < left[-1].at + LEFT_SECONDS:
            time.sleep(LOOK_SECONDS)
        missed = [fault for fault in left if self._is_still_left(fault)]
        for fault in missed:
            send(fault.pid, signal.SIGCONT)
        return [f"a frozen {fault.part} was not ended within {LEFT_SECONDS:.0f} s" for fault in missed]

    def _draw(self) -> tuple[str, str]:
        part = self.random.choice(self.parts)
        [kind] = self.random.choices(list(self.kinds), list(self.kinds.values()))
        # The server of one connection is in nobody's hand: who waits for it has bounds of its own.
        return part, "freeze" if kind == "leave" and part == "backend" else kind

    def _draw_rest(self, part: str, kind: str) -> float:
        if self.random.random() < AT_ONCE_SHARE:
            return 0.0
        held = HELD_REST_SECONDS if kind in ("freeze", "delay") else ENDED_REST_SECONDS
        return self.random.uniform(*REST_SECONDS.get(part, held))

    def _do(self, fault: Fault) -> None:
        match fault.kind:
            case "kill":
                send(fault.pid, signal.SIGKILL)
            case "restart":
                send(fault.pid, STOP_SIGNALS.get(fault.part, signal.SIGTERM))
            case "leave":
                self._busy.add(fault.pid)
                send(fault.pid, signal.SIGSTOP)
            case "freeze":
                self._beside(self._freeze, fault.pid, self.random.uniform(*FREEZE_SECONDS))
            case "delay":
                self._beside(self._delay, fault.pid, self.random.uniform(*DELAY_SECONDS))
        self.done.append(fault)

    def _beside(self, work: Callable[[int, float], None], pid: int, seconds: float) -> None:
        self._busy.add(pid)
        thread = threading.Thread(target=work, args=(pid, seconds))
        thread.start()
        self._threads.append(thread)

    def _freeze(self, pid: int, seconds: float) -> None:
        send(pid, signal.SIGSTOP)
        time.sleep(seconds)
        send(pid, signal.SIGCONT)
        self._busy.discard(pid)

    def _delay(self, pid: int, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and send(pid, signal.SIGSTOP):
            time.sleep(4 * DELAY_STEP_SECONDS)
            send(pid, signal.SIGCONT)
            time.sleep(DELAY_STEP_SECONDS)
        self._busy.discard(pid)

    def _is_still_left(self, fault: Fault) -> bool:
        return any(process.pid == fault.pid for process in self.product.find(fault.part))

    def tell(self) -> dict[str, Figure]:
        """Return how often which part was struck by what, and how long `up` took to set it right."""
        tally = Counter((fault.part, fault.kind) for fault in self.done)
        figures: dict[str, Figure] = {"faults": len(self.done)}
        for part in self.parts:
            kinds = [f"{kind} {tally[part, kind]}" for kind in self.kinds if tally[part, kind]]
            figures[f"faults at {part}"] = ", ".join(kinds) or "none"
        ended, found = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
        for fault in self.done:
            if fault.part in SUPERVISED and fault.kind in ("kill", "leave"):
                stuck = self.product.when(fault.part, "is stuck", fault.at)
                again = self.product.when(fault.part, "is started again", fault.at)
                if fault.kind == "leave" and stuck is not None:
                    found[fault.part].append(stuck - fault.at)
                if fault.kind == "kill" and again is not None:
                    ended[fault.part].append(again - fault.at)
        for part in SUPERVISED:
            figures |= spread(f"{part} killed until started again", ended[part]) if ended[part] else {}
            figures |= spread(f"{part} frozen until found stuck", found[part]) if found[part] else {}
        return figures
