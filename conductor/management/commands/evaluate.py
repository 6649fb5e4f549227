"""`manage.py evaluate`: run the detector over a labelled corpus, beside others, and print how well each did."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from anomalies.bench import pictures, small_rooms, tables
from anomalies.bench.corpus import LabelledSession, read_corpus, read_events
from anomalies.bench.curves import Curve, draw_curves, our_curve, rival_curve
from anomalies.bench.evaluation import Evaluation, evaluate
from anomalies.bench.rivals import RIVALS, Rival
from anomalies.bench.rivals.rival import Watched
from anomalies.bench.simulation.degrade import DEGRADATIONS
from engagement.models import Event
from engagement.readings import Reading
from engagement.recordings.recording import BadRecording
from engagement.windows import RawEvent, Windows

PICTURES = tuple(f"detector-{name}.svg" for name in ("recall", "delays", "severity", "names", "promise"))
HEALTHY_HOURS, COLLAPSES, SEED = 20.0, 10, 11  # of each size of small room


class Command(BaseCommand):
    help = (
        "Runs the detector over a labelled corpus (rows, labels, sessions as .jsonl or .jsonl.gz) and prints recall, "
        "precision, delay in seconds and false alarms, those outside planned breaks and the closing wave; and beside "
        "it how other detectors did."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("folder", nargs="?", type=Path, help="the folder of the corpus")
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--events", action="store_true", help="make the rows from its raw events")
        source.add_argument("--both", action="store_true", help="evaluate its rows, and those made from its events")
        parser.add_argument("--alone", action="store_true", help="leave out the other detectors: seconds, not a minute")
        parser.add_argument("--halves", action="store_true", help="even and odd sessions beside each other")
        parser.add_argument(
            "--degrade", choices=[*DEGRADATIONS, "all"], metavar="KIND", action="append", default=[],
            help=f"with worse rates too: {', '.join(DEGRADATIONS)}, or all",
        )  # fmt: skip
        parser.add_argument(
            "--small-rooms", action="store_true",
            help=f"{HEALTHY_HOURS:.0f} simulated healthy hours in rooms of 5 to 20 people, and collapses there",
        )  # fmt: skip
        parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
        parser.add_argument("--curve", type=Path, metavar="FILE.svg", help="draw recall against false alarms")
        parser.add_argument(
            "--pictures", type=Path, metavar="DIR",
            help="draw this detector's recall, delays, severity, names, and false alarms beside what pages promise",
        )  # fmt: skip
        parser.add_argument(
            "--beside", type=Path, metavar="FOLDER", action="append", default=[],
            help="with --pictures: a corpus more whose recall and false alarms are drawn",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        if options["folder"] is None and not options["small_rooms"]:
            raise CommandError("Name the folder of a corpus.")
        self._check_outputs(options)
        figures: dict[str, Any] = {}
        if options["folder"] is not None:
            for number, (source, sessions) in enumerate(self._corpora(options).items()):
                found = self._evaluate(source, sessions, options)
                figures |= found if number == 0 else {source: found}
        if options["pictures"]:
            figures["pictures"] = self._draw_pictures(options)
        if options["small_rooms"]:
            figures["small_rooms"] = self._study_small_rooms()
        if options["json"]:
            options["json"].write_text(json.dumps(figures, indent=2) + "\n")

    def _check_outputs(self, options: Mapping[str, Any]) -> None:
        """Refuse at once what could not be written after minutes of work."""
        if options["curve"] and options["folder"] is None:
            raise CommandError("--curve needs the folder of a corpus.")
        if options["pictures"] and options["folder"] is None:
            raise CommandError("--pictures needs the folder of a corpus.")
        if options["beside"] and not options["pictures"]:
            raise CommandError("--beside needs --pictures.")
        pictured = [options["pictures"] / name for name in PICTURES] if options["pictures"] else []
        for path in (options["json"], options["curve"], *pictured):
            try:
                if path in pictured:
                    path.parent.mkdir(parents=True, exist_ok=True)
                if path:
                    path.touch()
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}") from None

    def _corpora(self, options: Mapping[str, Any]) -> dict[str, list[LabelledSession]]:
        try:
            sessions = read_corpus(options["folder"])
            corpora = {} if options["events"] else {"rows": sessions}
            if options["events"] or options["both"]:
                events = read_events(options["folder"])
                heard = [session for session in sessions if session.name in events]
                self._tell_of_unheard(len(sessions) - len(heard))
                corpora["events"] = [
                    replace(session, rows=rows_of(events[session.name]))
                    for session in tqdm(heard, "counting events", unit="session", disable=None)
                ]
        except (OSError, BadRecording) as error:
            raise CommandError(str(error)) from None
        return corpora

    def _tell_of_unheard(self, count: int) -> None:
        if count:
            self.stdout.write(f"{count} sessions have no raw events; from events they are left out")

    def _evaluate(self, source: str, sessions: Sequence[LabelledSession], options: Mapping[str, Any]) -> dict[str, Any]:
        watched: dict[str, Watched] = {rival.name: {} for rival in RIVALS}
        rivals = () if options["alone"] else RIVALS
        evaluations: dict[str, Evaluation] = {}
        with tqdm(total=len(sessions) * (1 + len(rivals)), unit="session", disable=None) as bar:
            evaluations[tables.OURS] = ours = evaluate(sessions, progress=bar.update)
            for rival in rivals:
                bar.set_description(rival.name)
                evaluations[rival.name] = evaluate(sessions, rival.as_judge(watched=watched[rival.name]), bar.update)
        total = ours.total
        self.stdout.write(
            f"from {source}: {total.sessions} sessions, {total.hours:.1f} hours, {len(total.detections)} incidents\n\n"
            f"{tables.compare(evaluations)}\n\n{tables.OURS}\n{tables.describe(ours, options['halves'])}\n"
        )
        figures = ours.figures() | {
            "source": source,
            "rivals": {name: each.figures() for name, each in evaluations.items() if each is not ours},
        }
        if options["degrade"]:
            figures["degraded"] = self._degrade(sessions, ours, options["degrade"])
        if options["curve"]:
            figures["curves"] = self._draw(source, sessions, rivals, watched, options)
        return figures

    def _degrade(self, sessions: Sequence[LabelledSession], exact: Evaluation, kinds: Sequence[str]) -> dict[str, Any]:
        tallies = {"exact": exact.total}
        for kind in tqdm(DEGRADATIONS if "all" in kinds else kinds, "worse rates", disable=None):
            worse = [replace(session, rows=DEGRADATIONS[kind](session.rows)) for session in sessions]
            tallies[kind] = evaluate(worse).total
        self.stdout.write(f"the same sessions with worse rates\n{tables.degraded(tallies)}\n")
        return {kind: tally.figures() for kind, tally in tallies.items()}

    def _draw(
        self,
        source: str,
        sessions: Sequence[LabelledSession],
        rivals: Sequence[Rival],
        watched: Mapping[str, Watched],
        options: Mapping[str, Any],
    ) -> dict[str, Any]:
        path: Path = options["curve"]
        if source == "events" and options["both"]:
            path = path.with_stem(f"{path.stem}-events")
        with tqdm(desc="curves", unit="point", disable=None) as bar:
            curves = [our_curve(sessions, bar.update)]
            curves += [rival_curve(rival, sessions, watched[rival.name], bar.update) for rival in rivals]
        incidents = sum(label.type is not None for session in sessions for label in session.labels)
        path.write_text(draw_curves(curves, f"{len(sessions)} sessions with {incidents} incidents, from {source}"))
        self.stdout.write(f"{path}: recall against false alarms an hour")
        return {curve.name: _points(curve) for curve in curves}

    def _draw_pictures(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Draw what was found in the rows of the corpus and of those beside it, each called as its folder is."""
        folders: list[Path] = [options["folder"], *options["beside"]]
        corpora = {folder.name: self._read(folder) for folder in folders}
        with tqdm(desc="pictures", unit="point", disable=None) as bar:
            curves = [our_curve(sessions, bar.update, name) for name, sessions in corpora.items()]
        first, *others = curves
        curves = [first, *(replace(other, is_ours=False) for other in others)]
        sessions = corpora[first.name]
        found, what = evaluate(sessions), f"{first.name}: {len(sessions)} sessions"
        drawn = (
            draw_curves(curves, ", ".join(corpora)),
            pictures.draw_delays(found, what),
            pictures.draw_severity(found.total, what),
            pictures.draw_names(found, what),
            pictures.draw_promise(curves, promised_hours(), ", ".join(corpora)),
        )
        for name, drawing in zip(PICTURES, drawn, strict=True):
            (options["pictures"] / name).write_text(drawing)
        self.stdout.write(f"{options['pictures']}: {', '.join(PICTURES)}")
        return {curve.name: _points(curve) for curve in curves}

    def _read(self, folder: Path) -> list[LabelledSession]:
        try:
            return read_corpus(folder)
        except (OSError, BadRecording) as error:
            raise CommandError(str(error)) from None

    def _study_small_rooms(self) -> list[dict[str, object]]:
        with tqdm(desc="small rooms", unit="session", disable=None) as bar:
            rooms = [
                small_rooms.study(people, HEALTHY_HOURS, COLLAPSES, SEED, bar.update) for people in small_rooms.SIZES
            ]
        self.stdout.write(f"small rooms, simulated\n{tables.small_rooms(rooms)}")
        return [room.figures() for room in rooms]


def promised_hours() -> dict[str, float]:
    """Return for how many hours pages promise one false alarm, by sensitivity."""
    return {value: float(re.findall(r"(\d+) hours", label)[0]) for value, label in Event.Sensitivity.choices}


def rows_of(events: Sequence[RawEvent]) -> list[Reading]:
    """Return the rows that the product makes of a session's raw events."""
    windows = Windows()
    windows.add(events)
    return windows.finish()


def _points(curve: Curve) -> list[dict[str, object]]:
    return [
        {
            "threshold": point.threshold,
            "recall": point.recall,
            "false_alarms_per_hour": point.false_alarms_per_hour,
            "name": point.name or None,
            "false_alarms_per_hour_by_half": point.halves,
        }
        for point in curve.points
    ]
