"""One load on one stack: what it cost in CPU from the first POST until all is judged, and who was told when."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from django.conf import settings

from benchmarks.chaos.figures import percentile
from benchmarks.client.plan import Load, Plan, Told, Watching, write_plan
from benchmarks.client.requests import requests_of
from benchmarks.processes import Seconds, spent
from benchmarks.rooms import STORIES, draw_rooms, in_parts, tell_events, tell_rows
from benchmarks.stacks import Stack
from conductor.local.rest_client import RestClient

LOOK_SECONDS = 0.2
WARM_SECONDS = 2.0
GIVE_UP_SECONDS = 60.0  # in which what waits is judged, or it is called full
MOST_LAG_SECONDS = 5.0  # after the last POST: who needs longer has not kept up
ITEMS_A_FILLING = 1_000


@dataclass(frozen=True, slots=True)
class Case:
    """A load by its name: how many items a second, for how many rooms, in which requests."""

    name: str
    words: str  # what the table calls it; numbers of its own stand in braces
    path: str
    rate: float  # items a second
    rooms: int
    rooms_a_request: int = 1
    items_a_room: int = 1
    seconds: float = 8.0
    warm_seconds: float = WARM_SECONDS
    filling: int = 24  # items that each room is told before: a detector that knows nothing does less
    most_lag_seconds: float = MOST_LAG_SECONDS
    rounds: int = 0
    watching: Watching = field(default_factory=Watching)

    @property
    def has_events(self) -> bool:
        return self.path.endswith("events")

    @property
    def item(self) -> str:
        return "raw event" if self.has_events else "row"

    @property
    def title(self) -> str:
        sockets = min(self.watching.rooms, self.rooms) * self.watching.each
        items = self.rooms_a_request * self.items_a_room
        return self.words.format(rooms=f"{self.rooms:,}", items=f"{items:,}", sockets=f"{sockets:,}")

    def load(self, series: str) -> Load:
        stories, period = tell_events() if self.has_events else tell_rows()
        return Load(
            path=f"/api/v1{self.path}",
            rooms=tuple(draw_rooms(self.rooms, series)),
            stories=stories,
            period_seconds=period,
            first=self.filling,
            rooms_a_request=self.rooms_a_request,
            items_a_room=self.items_a_room,
            is_alone="{room}" in self.path and self.items_a_room == 1,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What one case cost one stack."""

    case: Case
    stack: str
    told: Told
    cpu: Seconds  # of each role, from the first POST until all was judged
    seconds: float  # until then
    waiting: int = 0  # rows that were not judged when we gave up

    @property
    def keeps_up(self) -> bool:
        return not self.trouble

    @property
    def trouble(self) -> str:
        """Return why it has not kept up, in a word or two."""
        told = self.told
        refused = [status for status in told.statuses if status != "202"]
        if refused:
            return f"it answers {' and '.join(refused)}"
        if told.unanswered or told.unseen:
            return f"{told.unanswered} without an answer" if told.unanswered else f"{told.unseen} never shown"
        if self.waiting or (not self.case.rounds and self.lag_seconds > self.case.most_lag_seconds):
            return f"judged {self.lag_seconds:.0f} s after"
        return ""

    @property
    def lag_seconds(self) -> float:
        """How long after the last POST was due all was judged."""
        return self.seconds - self.told.sending_seconds

    @property
    def carried(self) -> float:
        """How many items a second were taken and judged."""
        return max(0, self.told.accepted - self.waiting) / self.seconds

    def cpu_of(self, *roles: str) -> float:
        """Return the CPU of an item in µs, of some roles or of all."""
        return sum(self.cpu[role] for role in roles or self.cpu) / max(1, self.told.accepted) * 1e6

    def post_ms(self, place: int) -> float:
        return percentile(self.told.latencies, place) * 1e3

    def frame_ms(self, place: int) -> float:
        return percentile(self.told.frames, place) * 1e3

    @property
    def late_ms(self) -> float:
        """How late the client itself came to send, at the 99th percentile: all latencies hold that, too."""
        return percentile(self.told.sent_late, 99) * 1e3 if self.told.sent_late else 0.0

    @property
    def last_ms(self) -> float:
        return median(self.told.lasts) * 1e3

    def as_json(self) -> dict[str, object]:
        told = self.told
        latencies = {"post": told.latencies, "frame": told.frames, "last": told.lasts, "sent_late": told.sent_late}
        return {
            "case": self.case.name,
            "stack": self.stack,
            "asked_a_second": self.case.rate,
            "rooms": self.case.rooms,
            "carried_a_second": round(self.carried, 1),
            "keeps_up": self.keeps_up,
            "trouble": self.trouble,
            "statuses": told.statuses,
            "unanswered": told.unanswered,
            "unseen": told.unseen,
            "not_judged": self.waiting,
            "lag_seconds": round(self.lag_seconds, 2),
            "sockets": told.sockets,
            "cpu_us": {role: round(self.cpu_of(role), 1) for role in self.cpu} | {"all": round(self.cpu_of(), 1)},
            "client_share": round(told.client_share, 3),
            "ms": {
                name: {f"p{place}": round(percentile(values, place) * 1e3, 2) for place in (50, 95, 99)}
                for name, values in latencies.items()
                if values
            },
        }


def measure(stack: Stack, case: Case, series: str = "") -> Run:
    """Tell new rooms what the case says, and return what it cost the stack."""
    load = case.load(f"{series or case.name} {stack.name}")
    stack.make_rooms(load.rooms)
    try:
        if stack.takes_batches and case.filling:
            fill(stack, case, load)
        elif not stack.takes_batches:
            load = replace(load, first=0)
        stack.analyze()  # what runs for a while has plans for as many rooms and rows as there are
        return _run(stack, case, load)
    finally:
        stack.end_rooms(load.rooms)


def fill(stack: Stack, case: Case, load: Load) -> None:
    """Tell every room how its story begins, and wait until that is judged."""
    client = RestClient(f"http://127.0.0.1:{stack.port}", stack.key)
    path = "/events" if case.has_events else "/signals"
    rooms_a_request = max(1, ITEMS_A_FILLING // case.filling // STORIES) * STORIES  # so that rooms keep their stories
    for rooms in in_parts(load.rooms, rooms_a_request):
        beginning = replace(
            load, path=path, rooms=tuple(rooms), first=0, rooms_a_request=len(rooms), items_a_room=case.filling,
            is_alone=False,
        )  # fmt: skip
        client.post(path, json.loads(next(requests_of(beginning)).body))
    client.close()
    if await_judged(stack, patiently=True):
        raise RuntimeError("What the rooms were told at the beginning is not judged, and nothing moves any more.")


def await_judged(stack: Stack, *, patiently: bool = False) -> int:
    """Wait until nothing waits any more; return how many rows do when we give up: patiently, when nothing moves."""
    waiting = stack.count_waiting()
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while waiting and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        before, waiting = waiting, stack.count_waiting()
        if patiently and waiting < before:
            deadline = time.monotonic() + GIVE_UP_SECONDS
    return waiting


def _run(stack: Stack, case: Case, load: Load) -> Run:
    plan = Plan(
        port=stack.port,
        post_ports=tuple(stack.post_ports) or (stack.port,),
        key=stack.key,
        load=load,
        requests_a_second=case.rate / load.items_a_request,
        warm_seconds=case.warm_seconds,
        seconds=case.seconds,
        watching=replace(case.watching, headers=_headers(stack, case.watching)),
        rounds=case.rounds,
    )
    with _client(plan) as client:
        _read(client, "warm")
        await_judged(stack)
        before, began = stack.read_cpu(), time.monotonic()
        _say_go(client)
        told = _read(client, "done")
        waiting = await_judged(stack)
        seconds, after = time.monotonic() - began, stack.read_cpu()
    return Run(case, stack.name, told, spent(before, after), seconds, waiting)


def _headers(stack: Stack, watching: Watching) -> dict[str, str]:
    """Return who opens the sockets: integrators have a key, browsers a cookie."""
    return {"Authorization": f"Bearer {stack.key}"} if watching.has_moments else {"Cookie": stack.cookie}


@contextmanager
def _client(plan: Plan) -> Iterator["subprocess.Popen[str]"]:
    with tempfile.TemporaryDirectory(prefix="conductor-bench-client-") as folder:
        path = Path(folder) / "plan.json"
        write_plan(path, plan)
        client = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.client", str(path)],
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield client
        finally:
            client.kill()
            client.wait()
            for pipe in (client.stdin, client.stdout):
                assert pipe is not None
                pipe.close()


def _say_go(client: "subprocess.Popen[str]") -> None:
    assert client.stdin is not None
    client.stdin.write("go\n")
    client.stdin.flush()


def _read(client: "subprocess.Popen[str]", phase: str) -> Told:
    assert client.stdout is not None
    line = client.stdout.readline()
    if not line:
        raise RuntimeError(f"The client ended before it was {phase}.")
    said = json.loads(line)
    if said["phase"] != phase:
        raise RuntimeError(f"The client says {said['phase']} and not {phase}.")
    return Told(**said["told"])
