"""The lives of incidents that are told of while senders are killed, and what must have arrived of them."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from anomalies.models import Anomaly
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.mailbox import Mailbox
from conductor.models import Attempt, Channel, Message
from conductor.telling import outbox
from conductor.telling.rules import Kind
from conductor.telling.sender import BROKE_OFF
from conductor.telling.wording import write_message
from engagement.models import Event, Session
from engagement.moments import write_moment

LIFE = (Kind.DETECTED, Kind.WORSENED, Kind.UPDATED, Kind.RESOLVED)
CHANNELS = 6
PENDING = 120  # messages that wait at least while senders are killed
FAILS = 0.1  # part of requests that are answered 500
SLOWEST = 0.03  # seconds until an answer


def kill_senders(seed: int, kills: int, outcome: Outcome, environment: Mapping[str, str] | None = None) -> None:
    """Kill senders so many times while webhooks are told; each message arrives, and none of an incident too early."""
    event = Event.objects.create(name="Told of")
    with _receiver(random.Random(seed)) as (url, received):
        _add_channels(event, Channel.Kind.WEBHOOK, f"{url}/{{}}", secret=Channel.draw_secret())
        _kill(event, seed, kills, outcome, {**(environment or {}), "CONDUCTOR_PRIVATE_RECEIVERS": "1"})
        _compare(list(received), outcome)


def kill_mailers(
    seed: int, kills: int, outcome: Outcome, mailbox: Mailbox, environment: Mapping[str, str] | None = None
) -> int:
    """Kill senders so many times while people are sent mail; return how many mails came twice.

    Each arrives, and that something is over not before that it began.
    """
    event = Event.objects.create(name="Told of")
    _add_channels(event, Channel.Kind.MAIL, "receiver{}@example.org")
    _kill(event, seed, kills, outcome, {**(environment or {}), "CONDUCTOR_MAIL_URL": mailbox.url})
    return _compare_mails(mailbox.taken, outcome)


def _add_channels(event: Event, kind: Channel.Kind, target: str, secret: str = "") -> None:
    for place in range(CHANNELS):
        Channel.objects.create(
            event=event, kind=kind, name=f"Receiver {place}", target=target.format(place), secret=secret,
            created_at=now(),
        )  # fmt: skip


def _kill(event: Event, seed: int, kills: int, outcome: Outcome, environment: Mapping[str, str]) -> None:
    """Tell of incidents while senders are killed, and until all is told."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.chaos.kennel", str(seed), str(kills)],
        cwd=settings.BASE_DIR,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as kennel:
        _tell_until_over(kennel, event)
        kennel.communicate("all is told\n")
    outcome.promise(kennel.returncode == 0, f"the senders ended with {kennel.returncode}")
    outcome.figures["kills"] = kills


def _tell_until_over(kennel: "subprocess.Popen[str]", event: Event) -> None:
    """Tell of incidents, as many as keep the senders busy, until the last of them was killed."""
    is_over = threading.Event()

    def listen() -> None:
        assert kennel.stdout is not None
        kennel.stdout.readline()
        is_over.set()

    threading.Thread(target=listen, daemon=True).start()
    places = count()
    while not is_over.is_set():
        if Message.objects.pending().count() < PENDING:
            _live(Session.objects.create(event=event, title=f"Keynote {next(places)}"))
        else:
            time.sleep(0.02)


def _live(session: Session) -> None:
    """Tell of one incident from its beginning to its end, a transaction a step."""
    anomaly = Anomaly(
        session=session, event_id=session.event_id, timestamp=now(), anomaly_type=Anomaly.Type.SUDDEN_DROP,
        severity=Anomaly.Severity.WARNING, anomaly_score=0.9, description="Chat fell from 14 to 2 a minute.",
        metadata={"history": []},
    )  # fmt: skip
    for kind in LIFE:
        anomaly.resolved_at = now() if kind == Kind.RESOLVED else None
        anomaly.metadata["history"].append({"at": write_moment(now()), "change": kind})
        with transaction.atomic():
            outbox.tell_incidents([(kind, anomaly)], now())


@contextmanager
def _receiver(chance: random.Random) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """Yield the address of a receiver, and what it was told: the id of each message, and whether it took it."""
    received: list[tuple[str, bool]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                is_taken, seconds = chance.random() > FAILS, chance.uniform(0, SLOWEST)
                received.append((self.headers["webhook-id"], is_taken))
            time.sleep(seconds)
            self.send_response(200 if is_taken else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            pass  # whoever asked was killed

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", received
        server.shutdown()


def _compare(received: list[tuple[str, bool]], outcome: Outcome) -> None:
    """Note what is lost, what is doubled beyond what was under way, and what came before its time."""
    messages = {str(message.key): message for message in Message.objects.filter(type__in=LIFE).defer("payload")}
    taken = [key for key, is_taken in received if is_taken]
    lost = messages.keys() - set(taken)
    broken_off = Attempt.objects.filter(error=BROKE_OFF).count()
    outcome.figures |= {
        "messages": len(messages),
        "received": len(received),
        "taken twice": len(taken) - len(set(taken)),
        "attempts broken off": broken_off,
    }
    outcome.promise(not lost, f"{len(lost)} messages never arrived")
    outcome.promise(bool(messages), "nothing was told")
    undone = sum(message.delivered_at is None for message in messages.values())
    outcome.promise(not undone, f"{undone} messages arrived and nobody knows")
    doubled = len(taken) - len(set(taken))
    outcome.promise(doubled <= broken_off, f"{doubled} were taken twice, and {broken_off} attempts broke off")
    arrived: dict[object, list[int]] = defaultdict(list)
    for key, _ in received:
        arrived[messages[key].channel_id, messages[key].anomaly_id].append(messages[key].id)
    early = sum(order != sorted(order) for order in arrived.values())
    outcome.promise(not early, f"of {early} incidents something was told after what came later")


def _compare_mails(taken: list[tuple[str, str]], outcome: Outcome) -> int:
    """Note what is lost, came twice, or came before its time; a mail is known by its receiver and subject."""
    told = Message.objects.select_related("channel", "session").order_by("id")
    wanted = [(message.channel.target, _subject(message)) for message in told]
    arrived = Counter(taken)
    lost, twice = set(wanted) - set(arrived), arrived.total() - len(arrived)
    undone = sum(message.delivered_at is None for message in told)
    outcome.figures |= {
        "messages": len(wanted),
        "came twice": twice,
        "attempts broken off": Attempt.objects.filter(error=BROKE_OFF).count(),
    }
    outcome.promise(bool(wanted), "nothing was told")
    outcome.promise(not lost, f"{len(lost)} mails never arrived")
    outcome.promise(not undone, f"{undone} mails arrived and nobody knows")
    first = {mail: place for place, mail in reversed(list(enumerate(taken)))}
    by_life: dict[object, list[int]] = defaultdict(list)
    for message, mail in zip(told, wanted, strict=True):
        by_life[message.channel_id, message.anomaly_id].append(first.get(mail, -1))
    early = sum(order != sorted(order) for order in by_life.values())
    outcome.promise(not early, f"of {early} incidents the end was told before the beginning")
    return twice


def _subject(message: Message) -> str:
    title = message.session.title if message.session else ""
    return write_message(message.type, message.payload["data"], title, "", "").title
