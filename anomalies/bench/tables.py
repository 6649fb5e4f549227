"""Write what an evaluation found as tables for a terminal. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from anomalies.bench.evaluation import MISSED, TYPES, Evaluation
from anomalies.bench.small_rooms import SmallRoom
from anomalies.bench.tally import FalseAlarm, Tally

OURS = "this detector"
COMPARED = (
    "",
    "recall",
    *(name.replace("_", " ").lower() for name in TYPES),
    "typed",
    "FA/h",
    "delay",
    "≤10 s",
    "≤30 s",
    "alerts each",
)
TARGET = ("target", "≥ .95", "", "", "", "", "≥ .90", "≤ .05", "", "≥ .30", "", "≤ 1.2")
DETAILED = (
    "",
    "incidents",
    "recall",
    "typed",
    "precision",
    "delay",
    "p95",
    "≤10 s",
    "≤30 s",
    "FA",
    "FA/h",
    "alerts each",
)
DEGRADED = ("rates", "recall", "typed", "FA", "FA/h", "delay", "p95", "≤10 s", "≤30 s", "alerts each")
SEVERITY = ("", "found", "CRITICAL", "at first", "loss ≥ .5", "other", "false", "severity~loss", "score~loss")
NAMED = ("named", *(name.replace("_", " ").lower() for name in TYPES), MISSED)
SMALL = ("people", "hours", "false alarms", "in breaks, at the end")
LEAST_WIDTH = 7


def compare(evaluations: Mapping[str, Evaluation]) -> str:
    """Return one line a detector, and what is aimed at: recall in all and by type, and what the rest of us pays."""
    return _table(COMPARED, [*(_compared(name, e) for name, e in evaluations.items()), TARGET])


def _compared(name: str, evaluation: Evaluation) -> tuple[str, ...]:
    total = evaluation.total
    return (
        name,
        _share(total.recall),
        *(_share(tally.recall) for tally in evaluation.by_type.values()),
        _share(total.typed),
        _share(total.false_alarms_per_hour, places=3),
        _seconds(total.median_delay),
        *(_share(total.within(seconds)) for seconds in (10, 30)),
        _share(total.storm),
    )


def describe(evaluation: Evaluation, with_halves: bool = False) -> str:
    """Return one detector's figures by type, by size of the room, by what is known of activity, and its alarms."""
    total = evaluation.total
    groups = {"by people in the room": evaluation.by_room, "by what is known of activity": evaluation.by_known}
    if with_halves:
        groups["by halves"] = evaluation.by_half
    lines = [_table(DETAILED, [*(_detailed(*item) for item in evaluation.by_type.items()), _detailed("all", total)])]
    for heading, group in groups.items():
        lines += ["", heading, _table(DETAILED, [_detailed(*item) for item in group.items()])]
    if with_halves:
        lines.append(f"spread between the halves: {_spread(list(evaluation.by_half.values()))}")
    lines += ["", "the share that became CRITICAL, and rank correlation with what was lost", severities(evaluation)]
    lines += ["", "by which name they were last told", names(evaluation)]
    lines += [
        "",
        f"false alarms: {_reasons(total.false_alarms)}",
        f"alarms in planned breaks and after the planned end: {_reasons(total.planned)}",
    ]
    return "\n".join(lines)


def _detailed(name: str, tally: Tally) -> tuple[str, ...]:
    return (
        name,
        str(len(tally.detections)),
        *(_share(value) for value in (tally.recall, tally.typed, tally.precision)),
        *(_seconds(delay) for delay in (tally.median_delay, tally.late_delay)),
        *(_share(tally.within(seconds)) for seconds in (10, 30)),
        str(len(tally.false_alarms)),
        _share(tally.false_alarms_per_hour, places=3),
        _share(tally.storm),
    )


def severities(evaluation: Evaluation) -> str:
    """Return one line a type: the share of found incidents, and of false alarms, that became CRITICAL."""
    groups = [*evaluation.by_type.items(), ("all", evaluation.total)]
    return _table(
        SEVERITY,
        [
            (
                name,
                str(tally.found),
                _share(tally.critical),
                _share(tally.critical_at_first),
                _share(tally.critical_of_losses(is_large=True)),
                _share(tally.critical_of_losses(is_large=False)),
                _share(tally.false_critical),
                _share(tally.severity_correlation),
                _share(tally.score_correlation),
            )
            for name, tally in groups
        ],
    )


def names(evaluation: Evaluation) -> str:
    """Return one line a type: how many incidents of it were last told by which name."""
    return _table(
        NAMED,
        [(name, *(str(told[each]) for each in (*TYPES, MISSED))) for name, told in evaluation.names.items()],
    )


def degraded(tallies: Mapping[str, Tally]) -> str:
    """Return one line for each kind of worse rows."""
    return _table(
        DEGRADED,
        [
            (
                name,
                *(_share(value) for value in (tally.recall, tally.typed)),
                str(len(tally.false_alarms)),
                _share(tally.false_alarms_per_hour, places=3),
                *(_seconds(delay) for delay in (tally.median_delay, tally.late_delay)),
                *(_share(tally.within(seconds)) for seconds in (10, 30)),
                _share(tally.storm),
            )
            for name, tally in tallies.items()
        ],
    )


def small_rooms(rooms: Sequence[SmallRoom]) -> str:
    """Return one line a size: false alarms in healthy hours, and the collapses found."""
    collapses = tuple(rooms[0].collapses) if rooms else ()
    return _table(
        (*SMALL, *collapses),
        [
            (
                str(room.people),
                f"{room.healthy.hours:.1f}",
                str(len(room.healthy.false_alarms)),
                str(len(room.healthy.planned)),
                *(
                    f"{tally.found} of {len(tally.detections)}, {_seconds(tally.median_delay)}"
                    for tally in room.collapses.values()
                ),
            )
            for room in rooms
        ],
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, *rows]
    widths = [max(LEAST_WIDTH, *(len(line[column]) for line in lines)) for column in range(len(headings))]
    return "\n".join(
        f"{line[0]:<{widths[0]}}"
        + "".join(f"{cell:>{width + 2}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        for line in lines
    )


def _spread(halves: Sequence[Tally]) -> str:
    """Return how far the halves lie apart, where all of them have the figure."""
    parts = []
    for name, places, values in (
        ("recall", 2, [half.recall for half in halves]),
        ("typed", 2, [half.typed for half in halves]),
        ("FA/h", 3, [half.false_alarms_per_hour for half in halves]),
    ):
        known = [value for value in values if value is not None]
        if len(known) == len(halves):
            parts.append(f"{name} {max(known) - min(known):.{places}f}")
    return ", ".join(parts) or "–"


def _share(value: float | None, places: int = 2) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def _seconds(delay: float | None) -> str:
    return "–" if delay is None else f"{delay:.0f} s"


def _reasons(alarms: Iterable[FalseAlarm]) -> str:
    counts = Counter(alarm.why for alarm in alarms)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "none"
