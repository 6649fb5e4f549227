"""`manage.py evaluate`: run the detector over a labelled corpus and print how well it did."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from anomalies.evaluation import Evaluation, Tally, evaluate
from engagement.recordings.corpus import read_corpus
from engagement.recordings import BadRecording

HEADINGS = (
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
NARROW = 9


class Command(BaseCommand):
    help = (
        "Runs the detector over a labelled corpus (rows, labels, sessions as .jsonl or .jsonl.gz) and prints recall, "
        "precision, delay in seconds and false alarms, those outside planned breaks and the closing wave."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sessions = read_corpus(options["folder"])
        except (OSError, BadRecording) as error:
            raise CommandError(str(error)) from None
        with tqdm(total=len(sessions), unit="session", disable=None) as bar:
            evaluation = evaluate(sessions, progress=bar.update)
        self.stdout.write(as_table(evaluation))
        if options["json"]:
            try:
                options["json"].write_text(json.dumps(evaluation.figures(), indent=2) + "\n")
            except OSError as error:
                raise CommandError(str(error)) from None


def as_table(evaluation: Evaluation) -> str:
    """Return the figures as a table for a terminal, and what the false alarms were about."""
    total = evaluation.total
    figures = evaluation.figures()
    lines = [
        f"{total.sessions} sessions, {total.hours:.1f} hours",
        _line(HEADINGS),
        *(_line(_cells(name, tally)) for name, tally in evaluation.by_type.items()),
        _line(_cells("all", total)),
        "",
        "by people in the room",
        *(_line(_cells(name, tally)) for name, tally in evaluation.by_room.items() if tally.sessions),
        "",
        f"false alarms: {_reasons(figures['false_alarms_by_reason'])}",
        f"alarms in planned breaks and after the planned end: {_reasons(figures['planned_alarms_by_reason'])}",
    ]
    return "\n".join(lines)


def _cells(name: str, tally: Tally) -> tuple[str, ...]:
    return (
        name,
        str(len(tally.findings)),
        *(_share(value) for value in (tally.recall, tally.typed, tally.precision)),
        *("–" if delay is None else f"{delay:.0f} s" for delay in (tally.median_delay, tally.late_delay)),
        *(_share(tally.within(seconds)) for seconds in (10, 30)),
        str(len(tally.false_alarms)),
        _share(tally.false_alarms_per_hour, places=3),
        _share(tally.storm),
    )


def _share(value: float | None, places: int = 2) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def _line(cells: tuple[str, ...]) -> str:
    return f"{cells[0]:<16}" + "".join(
        f"{cell:>{max(NARROW, len(heading) + 2)}}" for cell, heading in zip(cells[1:], HEADINGS[1:], strict=True)
    )


def _reasons(counts: Any) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"
