"""What the runs come to: every figure beside its baselines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from benchmarks.cases import CASES, CROWD, LONG_CASES
from benchmarks.figures import Figure
from benchmarks.floor import Floor, mean
from benchmarks.measure import MOST_LAG_SECONDS, Run

FLOOR, OBVIOUS, ECHO = "River + COPY", "obvious build", "echo"
MOST_LATE_MS = 20.0
PRODUCT, BROADCAST = "product", "websockets.broadcast"
ALONE = "one of each"


@dataclass(frozen=True, slots=True)
class Idle:
    """What a stack costs when nobody asks anything of it: share of a core and MB, of each role."""

    cpu: dict[str, float]
    memory: dict[str, float]


@dataclass
class Results:
    """All that was measured, by stack and case."""

    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    curves: dict[str, list[Run]] = field(default_factory=dict)
    spread: dict[int, list[Run]] = field(default_factory=dict)  # by the number of web processes and of workers
    idle: dict[str, Idle] = field(default_factory=dict)
    floors: list[Floor] = field(default_factory=list)  # as they were measured, one after the other
    around: dict[str, Floor] = field(default_factory=dict)  # what the floor was before and after a case of the product
    others: list[Figure] = field(default_factory=list)

    def add(self, run: Run) -> None:
        self.runs[run.stack, run.case.name] = run

    def add_between(self, run: Run, floor: Floor) -> None:
        """Add a run of the product, and the floor that was measured right after it."""
        self.add(run)
        self.around[run.case.name] = mean([*self.floors[-1:], floor])
        self.floors.append(floor)


def doubts(results: Results) -> list[str]:
    """Return what of the latencies is the fault of the machine: a client that came late to send."""
    climbs = [*results.curves.values(), *results.spread.values()]
    runs = [*results.runs.values(), *(run for climb in climbs for run in climb)]
    late = [run for run in runs if run.late_ms > MOST_LATE_MS]
    if not late:
        return []
    worst = max(run.late_ms for run in late)
    names = ", ".join(f"{run.stack} {run.case.name} {run.case.rate:,.0f}/s" for run in late)
    return [
        f"The machine was too busy for the client: it came up to {worst:.0f} ms late to send one request in a hundred, "
        f"which is in the latencies of {names}."
    ]


def compose(results: Results) -> list[Figure]:
    """Return the figures of whatever was measured, in the order of the cases."""
    figures: list[Figure] = []
    for name in (*CASES, *LONG_CASES):
        run = results.runs.get((PRODUCT, name))
        if run is not None:
            figures += _figures_of(run, results)
    return [*figures, *_capacity(results), *_spread(results), *_idle(results), *_floor(results), *results.others]


def _figures_of(run: Run, results: Results) -> Iterator[Figure]:
    case = run.case
    if case.rounds:
        yield from _rounds(run, results)
        return
    title = f"{case.title}, {case.rate:,.0f}/s"
    obvious = results.runs.get((OBVIOUS, case.name))
    if not run.keeps_up:
        yield Figure(f"{title}: CPU a {case.item}", "µs", None, full=f"{_full(run)}: {run.trouble}")
        return
    floor = results.around.get(case.name)
    yield Figure(f"{title}: CPU a {case.item}", "µs", run.cpu_of(), FLOOR, floor.all if floor else None)
    if obvious is not None:
        yield _beside(Figure("  the same", "µs", run.cpu_of()), obvious, obvious.cpu_of())
    if case.name == CROWD.name and (kept := _kept_by_rate(results.curves.get(OBVIOUS, ()))):
        most = max(kept)
        yield Figure(f"  the same, beside {most:,.0f}/s", "µs", run.cpu_of(), OBVIOUS, kept[most].cpu_of())
    echo = results.runs.get((ECHO, case.name))
    for role in run.cpu:
        is_web = role == "web" and echo is not None
        yield Figure(f"  of it {role}", "µs", run.cpu_of(role), ECHO, echo.cpu_of() if is_web and echo else None)
    for place in (50, 99):
        yield Figure(f"  POST p{place}", "ms", run.post_ms(place), ECHO, echo.post_ms(place) if echo else None)
    if run.told.frames:
        for place in (50, 99):
            figure = Figure(f"  POST to frame p{place}", "ms", run.frame_ms(place))
            yield _beside(figure, obvious, obvious.frame_ms(place)) if obvious and obvious.told.frames else figure
    if case.most_lag_seconds > MOST_LAG_SECONDS:
        yield Figure("  judged", f"{case.item}s/s", run.carried, more_is_better=True)


def _kept_by_rate(runs: Iterable[Run]) -> dict[float, Run]:
    """Return those runs at rising rates that a stack kept up with."""
    return {run.case.rate: run for run in runs if run.keeps_up}


def _beside(figure: Figure, obvious: Run, value: float) -> Figure:
    """Return a figure beside the obvious build's, where that could carry the load too."""
    if obvious.keeps_up:
        return replace(figure, baseline_name=OBVIOUS, baseline=value)
    return replace(figure, baseline_name=OBVIOUS, baseline_full=_full(obvious))


def _full(run: Run) -> str:
    return f"full at {run.carried:,.0f} {run.case.item}s/s"


def _rounds(run: Run, results: Results) -> Iterator[Figure]:
    broadcast = results.runs.get((BROADCAST, run.case.name))
    title = f"{run.case.title}: "
    if run.told.unseen:
        yield Figure(f"{title}the last is told", "ms", None, full=f"{run.told.unseen} frames missing")
        return
    yield Figure(f"{title}the last is told", "ms", run.last_ms, BROADCAST, broadcast.last_ms if broadcast else None)
    frames = run.told.sockets * run.case.rounds
    cost = sum(run.cpu.values()) / frames * 1e6
    baseline = sum(broadcast.cpu.values()) / frames * 1e6 if broadcast else None
    yield Figure(f"  CPU a frame of {run.told.frame_bytes:,} bytes", "µs", cost, BROADCAST, baseline)


def _capacity(results: Results) -> Iterator[Figure]:
    """Yield how many single rows a second the stacks carry, and what they cost where both are at their best."""
    kept = {stack: _kept_by_rate(runs) for stack, runs in results.curves.items()}
    if PRODUCT not in kept:
        return
    most = {stack: max(runs, default=0.0) for stack, runs in kept.items()}
    yield Figure(
        "single rows that are carried", "rows/s", most[PRODUCT], OBVIOUS, most.get(OBVIOUS), more_is_better=True
    )
    if both := kept[PRODUCT].keys() & kept.get(OBVIOUS, {}).keys():
        run, obvious = kept[PRODUCT][max(both)], kept[OBVIOUS][max(both)]
        yield Figure(f"  CPU a row at {max(both):,.0f}/s", "µs", run.cpu_of(), OBVIOUS, obvious.cpu_of())
        for place in (50, 99):
            yield Figure(
                f"  POST p{place} at {max(both):,.0f}/s", "ms", run.post_ms(place), OBVIOUS, obvious.post_ms(place)
            )


def _spread(results: Results) -> Iterator[Figure]:
    """Yield what more processes carry, and what a row costs with them, beside one of each at the same rate."""
    kept = {number: _kept_by_rate(runs) for number, runs in results.spread.items()}
    alone = kept.get(min(kept, default=0), {})
    for number, runs in kept.items():
        of_each = f"{number} of web and worker each"
        most = max(runs, default=0.0)
        yield Figure(
            f"{of_each}: single rows that are carried",
            "rows/s",
            most,
            ALONE,
            max(alone, default=0.0),
            more_is_better=True,
        )
        if both := runs.keys() & alone.keys():
            run, other = runs[max(both)], alone[max(both)]
            at = f"at {max(both):,.0f}/s"
            yield Figure(f"  CPU a row {at}", "µs", run.cpu_of(), ALONE, other.cpu_of())
            for place in (50, 99):
                yield Figure(f"  POST to frame p{place} {at}", "ms", run.frame_ms(place), ALONE, other.frame_ms(place))


def _idle(results: Results) -> Iterator[Figure]:
    idle, obvious = results.idle.get(PRODUCT), results.idle.get(OBVIOUS)
    if idle is None:
        return
    for name, unit, costs, others in (
        ("idle: share of a core", "%", idle.cpu, obvious.cpu if obvious else {}),
        ("idle: memory", "MB", idle.memory, obvious.memory if obvious else {}),
    ):
        yield Figure(name, unit, sum(costs.values()), OBVIOUS, sum(others.values()) if others else None)
        for role, cost in costs.items():
            yield Figure(f"  of it {role}", unit, cost, OBVIOUS, others.get(role))


def _floor(results: Results) -> Iterator[Figure]:
    if results.floors:
        ordered = sorted(results.floors, key=lambda each: each.all)
        low, floor, high = ordered[0], ordered[len(ordered) // 2], ordered[-1]
        spread = f", the middle of {len(ordered)}, {low.all:.1f} to {high.all:.1f} µs" if len(ordered) > 1 else ""
        yield Figure(f"the floor: CPU a row{spread}", "µs", floor.all)
        yield Figure("  of it River's trees, score and learn", "µs", floor.river)
        yield Figure("  of it COPY, the client", "µs", floor.copy_client)
        yield Figure("  of it COPY, PostgreSQL", "µs", floor.copy_server)
