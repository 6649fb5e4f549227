"""`manage.py simulate`: write a labelled corpus of simulated sessions, or the demo's recordings."""

from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from anomalies.bench.corpus import CorpusWriter, LabelledSession
from anomalies.bench.simulation import DEMO_SEED, EMITS, KINDS, MAKERS, simulate, webinar_demo, workshop_demo
from engagement.recordings.jsonl import signals_object, write_lines


def at_least(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` on, for an argument."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return int(text)

    return read


class Command(BaseCommand):
    help = (
        "Simulates live sessions with labelled incidents and writes them as a corpus: rows, labels, sessions, and "
        "with --events the raw events too. The same seed gives the same bytes."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("out_dir", nargs="?", type=Path, help="the folder of the corpus")
        parser.add_argument("--sessions", type=at_least(1), default=100, metavar="N", help="how many (default 100)")
        parser.add_argument("--seed", type=at_least(0), metavar="S", help=f"default 1, of the demo {DEMO_SEED}")
        parser.add_argument("--kind", choices=sorted(KINDS), help="only this kind (default: a mix)")
        parser.add_argument(
            "--audience", type=at_least(1), metavar="N", help="people expected (default: as the kind has)"
        )
        parser.add_argument("--emits", choices=EMITS, help="what the platforms can tell (default: a mix)")
        parser.add_argument(
            "--maker", choices=MAKERS, default=MAKERS[0], help="how they are made; rates have no raw events"
        )
        parser.add_argument("--wide", action="store_true", help="vary rooms, incidents and rates as for learning")
        parser.add_argument("--events", action="store_true", help="write the raw events too")
        parser.add_argument("--quiet", action="store_true", help="no incidents, only what looks like one")
        parser.add_argument("--demo", type=Path, metavar="DIR", help="write the demo's recordings instead of a corpus")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["demo"]:
            self._write_demo(options["demo"], DEMO_SEED if options["seed"] is None else options["seed"])
            return
        if options["events"] and options["maker"] != "people":
            raise CommandError("Sessions that are made of rates have no raw events.")
        out_dir: Path | None = options["out_dir"]
        if out_dir is None:
            raise CommandError("Name the folder to write the corpus to, or --demo DIR.")
        try:
            out_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"{out_dir}: {error.strerror}") from None
        with ExitStack() as stack:
            corpus = stack.enter_context(CorpusWriter(out_dir, with_events=options["events"]))
            incidents = 0
            for session in self._sessions(options):
                corpus.write(session)
                incidents += sum(label.type is not None for label in session.labels)
        self.stdout.write(f"{out_dir}: {options['sessions']} sessions, {incidents} incidents")

    def _write_demo(self, folder: Path, seed: int) -> None:
        for name, played in (("webinar", webinar_demo(seed)), ("workshop", workshop_demo(seed))):
            path = folder / f"{name}.jsonl.gz"
            write_lines(path, map(signals_object, played.rows))
            self.stdout.write(f"{path}: {len(played.rows)} rows")

    def _sessions(self, options: dict[str, Any]) -> Iterator[LabelledSession]:
        seed = 1 if options["seed"] is None else options["seed"]
        chosen = {name: options[name] for name in ("kind", "audience", "emits", "quiet", "maker", "wide")}
        for index in tqdm(range(options["sessions"]), unit="session", disable=None):
            yield simulate(seed, index=index, **chosen)
