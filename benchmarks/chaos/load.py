"""A load as good integrators make it: each request is repeated until it is answered, and only then comes the next."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

from benchmarks.chaos.figures import Figure, spread
from benchmarks.chaos.product import wait_for
from benchmarks.chaos.stories import Story, tell_events, tell_rows
from conductor.local.rest_client import CannotReach, Refused, RestClient

PATIENCE_SECONDS = 600.0
MOST_IN_BATCH = 60
LONGEST_PAUSE_SECONDS = 0.4
EVENTS_SHARE = 0.3  # of the stories
END_SHARE = 0.5  # of those told by rows; one told by raw events is ended always, so that its last windows close
REPEAT_SHARE = 0.05  # of the answered batches are sent once more, as by a platform that did not hear the answer


@dataclass(frozen=True, slots=True)
class Answer:
    """One request that was answered, or was not (status 0), when it was sent, and how long that took."""

    status: int
    at: float
    seconds: float


class Client(RestClient):
    """A client that keeps how long each of its requests took."""

    answers: list[Answer]

    def _send(self, method: str, path: str, payload: bytes) -> tuple[int, float, bytes]:
        started = time.monotonic()
        status = 0
        try:
            status, retry_after, answer = super()._send(method, path, payload)
            return status, retry_after, answer
        finally:
            self.answers.append(Answer(status, started, time.monotonic() - started))


def new_client(url: str, key: str, give_up: threading.Event | None = None) -> Client:
    """Return a patient client; it gives up when it is told to, as where there is nothing left to wait for."""

    def pause(seconds: float) -> None:
        if give_up is not None and give_up.wait(seconds):
            raise CannotReach("it gave up, as the product is gone")
        if give_up is None:
            time.sleep(seconds)

    client = Client(url, key, patience_seconds=PATIENCE_SECONDS, pause=pause)
    client.answers = []
    return client


@dataclass
class Told:
    """What was told of one session, as far as it was answered 202."""

    story: Story
    session_id: UUID
    sent: int = 0
    late: int = 0
    is_ended: bool = False


@dataclass
class Writer:
    """One integrator, which tells one story after the other until it is told to stop."""

    client: Client
    random: Random
    is_over: threading.Event
    told: list[Told] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    longest_pause: float = LONGEST_PAUSE_SECONDS

    def run(self) -> None:
        try:
            while not self.is_over.is_set():
                self._tell(self._draw_story())
        except (Refused, CannotReach) as error:
            self.failures.append(str(error))
        finally:
            self.client.close()

    def _draw_story(self) -> Story:
        tell = tell_events if self.random.random() < EVENTS_SHARE else tell_rows
        return tell(self.random.randrange(2**31))

    def _tell(self, story: Story) -> None:
        made = self.client.post("/sessions", {"title": story.name, "external_id": story.name})
        told = Told(story, UUID(str(made["id"])))
        self.told.append(told)
        while told.sent < len(story.items) and not self.is_over.is_set():
            self._send_batch(told)
            self.is_over.wait(self.random.uniform(0, self.longest_pause))
        if story.has_events or self.random.random() < END_SHARE:
            self.client.post(f"/sessions/{told.session_id}/end", {})
            told.is_ended = True

    def _send_batch(self, told: Told) -> None:
        until = min(told.sent + self.random.randint(1, MOST_IN_BATCH), len(told.story.items))
        batch = told.story.objects(told.sent, until)
        path = f"/sessions/{told.session_id}/{'events' if told.story.has_events else 'signals'}"
        for _ in range(1 + (self.random.random() < REPEAT_SHARE)):
            told.late += int(str(self.client.post(path, batch)["late"]))
        told.sent = until


class Load:
    """Several writers at once; `stop()` returns when each has its last answer."""

    def __init__(self, url: str, key: str, seed: int, writers: int = 6, longest_pause: float = LONGEST_PAUSE_SECONDS):
        self.is_over, self.give_up = threading.Event(), threading.Event()
        self.writers = [
            Writer(new_client(url, key, self.give_up), Random(f"{seed}/{n}"), self.is_over, longest_pause=longest_pause)
            for n in range(writers)
        ]
        self._threads = [threading.Thread(target=writer.run, daemon=True) for writer in self.writers]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, is_hopeless: Callable[[], bool]) -> None:
        """Have every writer end with what it has in hand; where that is hopeless, without an answer."""
        self.is_over.set()
        while any(thread.is_alive() for thread in self._threads):
            if is_hopeless():
                self.give_up.set()
            time.sleep(0.05)

    def await_more(self, batches: int, seconds: float = 60) -> bool:
        """Tell whether so many more requests are taken within that time."""
        wanted = self._taken() + batches
        return wait_for(lambda: self._taken() >= wanted, seconds) is not None

    def _taken(self) -> int:
        return len(seconds_of(self.answers(), lambda status: status == 202))

    @property
    def told(self) -> list[Told]:
        return [told for writer in self.writers for told in writer.told if told.sent]

    @property
    def failures(self) -> list[str]:
        return [text for writer in self.writers for text in writer.failures]

    def answers(self, since: float = 0.0, until: float = float("inf")) -> list[Answer]:
        """Return what was sent in a span of the monotonic clock."""
        everything = (answer for writer in self.writers for answer in list(writer.client.answers))
        return sorted((each for each in everything if since <= each.at < until), key=lambda each: each.at)

    def tell(self) -> dict[str, Figure]:
        """Return how much was answered, and how long the answers took."""
        answers = self.answers()
        statuses = Counter(answer.status for answer in answers)
        rows = sum(told.sent for told in self.told if not told.story.has_events)
        events = sum(told.sent for told in self.told if told.story.has_events)
        return {
            "sessions": len(self.told),
            "rows answered 202": rows,
            "raw events answered 202": events,
            "answers": ", ".join(f"{status or 'none'}: {number}" for status, number in sorted(statuses.items())),
            **spread("202 after", seconds_of(answers, lambda status: 200 <= status < 300)),
            **spread("503 after", seconds_of(answers, lambda status: status == 503)),
        }


def seconds_of(answers: Sequence[Answer], which: Callable[[int], bool] = lambda status: status > 0) -> list[float]:
    """Return how long those answers took whose status is wanted."""
    return [answer.seconds for answer in answers if which(answer.status)]


def ask_meanwhile(ask: Callable[[], tuple[int, float]], is_over: threading.Event, pause: float) -> list[Answer]:
    """Ask again and again from a thread of its own; the list that is returned grows until it is over."""
    answers: list[Answer] = []

    def ask_on() -> None:
        while not is_over.wait(pause):
            at = time.monotonic()
            status, seconds = ask()
            answers.append(Answer(status, at, seconds))

    threading.Thread(target=ask_on, daemon=True).start()
    return answers
