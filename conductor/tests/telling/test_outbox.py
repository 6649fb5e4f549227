"""What is written with an incident: the channels of its event, in the order of its life, or nothing at all."""

from datetime import timedelta

import pytest
from django.db import transaction

from anomalies.models import Actor, Anomaly
from anomalies.tests.rooms import at_minute, collapse, healthy_room, silence
from conductor import pipeline
from conductor.models import Channel, Message
from conductor.payloads import anomaly_payload
from conductor.telling import outbox
from conductor.telling.rules import Kind
from conductor.tests import stage, sweeping
from engagement.ingest import record_rows
from engagement.models import Event, Session
from engagement.moments import write_moment

pytestmark = pytest.mark.django_db(transaction=True)

NOW = stage.NOW


@pytest.fixture(autouse=True)
def flags_down():
    sweeping.begin_anew()


def channel(event: Event, kind: str = "webhook", **fields) -> Channel:
    target = {"webhook": "https://hooks.example.org/", "mail": "mara@example.org", "chat": "discord://1/2"}[kind]
    values = {"event": event, "kind": kind, "name": kind, "target": target, "created_at": NOW}
    return Channel.objects.create(**values | fields)


def told(of: Channel) -> list[str]:
    """Return what a channel is told, oldest first; what was withdrawn is not."""
    messages = of.messages.exclude(given_up__in=outbox.WITHDRAWN).order_by("id")
    return [message.type.removeprefix("anomaly.") for message in messages]


def tell(kind: Kind, anomaly: Anomaly, now=NOW) -> None:
    """Tell of a step that a row at `now` led to."""
    anomaly.metadata.setdefault("history", []).append({"at": write_moment(now)})
    with transaction.atomic():
        outbox.tell_incidents([(kind, anomaly)], now)


def story():
    """Two incidents: one from which the room comes back, and one that goes on."""
    return collapse(silence(healthy_room(minutes=22), at_minute(8), at_minute(11)), at_minute(18))


def test_life_of_a_session_is_told_in_its_order_as_it_was(event):
    hook, session = channel(event), Session.objects.create(event=event, title="Keynote")
    record_rows(session.id, story(), at_minute(60))

    sweeping.sweep_all(at_minute(60))
    sweeping.end(session.id, at_minute(61))

    history = [entry for a in Anomaly.objects.order_by("timestamp") for entry in a.metadata["history"]]
    as_types = {
        "opened": "anomaly.detected", "worsened": "anomaly.worsened", "retyped": "anomaly.worsened",
        "corrected": "anomaly.updated", "resolved": "anomaly.resolved",
    }  # fmt: skip
    messages = list(hook.messages.order_by("id"))
    of_anomalies = [message for message in messages if message.anomaly_id]
    assert len(history) > 4
    assert messages[0].type == "session.started"
    assert [message.type for message in of_anomalies] == [as_types[entry["change"]] for entry in history]
    for message, entry in zip(of_anomalies, history, strict=True):
        assert message.payload["timestamp"] == entry["at"]
        assert message.payload["data"]["metadata"]["history"][-1] == entry
        assert message.payload["data"]["severity"] == entry["severity"]
    (ended,) = [message for message in messages if message.type == "session.ended"]
    assert (ended.payload["data"]["status"], ended.payload["data"]["id"]) == ("ended", str(session.id))


def test_any_sweeps_tell_the_same_and_one_that_is_undone_tells_nothing(event, monkeypatch):
    """A sweep that fails after it has written has written nothing: its rows are judged and told again."""
    hook = channel(event)
    whole, parts = (Session.objects.create(event=event, title=title) for title in ("whole", "parts"))
    record_rows(whole.id, story(), at_minute(60))
    sweeping.sweep_all(at_minute(60))
    rows = story()
    for first in range(0, len(rows), 37):
        record_rows(parts.id, rows[first : first + 37], at_minute(60))
        with monkeypatch.context() as broken:
            broken.setattr(pipeline.cursors, "_save_swept", lambda *_: 1 / 0)
            sweeping.sweep_all(at_minute(60))
        sweeping.begin_anew()
        sweeping.sweep_all(at_minute(60))

    of_anomalies = hook.messages.filter(anomaly_id__isnull=False).order_by("id")
    said = [
        [(message.type, message.payload["timestamp"]) for message in of_anomalies.filter(session=session)]
        for session in (whole, parts)
    ]
    assert said[0] == said[1]
    assert hook.messages.filter(type="session.started").count() == 2


def test_nothing_is_asked_of_an_event_without_channels(event, django_assert_num_queries):
    anomaly = stage.incident(stage.live_session(event))
    with transaction.atomic(), django_assert_num_queries(1):
        outbox.tell_incidents([(Kind.DETECTED, anomaly)], NOW)
    with transaction.atomic(), django_assert_num_queries(0):
        outbox.tell_incidents([], NOW)


def test_channels_of_other_events_and_paused_ones_hear_nothing(event):
    other, paused = channel(Event.objects.create(name="Another")), channel(event, paused_at=NOW)
    tell(Kind.DETECTED, stage.incident(stage.live_session(event)))
    assert (told(other), told(paused)) == ([], [])


def test_step_that_is_judged_anew_is_the_same_message(event):
    hook, anomaly = channel(event), stage.incident(stage.live_session(event))
    tell(Kind.DETECTED, anomaly)
    anomaly.metadata["history"].pop()
    tell(Kind.DETECTED, anomaly)
    assert told(hook) == ["detected"]


def test_what_a_person_does_is_told_by_any_door(event):
    hook, mail = channel(event), channel(event, "mail")
    anomaly = stage.incident(stage.live_session(event))
    anomaly.acknowledge(Actor("Mara"), NOW)
    anomaly.tell_tried("poll", Actor("Mara"), NOW, "A quiz.")

    messages = list(hook.messages.order_by("id"))
    assert [message.type for message in messages] == ["anomaly.updated"] * 2
    assert messages[0].payload["data"]["acknowledged_by"] == "Mara"
    assert messages[1].payload["data"] == anomaly_payload(Anomaly.objects.get())
    assert messages[1].payload["timestamp"] == write_moment(NOW)
    assert told(mail) == []


def test_act_that_is_undone_by_its_transaction_is_not_told(event):
    hook, anomaly = channel(event), stage.incident(stage.live_session(event))
    with transaction.atomic():
        anomaly.acknowledge(Actor("Mara"), NOW)
        transaction.set_rollback(True)
    assert told(hook) == []


@pytest.mark.parametrize("kind", ["mail", "chat"])
def test_people_are_told_once_and_of_the_end(event, kind):
    of, anomaly = channel(event, kind), stage.incident(stage.live_session(event), "WARNING")
    tell(Kind.DETECTED, anomaly)
    anomaly.severity = "CRITICAL"
    tell(Kind.WORSENED, anomaly)
    tell(Kind.UPDATED, anomaly)
    tell(Kind.RESOLVED, anomaly)
    assert told(of) == ["detected", "resolved"]


@pytest.mark.parametrize("kind", ["webhook", "mail"])
def test_over_before_its_delay_is_never_sent(event, kind):
    of, anomaly = channel(event, kind, delay_seconds=60), stage.incident(stage.live_session(event))
    tell(Kind.DETECTED, anomaly)
    (message,) = of.messages.all()
    assert message.next_attempt_at == message.due_at == NOW + timedelta(seconds=60)

    tell(Kind.RESOLVED, anomaly, NOW + timedelta(seconds=59))

    (message,) = of.messages.all()
    assert (message.given_up, message.next_attempt_at) == (outbox.OVER, None)


@pytest.mark.parametrize("kind", ["webhook", "mail"])
def test_over_after_its_delay_is_told_with_its_end(event, kind):
    of, anomaly = channel(event, kind, delay_seconds=60), stage.incident(stage.live_session(event))
    tell(Kind.DETECTED, anomaly)
    tell(Kind.RESOLVED, anomaly, NOW + timedelta(seconds=61))
    assert told(of) == ["detected", "resolved"]


def test_mail_that_waits_says_how_bad_it_has_become(event):
    of, anomaly = channel(event, "mail", delay_seconds=60), stage.incident(stage.live_session(event), "WARNING")
    tell(Kind.DETECTED, anomaly)
    anomaly.severity = "CRITICAL"
    tell(Kind.WORSENED, anomaly, NOW + timedelta(seconds=30))
    (message,) = of.messages.all()
    assert message.payload["data"]["severity"] == "CRITICAL"
    assert message.due_at == NOW + timedelta(seconds=60)


def test_mail_that_waits_is_not_sent_where_somebody_is_at_it(event):
    of, anomaly = channel(event, "mail", delay_seconds=60), stage.incident(stage.live_session(event))
    tell(Kind.DETECTED, anomaly)
    anomaly.acknowledge(Actor("Mara"), NOW)
    assert of.messages.get().given_up == outbox.HANDLED


@pytest.mark.parametrize("act", ["acknowledge", "dismiss", "snooze"])
def test_end_of_what_somebody_has_seen_is_no_mail(event, act):
    of, hook, anomaly = channel(event, "mail"), channel(event), stage.incident(stage.live_session(event))
    tell(Kind.DETECTED, anomaly)
    args = [NOW + timedelta(minutes=5)] if act == "snooze" else []
    getattr(anomaly, act)(*args, by=Actor("Mara"), now=NOW)
    tell(Kind.RESOLVED, anomaly, NOW + timedelta(minutes=1))
    assert (told(of), told(hook)) == (["detected"], ["detected", "updated", "resolved"])


def test_rows_of_the_past_wake_nobody(event):
    hook, mail, chat = channel(event), channel(event, "mail"), channel(event, "chat")
    session = Session.objects.create(event=event, title="Keynote")
    record_rows(session.id, story(), at_minute(60))
    sweeping.sweep_all(at_minute(60))
    assert "detected" in told(hook)
    assert (told(mail), told(chat)) == ([], [])


def test_personal_channel_is_silent_unless_its_user_organizes_the_event(event):
    mara, ada = stage.organizer("mara", event), stage.organizer("ada", event)
    mails = [channel(event, "mail", user=user) for user in (mara, ada)]
    event.organizers.remove(ada)
    tell(Kind.DETECTED, stage.incident(stage.live_session(event)))
    assert [told(of) for of in mails] == [["detected"], []]


def test_session_that_ends_before_a_sweep_has_begun_first(event):
    hook, session = channel(event), Session.objects.create(event=event, title="Keynote")
    record_rows(session.id, healthy_room(minutes=2), at_minute(60))
    pipeline.end_session(session.id, at_minute(60))
    sweeping.sweep_all(at_minute(60))
    pipeline.end_session(session.id, at_minute(61))
    messages = list(hook.messages.order_by("id"))
    assert [message.type for message in messages] == ["session.started", "session.ended"]
    assert [message.payload["data"]["status"] for message in messages] == ["live", "ended"]


def test_what_is_told_has_whole_addresses(event, settings):
    settings.PUBLIC_URL = "https://live.example.org"
    hook, session = channel(event), stage.live_session(event)
    pipeline.end_session(session.id, NOW)
    assert hook.messages.get().payload["data"]["url"] == f"https://live.example.org/sessions/{session.id}/"


def test_old_messages_are_forgotten_and_late_ones_given_up(event):
    hook, anomaly = channel(event), stage.incident(stage.live_session(event))
    tell(Kind.DETECTED, anomaly)
    hook.messages.get().deliver(NOW)
    hook.messages.get().tries.create(at=NOW)
    tell(Kind.RESOLVED, anomaly)

    outbox.forget(NOW + timedelta(days=1))
    assert [message.given_up for message in hook.messages.order_by("id")] == ["", ""]
    outbox.forget(NOW + timedelta(days=1, seconds=1))
    assert [message.given_up for message in hook.messages.order_by("id")] == ["", outbox.TOO_LATE]
    outbox.forget(NOW + timedelta(days=14, seconds=1))
    assert [message.type for message in hook.messages.all()] == ["anomaly.resolved"]
    assert Message.objects.count() == 1


def test_restored_backup_sends_nothing_again(event):
    hook = channel(event, lease=event.id, leased_until=NOW, failures=3)
    tell(Kind.DETECTED, stage.incident(stage.live_session(event)))
    outbox.settle_restored(NOW)
    hook.refresh_from_db()
    assert (hook.messages.get().given_up, hook.lease, hook.failures) == (outbox.RESTORED, None, 0)
