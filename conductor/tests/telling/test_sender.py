"""Sending what is due: at least once, in order, and nobody waits for who hangs."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from conductor.models import Attempt, Channel, Message
from conductor.telling import outbox, sender
from conductor.telling.outcome import Outcome
from conductor.telling.rules import Kind
from conductor.tests import stage
from conductor.tests.telling.receivers import answer, fail_once, receiver
from conductor.tests.telling.test_outbox import NOW, channel, tell
from engagement.erasure import erase_sessions

pytestmark = pytest.mark.django_db(transaction=True)

LATER = NOW + timedelta(minutes=2)


@pytest.fixture(autouse=True)
def receivers_of_ours(settings):
    settings.PRIVATE_RECEIVERS = True


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, str]]:
    """What is sent, as name of the channel and type; everything is taken."""
    found = []

    def take(claim, now):
        assert not connection.in_atomic_block, "no transaction is open while somebody is told"
        found.append((claim.channel.name, claim.message.type.removeprefix("anomaly.")))
        return Outcome(status=200)

    monkeypatch.setattr(sender, "_send", take)
    return found


def send_all(now=NOW) -> int:
    count = 0
    while sender.send_next(lambda: now):
        count += 1
    return count


def hook(event, url: str = "http://127.0.0.1:9/", **fields) -> Channel:
    return channel(event, target=url, secret=Channel.draw_secret(), **fields)


def life(event, *kinds: Kind):
    anomaly = stage.incident(stage.live_session(event))
    for kind in kinds or (Kind.DETECTED, Kind.WORSENED, Kind.RESOLVED):
        tell(kind, anomaly)
    return anomaly


def test_life_of_an_incident_is_sent_in_its_order_once(event, sent):
    hook(event)
    life(event)
    assert send_all() == 3
    assert sent == [("webhook", "detected"), ("webhook", "worsened"), ("webhook", "resolved")]
    assert Message.objects.filter(done_at=NOW, given_up="").count() == 3
    assert send_all(LATER) == 0


def test_answer_and_attempt_are_kept(event):
    with receiver() as found:
        of = hook(event, found.url)
        life(event, Kind.DETECTED)
        send_all()
    (attempt,) = Attempt.objects.all()
    assert (attempt.status, attempt.error, attempt.answer, attempt.at) == (200, "", "thanks", NOW)
    assert attempt.milliseconds < 10_000
    of.refresh_from_db()
    assert (of.lease, of.leased_until) == (None, None)


def test_failure_is_tried_again_with_the_same_id_and_later_steps_wait(event):
    with receiver(fail_once) as found:
        of = hook(event, found.url)
        life(event, Kind.DETECTED, Kind.RESOLVED)
        assert send_all() == 1
        of.refresh_from_db()
        assert (of.failures, of.rests_until > NOW) == (1, True)
        assert send_all(NOW + timedelta(seconds=2)) == 0
        assert send_all(LATER) == 2
    first, last = of.messages.order_by("id")
    assert [each.key for each in found.received] == [str(first.key), str(first.key), str(last.key)]
    assert [attempt.status for attempt in first.tries.all()] == [500, 200]
    of.refresh_from_db()
    assert of.failures == 0


def test_message_that_is_never_taken_stops_no_other_incident(event, sent, monkeypatch):
    hook(event)
    poison = life(event, Kind.DETECTED, Kind.RESOLVED)
    life(event, Kind.DETECTED)
    take = sender._send
    monkeypatch.setattr(
        sender, "_send",
        lambda claim, now: Outcome("no") if claim.message.anomaly_id == poison.id else take(claim, now),
    )  # fmt: skip
    send_all()
    send_all(NOW + timedelta(seconds=2))
    assert sent == [("webhook", "detected")]
    assert Message.objects.pending().filter(anomaly_id=poison.id).count() == 2


def test_a_day_of_failures_is_given_up_and_the_next_step_is_sent(event, sent, monkeypatch):
    of = hook(event)
    life(event, Kind.DETECTED, Kind.RESOLVED)
    first = of.messages.earliest("id")
    take = sender._send
    monkeypatch.setattr(
        sender, "_send",
        lambda claim, now: Outcome("It hangs.") if claim.message.id == first.id else take(claim, now),
    )  # fmt: skip
    at, tries = NOW, 0
    while Message.objects.pending().filter(id=first.id).exists():
        tries += sender.send_next(lambda now=at: now)
        at += timedelta(minutes=20)
    first.refresh_from_db()
    assert first.given_up == f"{outbox.TOO_LATE} It hangs."
    assert tries == first.attempts == first.tries.count() > 10
    assert timedelta(hours=18) < at - NOW <= timedelta(days=1, hours=1)
    send_all(at)
    assert sent == [("webhook", "resolved")]


def test_410_pauses_the_channel_and_gives_up_what_waits(event):
    with receiver(lambda handler, before: answer(handler, 410)) as found:
        of = hook(event, found.url)
        life(event)
        assert send_all() == 1
    of.refresh_from_db()
    assert (of.paused_at, of.pause_reason) == (NOW, sender.GONE)
    assert not of.messages.pending().exists()
    assert of.messages.filter(given_up=sender.REMOVED).count() == 2


def test_sender_that_was_killed_leaves_its_message_to_another(event, sent, monkeypatch):
    of = hook(event)
    life(event)

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(sender, "_send", die)
        with pytest.raises(Killed):
            sender.send_next(lambda: NOW)
    assert send_all(NOW + sender.LEASE - timedelta(seconds=1)) == 0
    assert send_all(NOW + sender.LEASE) == 3
    assert [attempt.error for attempt in of.messages.earliest("id").tries.all()] == [sender.BROKE_OFF, ""]


def test_sender_that_lost_its_lease_says_what_came_of_it_and_decides_nothing(event, sent, monkeypatch):
    of = hook(event)
    life(event, Kind.DETECTED, Kind.RESOLVED)

    def linger(claim, now):
        monkeypatch.setattr(sender, "_send", lambda claim, now: Outcome(status=200))
        assert sender.send_next(lambda: NOW + sender.LEASE)
        return Outcome("too late")

    monkeypatch.setattr(sender, "_send", linger)
    sender.send_next(lambda: NOW)
    first = of.messages.earliest("id")
    of.refresh_from_db()
    assert (first.delivered_at, of.failures) == (NOW + sender.LEASE, 0)
    assert [attempt.error for attempt in first.tries.all()] == ["too late", ""]


def test_paused_channel_and_erased_session_are_sent_nothing(event, sent):
    of = hook(event)
    anomaly = life(event)
    of.pause(NOW)
    assert send_all() == 0
    of.resume()
    erase_sessions([anomaly.session_id], "a test", NOW)
    assert send_all() == 0


def test_delay_is_waited_for(event, sent):
    hook(event, delay_seconds=60)
    life(event, Kind.DETECTED)
    assert send_all(NOW + timedelta(seconds=59)) == 0
    assert send_all(NOW + timedelta(seconds=60)) == 1


def test_session_messages_are_sent_in_their_order_and_wait_for_no_incident(event, sent, monkeypatch):
    of, session = hook(event), stage.live_session(event)
    for kind in (Message.Type.STARTED, Message.Type.ENDED):
        outbox.tell_sessions([(kind, session)], NOW, NOW)
    send_all()
    assert [kind for _, kind in sent] == ["session.started", "session.ended"]
    assert not of.messages.pending().exists()


def test_channels_that_fail_have_some_senders_at_most(event, sent, monkeypatch):
    monkeypatch.setattr(sender, "MOST_FAILING", 1)
    bad = [hook(event, name=f"bad {place}", failures=3, created_at=NOW) for place in range(2)]
    hook(event, name="good")
    life(event, Kind.DETECTED)
    Channel.objects.filter(id=bad[0].id).update(leased_until=NOW + timedelta(seconds=9))
    assert send_all() == 1
    assert sent == [("good", "detected")]


def test_many_senders_at_once_send_each_message_once_and_in_order(event, sent):
    hooks = [hook(event, name=f"hook {place}") for place in range(5)]
    for _ in range(4):
        life(event)

    def work():
        while Message.objects.pending().exists():
            sender.send_next(lambda: NOW)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(sent) == 5 * 4 * 3
    assert Attempt.objects.count() == 5 * 4 * 3
    for of in hooks:
        for anomaly_id in of.messages.values_list("anomaly_id", flat=True).distinct():
            tries = Attempt.objects.filter(message__channel=of, message__anomaly_id=anomaly_id).order_by("id")
            kinds = [attempt.message.type for attempt in tries.select_related("message")]
            assert kinds == ["anomaly.detected", "anomaly.worsened", "anomaly.resolved"]


def test_fault_of_ours_is_an_attempt_like_any_other(event, monkeypatch, caplog):
    monkeypatch.setattr(sender, "post_message", lambda *_, **__: 1 / 0)
    of = hook(event)
    life(event, Kind.DETECTED)
    send_all()
    of.refresh_from_db()
    assert (of.failures, of.lease) == (1, None)
    assert "Something broke on our side" in Attempt.objects.get().error
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("status", [429, 503])
def test_receiver_that_asks_for_time_is_given_it(event, status):
    def wait(handler, before):
        answer(handler, status, **{"Retry-After": "900"}) if not before else answer(handler, 204)

    with receiver(wait) as found:
        of = hook(event, found.url)
        life(event, Kind.DETECTED)
        send_all()
        message = of.messages.get()
        of.refresh_from_db()
        assert (of.rests_until, message.next_attempt_at) == (NOW + timedelta(seconds=900),) * 2
        assert send_all(NOW + timedelta(seconds=899)) == 0
        assert send_all(NOW + timedelta(seconds=900)) == 1
        assert of.messages.get().delivered_at is not None
