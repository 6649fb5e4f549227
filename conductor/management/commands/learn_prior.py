"""`manage.py learn_prior`: learn from simulated sessions what quiet rooms look like, and write the prior."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from tqdm import tqdm

from anomalies.bench.corpus import LabelledSession
from anomalies.bench.learning import Lesson, learn_prior
from anomalies.bench.simulation import simulate
from anomalies.detector.prior import dumps
from engagement.scoring import score_in_order

AFTER_AN_INCIDENT = timedelta(minutes=10)  # until the room is itself again
AFTER_A_STRETCH = timedelta(minutes=1)
LEAST_AUDIENCE = 15
SEED = 11
SESSIONS = 150


class Command(BaseCommand):
    help = (
        "Learns the shared prior of the half-space trees from simulated sessions. The same seed gives the same bytes."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--sessions", type=int, default=SESSIONS, metavar="N", help=f"default {SESSIONS}")
        parser.add_argument("--seed", type=int, default=SEED, metavar="S", help=f"default {SEED}")
        parser.add_argument(
            "--out", type=Path, default=settings.BASE_DIR / "anomalies" / "detector" / "prior.json", metavar="FILE"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        indexes = tqdm(range(options["sessions"]), unit="session", disable=None)
        sessions = [simulate(options["seed"], index=index) for index in indexes]
        lessons = [as_lesson(session) for session in sessions if is_telling(session)]
        text = dumps(learn_prior(lessons))
        options["out"].write_text(text)
        self.stdout.write(f"{options['out']}: {len(text)} bytes from {len(lessons)} sessions")


def is_telling(session: LabelledSession) -> bool:
    """Tell whether a session shows what is usual: rooms that know who is active, and not the smallest ones."""
    return session.emits == "activity" and (session.audience or 0) >= LEAST_AUDIENCE


def as_lesson(session: LabelledSession) -> Lesson:
    """Return the session's rows, and the stretches that its labels do not call quiet."""
    return Lesson(
        score_in_order(session.rows),
        [
            (label.start, label.end + (AFTER_AN_INCIDENT if label.type else AFTER_A_STRETCH))
            for label in session.labels
            if label.why != "warm-up"
        ],
    )
