"""Take the stacks through their cases, one stack after the other, and hand out what came of it."""

import json
import os
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from benchmarks import detector, floor, long, stacks
from benchmarks.cases import (
    CASES,
    CURVE_RATES,
    CURVE_SECONDS,
    CURVE_WARM_SECONDS,
    LONG_CASES,
    SPREAD,
    SPREAD_PROCESSES,
    SPREAD_RATES,
)
from benchmarks.figures import write_table
from benchmarks.floor import Floor
from benchmarks.measure import Case, Run, measure
from benchmarks.plot import draw
from benchmarks.processes import spent
from benchmarks.report import OBVIOUS, PRODUCT, Idle, Results, compose, doubts
from benchmarks.stacks import Stack

OTHERS = ("idle", "curve", "floor", "detector", OBVIOUS.split()[0])
BY_NAME_ONLY = ("processes", "long")
OBVIOUS_CASES = ("single", "frame", "screens")  # it takes one row a request
ECHO_CASES = ("single", "batch100")
SETTLE_SECONDS, IDLE_SECONDS = 5.0, 60.0  # in which the clock has done all that it does each minute
LONG_FACTOR = 3  # how much longer a long run measures


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be measured: loads, and other things by name."""

    cases: tuple[Case, ...]
    others: frozenset[str]
    seconds_factor: int = 1

    def __contains__(self, name: str) -> bool:
        return name in self.others


def choose(arguments: Namespace) -> Choice:
    """Return what the arguments ask for. Raises SystemExit, with the names, for one that is not known."""
    names = arguments.case.replace(",", " ").split()
    known = {**CASES, **LONG_CASES}
    if any(name not in (*known, *OTHERS, *BY_NAME_ONLY) for name in names):
        raise SystemExit("Cases: " + ", ".join((*known, *OTHERS, *BY_NAME_ONLY)))
    if not names:
        chosen, others = list(CASES.values()), frozenset(OTHERS)
        chosen += LONG_CASES.values() if arguments.long else ()
    else:
        chosen, others = [known[name] for name in names if name in known], frozenset(names) & {*OTHERS, *BY_NAME_ONLY}
        others |= {"floor"} if chosen else frozenset()
    return Choice(tuple(_revise(case, arguments) for case in chosen), others, LONG_FACTOR if arguments.long else 1)


def _revise(case: Case, arguments: Namespace) -> Case:
    """Return a case as the arguments have it."""
    if arguments.long:
        case = replace(case, seconds=case.seconds * LONG_FACTOR)
    if arguments.rooms:
        case = replace(case, rooms=arguments.rooms, rooms_a_request=min(case.rooms_a_request, arguments.rooms))
        case = replace(case, rooms=case.rooms - case.rooms % case.rooms_a_request)
    if arguments.clients and case.rounds:
        case = replace(case, watching=replace(case.watching, each=arguments.clients))
    changes = {name: getattr(arguments, name) for name in ("rate", "seconds") if getattr(arguments, name)}
    return replace(case, **changes)


def run_all(choice: Choice, folder: Path, out: Path) -> None:
    """Measure what was chosen; print the table, write JSON and plot."""
    results = Results()
    began = time.monotonic()
    if choice.cases or choice.others - {"processes"}:
        _measure_product(choice, results)
    if "processes" in choice:
        _measure_spread(choice, results)
    if OBVIOUS.split()[0] in choice:
        _measure_obvious(choice, folder / "obvious", results)
    _measure_bare(choice, folder, results)
    if "detector" in choice:
        results.others += detector.measure()
    figures = compose(results)
    took, busy = time.monotonic() - began, os.getloadavg()[0]
    print("\n" + "\n\n".join([write_table(figures), *doubts(results)]))
    print(f"\nIt took {took:,.0f} s; the load of the machine is {busy:.1f}.")
    out.mkdir(parents=True, exist_ok=True)
    found = {
        "figures": [figure.as_json() for figure in figures],
        "runs": [run.as_json() for run in results.runs.values()],
        "processes": {number: [run.as_json() for run in runs] for number, runs in results.spread.items()},
        "curves": {stack: [run.as_json() for run in runs] for stack, runs in results.curves.items()},
    }
    (out / "bench.json").write_text(json.dumps(found, indent=1) + "\n")
    if results.curves:
        (out / "bench.svg").write_text(draw(results.curves))


def _measure_product(choice: Choice, results: Results) -> None:
    with stacks.product() as stack:
        if "idle" in choice:
            results.idle[stack.name] = _rest(stack)
        if "floor" in choice:
            results.floors.append(_measure_floor())
        for case in choice.cases:
            results.add_between(_say_run(measure(stack, case)), _measure_floor())
        if "curve" in choice:
            results.curves[stack.name] = _climb(stack)
        if "long" in choice:
            _say("long")
            results.others += long.measure(settings.DATABASE_URL)


def _measure_floor() -> Floor:
    """Measure it again and again: who else is at work here moves it by half from one minute to the next."""
    found = floor.measure(settings.DATABASE_URL)
    _say(f"floor: {found.all:.1f} µs CPU a row")
    return found


def _measure_spread(choice: Choice, results: Results) -> None:
    for processes in SPREAD_PROCESSES:
        _say(f"{processes} of web and worker each")
        with stacks.product(processes) as stack:
            case = replace(SPREAD, seconds=SPREAD.seconds * choice.seconds_factor)
            results.spread[processes] = _climb_with(stack, case, SPREAD_RATES)


def _measure_obvious(choice: Choice, data_dir: Path, results: Results) -> None:
    with stacks.obvious(data_dir) as stack:
        if "idle" in choice:
            results.idle[stack.name] = _rest(stack)
        for case in choice.cases:
            if case.name in OBVIOUS_CASES and not (case.name == "single" and "curve" in choice):  # which says it better
                results.add(_say_run(measure(stack, case)))
        if "curve" in choice:
            results.curves[stack.name] = _climb(stack)


def _measure_bare(choice: Choice, folder: Path, results: Results) -> None:
    """Measure what does nothing but take, and nothing but tell, under the loads that the product has had."""
    taken = [case for case in choice.cases if case.name in ECHO_CASES]
    if taken:
        with stacks.echo(folder / "echo") as stack:
            for case in taken:
                results.add(_say_run(measure(stack, case)))
    for case in choice.cases:
        run = results.runs.get((PRODUCT, case.name))
        if case.rounds and run is not None and run.told.frame_bytes:
            with stacks.broadcaster(folder / "broadcast", run.told.frame_bytes) as stack:
                results.add(_say_run(measure(stack, case)))


def _climb(stack: Stack) -> list[Run]:
    """Measure single rows of a hundred rooms at higher and higher rates."""
    case = replace(CASES["single"], seconds=CURVE_SECONDS, warm_seconds=CURVE_WARM_SECONDS, filling=12)
    return _climb_with(stack, case, CURVE_RATES)


def _climb_with(stack: Stack, case: Case, rates: Sequence[float]) -> list[Run]:
    """Measure a case at higher and higher rates, until the stack is full."""
    runs: list[Run] = []
    for rate in rates:
        runs.append(_say_run(measure(stack, replace(case, rate=rate), series=f"{case.name} {rate}")))
        if not runs[-1].keeps_up:
            break
    return runs


def _rest(stack: Stack) -> Idle:
    """Return what a stack costs that nobody uses."""
    _say(f"{stack.name}: idle")
    time.sleep(SETTLE_SECONDS)
    before, began = stack.read_cpu(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    seconds = time.monotonic() - began
    cpu = {role: used / seconds * 100 for role, used in spent(before, stack.read_cpu()).items()}
    return Idle(cpu, stack.read_memory())


def _say_run(run: Run) -> Run:
    """Say what is done, for who waits; the table says it again."""
    cost = f"{run.cpu_of():,.0f} µs CPU a {run.case.item}" if run.keeps_up else f"full: {run.trouble}"
    rate = "" if run.case.rounds else f", {run.case.rate:,.0f}/s"
    _say(f"{run.stack}: {run.case.title}{rate}: {cost}")
    return run


def _say(what: str) -> None:
    print(what, flush=True)
