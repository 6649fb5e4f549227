"""Telling as it runs: PostgreSQL, Redis, a worker, beat, the senders, and receivers of all kinds."""

import random
import signal
import subprocess
import sys
import time

import pytest
from django.conf import settings
from django.utils.timezone import now

from anomalies.models import Anomaly
from anomalies.tests.rooms import at_minute, collapse, healthy_room
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.mailbox import mail_server
from benchmarks.chaos.told import kill_mailers, kill_senders
from conductor import tasks
from conductor.models import Attempt, Channel, Message
from conductor.telling.webhooks import TOTAL_SECONDS
from conductor.tests.telling.receivers import (
    close_at_once,
    fail_once,
    flood,
    hanging_receiver,
    ok,
    receiver,
    redirect_to,
)
from conductor.tests.waiting import wait_until
from engagement.ingest import record_rows
from engagement.models import Event, Session

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def senders(stack):
    stack.environment["CONDUCTOR_PRIVATE_RECEIVERS"] = "1"
    stack.start_senders()
    return stack


@pytest.fixture
def hook(event):
    def make(url: str, name: str = "") -> Channel:
        return Channel.objects.create(
            event=event, kind="webhook", name=name or url, target=url, secret=Channel.draw_secret(), created_at=now()
        )

    return make


def collapse_of_a_room(event: Event) -> Session:
    """Post a room whose audience falls silent, and have it judged as a post does."""
    session = Session.objects.create(event=event, title="Keynote")
    record_rows(session.id, collapse(healthy_room(minutes=14), at_minute(10)), now())
    tasks.wake([session.id])
    return session


def test_bad_receivers_delay_neither_detection_nor_a_good_one(senders, event, hook):
    with (
        receiver(ok) as good,
        receiver(ok) as inside,
        receiver(fail_once) as failing,
        receiver(redirect_to(inside.url)) as redirecting,
        receiver(flood) as flooding,
        receiver(close_at_once) as closing,
        hanging_receiver() as hanging,
    ):
        hung = [hook(hanging.url, f"hanging {place}") for place in range(8)]
        others = {"failing": failing, "redirecting": redirecting, "flooding": flooding, "closing": closing}
        bad = {name: hook(each.url, name) for name, each in others.items()}
        fine = hook(good.url, "good")
        began = time.monotonic()
        collapse_of_a_room(event)
        wait_until(lambda: Anomaly.objects.exists(), seconds=60)
        detected = time.monotonic() - began
        wait_until(lambda: Message.objects.filter(channel=fine, type="anomaly.detected").exclude(done_at=None).exists())
        told = time.monotonic() - began
        wait_until(lambda: not fine.messages.pending().exists(), seconds=60)
        wait_until(lambda: bad["failing"].messages.filter(attempts__gt=1).exclude(done_at=None).exists(), seconds=90)
        late = Attempt.objects.filter(message__channel__in=hung, error__contains="in time")
        wait_until(lambda: late.values("message__channel").distinct().count() == len(hung), seconds=90)

    assert detected < TOTAL_SECONDS, "detection waited for a receiver that hangs"
    assert told - detected < TOTAL_SECONDS, "a good receiver waited for one that hangs"
    sent = [each.open(fine.secret) for each in good.received]
    assert [each["type"] for each in sent] == list(fine.messages.order_by("id").values_list("type", flat=True))
    assert sent[0]["type"] == "session.started"
    assert sent[1]["data"]["id"] == str(Anomaly.objects.first().id)

    def attempts(of: Channel) -> list[tuple]:
        first = of.messages.earliest("id")
        return list(first.tries.values_list("status", "error"))

    assert attempts(bad["failing"])[:2] == [(500, "It answered 500."), (200, "")]
    assert attempts(bad["redirecting"])[0] == (302, "It answered 302: redirects are not followed.")
    assert inside.received == []
    assert attempts(bad["flooding"]) == [(200, "")]
    assert attempts(bad["closing"])[0] == (None, "It closed the connection without an answer.")
    first = hung[0].messages.earliest("id").tries.first()
    assert (first.error, first.milliseconds >= 1_000 * TOTAL_SECONDS) == ("It did not answer in time.", True)


def test_program_that_is_killed_in_the_middle_leaves_its_message_to_the_next(senders, event, hook):
    with hanging_receiver() as hanging:
        of = hook(hanging.url)
        collapse_of_a_room(event)
        wait_until(lambda: Attempt.objects.filter(message__channel=of).exists(), seconds=60)
        program = senders.processes.pop("telling")
        program.send_signal(signal.SIGKILL)
        program.wait()
    with receiver(ok) as good:
        # As the receiver moved; the lease of who was killed has to run out first.
        Channel.objects.filter(id=of.id).update(target=good.url)
        (senders.log_dir / "telling.log").unlink()
        senders.start_senders()
        wait_until(lambda: of.messages.exists() and not of.messages.pending().exists(), seconds=120)
        keys = [each.key for each in good.received]
    assert keys == [str(key) for key in of.messages.order_by("id").values_list("key", flat=True)]
    assert Attempt.objects.filter(message__channel=of).earliest("id").milliseconds is None


@pytest.mark.long
def test_senders_that_are_killed_lose_nothing_and_keep_the_order(stack):
    outcome = Outcome("senders", 1)
    kill_senders(random.Random().randrange(1_000), 24, outcome, stack.environment)
    assert outcome.broken == []
    assert outcome.figures["attempts broken off"] > 0 < outcome.figures["messages"]


@pytest.mark.long
def test_senders_that_are_killed_lose_no_mail(stack):
    outcome = Outcome("mails", 1)
    with mail_server(1) as mailbox:
        kill_mailers(random.Random().randrange(1_000), 24, outcome, mailbox, stack.environment)
    assert outcome.broken == []
    assert outcome.figures["attempts broken off"] > 0 < outcome.figures["messages"]


def test_senders_load_no_detector():
    """Neither River nor NumPy, and nothing of the other programs."""
    looked_for = ("numpy", "river", "anomalies.watch", "conductor.celery")
    code = (
        "import sys, conductor.telling.celery as c; c.app.loader.import_default_modules(); "
        f"print([name for name in {looked_for} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True)
    assert (said.stdout.strip(), said.returncode) == ("[]", 0), said.stderr
