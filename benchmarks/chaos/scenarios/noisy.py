"""Two customers who send as much as they can, and a quiet one, who must not notice."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from uuid import UUID

from django.db import connection

from benchmarks.chaos.cast import close_the_books, new_key
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.load import Client, Load, Told, Writer, ask_meanwhile, new_client, seconds_of
from benchmarks.chaos.product import Product, running
from benchmarks.chaos.stories import Story, tell_rows
from conductor.local.rest_client import CannotReach
from engagement.limits import MAX_BATCH
from engagement.models import EngagementRow, RawEventRow, Session

NOISY_SECONDS = 60.0
ROWS_WRITERS, EVENTS_WRITERS, PROBES = 4, 2, 30
ROWS_SESSIONS = 40  # of each writer
SPARSE_HOURS = 3.99  # a session ends after four hours in which nothing came
QUIET_SESSIONS = 4
JUDGED_SECONDS, POST_SECONDS = 5.0, 1.0
LOOK_SECONDS = 0.02
FIRST = datetime(2001, 1, 1, tzinfo=UTC)


@dataclass
class Noise:
    """One writer of a noisy customer; `objects` makes the batch of that number for a session of that number."""

    client: Client
    kind: str
    sessions: int
    objects: Callable[[int], list[dict[str, object]]]
    is_over: threading.Event
    accepted: int = 0
    ids: list[UUID] = field(default_factory=list)

    def run(self) -> None:
        for number in range(self.sessions):
            made = self.client.post("/sessions", {"title": f"Noise {number}"})
            self.ids.append(UUID(str(made["id"])))
        batch = 0
        while not self.is_over.is_set():
            path = f"/sessions/{self.ids[batch % self.sessions]}/{self.kind}"
            try:
                answer = self.client.post(path, self.objects(batch // self.sessions))
            except CannotReach:
                return
            self.accepted += int(str(answer["accepted"]))
            batch += 1


def rows_of_batch(number: int) -> list[dict[str, object]]:
    """Return a thousand rows in a row, 5 s apart."""
    begin = FIRST + timedelta(seconds=5 * MAX_BATCH * number)
    return [
        {"timestamp": (begin + timedelta(seconds=5 * place)).isoformat(), "chat_msgs_per_min": 10, "total_users": 50}
        for place in range(MAX_BATCH)
    ]


def sparse_events(number: int) -> list[dict[str, object]]:
    """Return ten raw events so far apart that each is followed by half an hour of rows."""
    return [
        {
            "type": "chat",
            "timestamp": (FIRST + timedelta(hours=SPARSE_HOURS * (10 * number + place))).isoformat(),
            "user": "u",
            "id": f"{number}/{place}",
        }
        for place in range(10)
    ]


def noisy(seed: int, count: int) -> Outcome:
    """Judge a quiet event's rows within 5 s, and answer its posts within one, whatever two others send."""
    outcome = Outcome("noisy", seed)
    with running() as product:
        is_over = threading.Event()
        quiet = Load(product.url, new_key("Quiet"), seed, writers=1)
        noises = _make_noise(product, is_over)
        said: list[str] = []
        probes = [ask_meanwhile(partial(_ask_readiness, product, said), is_over, pause=0.0) for _ in range(PROBES)]
        try:
            judged = _be_quiet(quiet.writers[0], seed, time.monotonic() + NOISY_SECONDS)
        finally:
            is_over.set()
        outcome.expect_within(JUDGED_SECONDS, judged, "quiet row judged after")
        outcome.expect_within(POST_SECONDS, seconds_of(quiet.answers()), "quiet post answered after")
        readiness = [answer for probe in probes for answer in probe]
        for text, number in Counter(said).most_common(5):
            outcome.figures[f"readyz: {text[:80]}"] = number
        outcome.expect_within(POST_SECONDS, seconds_of(readiness), "readyz answered after")
        _count_noise(noises, outcome)
        close_the_books(product, quiet, outcome)
    return outcome


def _ask_readiness(product: Product, said: list[str]) -> tuple[int, float]:
    status, seconds, text = product.read("/readyz")
    said.append(text)
    return status, seconds


def _make_noise(product: Product, is_over: threading.Event) -> list[tuple[Noise, threading.Thread]]:
    rows_key, events_key = new_key("Noisy with rows"), new_key("Noisy with raw events")
    noises = [
        Noise(new_client(product.url, rows_key), "signals", ROWS_SESSIONS, rows_of_batch, is_over)
        for _ in range(ROWS_WRITERS)
    ]
    noises += [
        Noise(new_client(product.url, events_key), "events", ROWS_SESSIONS, sparse_events, is_over)
        for _ in range(EVENTS_WRITERS)
    ]
    pairs = [(noise, threading.Thread(target=noise.run, daemon=True)) for noise in noises]
    for _, thread in pairs:
        thread.start()
    return pairs


def _be_quiet(writer: Writer, seed: int, ends_at: float) -> list[float]:
    """Post a row at a time, each after the one before was judged; return how long each took from its answer on."""
    random = Random(seed)
    stories = [tell_rows(random.randrange(2**31)) for _ in range(QUIET_SESSIONS)]
    writer.told = [_begin(writer.client, story) for story in stories]
    judged = []
    while time.monotonic() < ends_at:
        told = random.choice(writer.told)
        writer.client.post(f"/sessions/{told.session_id}/signals", told.story.objects(told.sent, told.sent + 1))
        told.sent += 1
        answered_at = time.monotonic()
        newest = told.story.items[told.sent - 1].timestamp
        waiting = Session.objects.filter(id=told.session_id).exclude(judged_until=newest)
        while waiting.exists() and time.monotonic() < ends_at + 60:
            time.sleep(LOOK_SECONDS)
        judged.append(time.monotonic() - answered_at)
        time.sleep(0.1)
    return judged


def _begin(client: Client, story: Story) -> Told:
    made = client.post("/sessions", {"title": story.name, "external_id": story.name})
    return Told(story, UUID(str(made["id"])))


def _count_noise(noises: list[tuple[Noise, threading.Thread]], outcome: Outcome) -> None:
    for _, thread in noises:
        thread.join()
    for kind, table in (("signals", EngagementRow), ("events", RawEventRow)):
        accepted = sum(noise.accepted for noise, _ in noises if noise.kind == kind)
        ids = [id_ for noise, _ in noises if noise.kind == kind for id_ in noise.ids]
        stored = table._base_manager.filter(session__in=ids).count()
        outcome.figures[f"noisy {kind} accepted"] = accepted
        outcome.promise(stored == accepted, f"{accepted} noisy {kind} were accepted, and {stored} are stored")
    statuses = [answer.status for noise, _ in noises for answer in noise.client.answers]
    outcome.figures["noisy answers"] = ", ".join(f"{s}: {statuses.count(s)}" for s in sorted(set(statuses)))
    connection.close()
