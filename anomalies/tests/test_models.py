"""The life of an anomaly, and who sees it when."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection

from anomalies.detector.changes import Step
from anomalies.life import InvalidTransition
from anomalies.models import WORSE, Actor, Anomaly
from engagement.models import Event, Session

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = AT + timedelta(minutes=4)
pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return User.objects.create(username="ada")


@pytest.fixture
def session() -> Session:
    return Session.objects.create(event=Event.objects.create(name="Spring school"), title="Opening")


def create_anomaly(session: Session, **fields) -> Anomaly:
    told = {
        "acknowledged": {"acknowledged_at": AT},
        "dismissed": {"review": "false_alarm"},
        "resolved": {"resolved_at": NOW},
    }
    fields = told.get(fields.get("status", ""), {}) | fields
    facts = {"timestamp": AT, "anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9, **fields}
    return Anomaly.objects.create(session=session, event=session.event, **facts)


def stored(anomaly: Anomaly) -> Anomaly:
    return Anomaly.objects.get(id=anomaly.id, timestamp=anomaly.timestamp)


def test_acknowledge_names_who_is_on_it(session, ada):
    anomaly = create_anomaly(session)

    anomaly.acknowledge(Actor.of(ada), NOW)

    kept = stored(anomaly)
    assert (kept.status, kept.reviewed_by, kept.reviewed_at, kept.review) == ("acknowledged", ada, NOW, "")


@pytest.mark.parametrize("status", ["acknowledged", "resolved", "dismissed"])
def test_acknowledge_takes_open_incidents_only(session, ada, status):
    anomaly = create_anomaly(session, status=status)

    with pytest.raises(InvalidTransition, match=status):
        anomaly.acknowledge(Actor.of(ada), NOW)

    assert stored(anomaly).reviewed_by is None


@pytest.mark.parametrize(
    ("status", "resolved_at", "after"),
    [
        ("open", None, "open"),
        ("acknowledged", None, "acknowledged"),
        ("resolved", NOW, "resolved"),
        ("dismissed", None, "acknowledged"),
        ("dismissed", NOW, "resolved"),
    ],
)
def test_confirm_brings_a_dismissed_incident_back(session, ada, status, resolved_at, after):
    anomaly = create_anomaly(session, status=status, resolved_at=resolved_at)

    anomaly.confirm(Actor.of(ada), NOW)

    kept = stored(anomaly)
    assert (kept.review, kept.status, kept.reviewed_by) == ("confirmed", after, ada)


def test_dismiss_takes_the_banner_and_keeps_the_fact(session, ada):
    anomaly = create_anomaly(session)

    anomaly.dismiss(Actor.of(ada), NOW)

    kept = stored(anomaly)
    assert (kept.review, kept.status, kept.is_resolved) == ("false_alarm", "dismissed", False)
    anomalies = Anomaly.objects.for_session(session)
    assert (anomalies.open().count(), anomalies.unresolved().count()) == (0, 1)


def test_annotate_keeps_the_note_and_touches_nothing_else(session, ada):
    anomaly = create_anomaly(session)
    create_anomaly(session)
    Anomaly.objects.filter(id=anomaly.id).update(status="resolved", resolved_at=NOW)  # by the sweep, meanwhile

    anomaly.annotate("The projector failed.", Actor.of(ada), NOW)

    kept = stored(anomaly)
    assert (kept.note, kept.status, kept.resolved_at) == ("The projector failed.", "resolved", NOW)
    assert Anomaly.objects.filter(note="").count() == 1


def test_open_is_what_goes_on_and_was_not_dismissed(session):
    by_status = {
        status: create_anomaly(session, status=status, resolved_at=NOW if status == "resolved" else None)
        for status in Anomaly.Status.values
    }

    assert set(Anomaly.objects.open()) == {by_status["open"], by_status["acknowledged"]}
    assert set(Anomaly.objects.unresolved()) == set(by_status.values()) - {by_status["resolved"]}


def test_anomalies_are_found_by_session_and_event(session):
    anomaly = create_anomaly(session)
    create_anomaly(Session.objects.create(event=Event.objects.create(name="Another"), title="Another"))

    assert [*Anomaly.objects.for_session(session)] == [*Anomaly.objects.for_session(session.id)] == [anomaly]
    assert [*Anomaly.objects.for_event(session.event)] == [*Anomaly.objects.for_event(session.event_id)] == [anomaly]


def test_duration_is_unknown_while_the_incident_goes_on(session):
    assert create_anomaly(session).duration is None
    assert create_anomaly(session, resolved_at=NOW).duration == timedelta(minutes=4)


def done(anomaly: Anomaly) -> list[tuple[str, str, bool]]:
    return [(each.action, each.by, each.undone_at is not None) for each in anomaly.actions.all()]


def test_every_action_is_a_row_of_who_when_what_old_and_new(session, ada):
    anomaly = create_anomaly(session)

    anomaly.acknowledge(Actor.of(ada), NOW)
    anomaly.dismiss(Actor("Stage manager"), NOW, note="A rehearsal.")

    first, second = anomaly.actions.all()
    assert (first.by, first.user, first.at, first.action) == ("ada", ada, NOW, "acknowledge")
    assert first.old == {"acknowledged_at": None, "acknowledged_by": ""}
    assert first.new == {"acknowledged_at": "2026-03-02T09:04:00Z", "acknowledged_by": "ada"}
    assert (second.by, second.user, second.note) == ("Stage manager", None, "A rehearsal.")
    assert (second.old, second.new) == ({"review": ""}, {"review": "false_alarm"})


def test_undo_takes_the_latest_back_and_then_the_one_before(session, ada):
    anomaly, by = create_anomaly(session), Actor.of(ada)
    anomaly.acknowledge(by, NOW)
    anomaly.dismiss(by, NOW)

    anomaly.undo(by, NOW)
    assert (stored(anomaly).status, stored(anomaly).review) == ("acknowledged", "")
    anomaly.undo(by, NOW)
    assert (stored(anomaly).status, stored(anomaly).acknowledged_by) == ("open", "")
    with pytest.raises(InvalidTransition, match="nothing to undo"):
        anomaly.undo(by, NOW)

    assert done(anomaly) == [
        ("acknowledge", "ada", True), ("dismiss", "ada", True), ("undo", "ada", False), ("undo", "ada", False),
    ]  # fmt: skip


def test_undo_of_what_somebody_else_did_not_see_is_refused(session, ada):
    anomaly = create_anomaly(session)
    anomaly.acknowledge(Actor.of(ada), NOW)
    seen = anomaly.actions.get().id
    anomaly.dismiss(Actor("grace"), NOW)

    with pytest.raises(InvalidTransition, match="somebody has done something else"):
        anomaly.undo(Actor.of(ada), NOW, latest=seen)

    assert stored(anomaly).status == "dismissed"


def test_undo_after_the_end_leaves_the_incident_resolved(session, ada):
    anomaly = create_anomaly(session)
    anomaly.dismiss(Actor.of(ada), NOW)
    Anomaly.objects.filter(id=anomaly.id).update(resolved_at=NOW)  # by the sweep

    anomaly.undo(Actor.of(ada), NOW)

    assert (stored(anomaly).status, stored(anomaly).review) == ("resolved", "")


def test_snooze_is_until_then_and_not_for_what_is_over(session, ada):
    anomaly, until = create_anomaly(session), NOW + timedelta(minutes=5)

    anomaly.snooze(until, Actor.of(ada), NOW)

    assert (stored(anomaly).snoozed_until, stored(anomaly).status) == (until, "open")
    assert stored(anomaly).is_snoozed(NOW)
    assert not stored(anomaly).is_snoozed(until)
    with pytest.raises(InvalidTransition, match="resolved"):
        create_anomaly(session, status="resolved").snooze(until, Actor.of(ada), NOW)


def test_reopen_is_as_if_nobody_had_touched_it(session, ada):
    anomaly, by = create_anomaly(session), Actor.of(ada)
    anomaly.acknowledge(by, NOW)
    anomaly.snooze(NOW + timedelta(minutes=5), by, NOW)
    anomaly.annotate("No sound.", by, NOW)

    anomaly.reopen(by, NOW)

    kept = stored(anomaly)
    assert (kept.status, kept.acknowledged_at, kept.snoozed_until, kept.note) == ("open", None, None, "No sound.")
    with pytest.raises(InvalidTransition, match="cannot be reopened"):
        anomaly.reopen(by, NOW)


def test_tried_changes_nothing_but_is_remembered(session, ada):
    anomaly = create_anomaly(session)

    anomaly.tell_tried("poll", Actor.of(ada), NOW)

    kept = anomaly.actions.get()
    assert (kept.action, kept.tried, kept.old, kept.new) == ("tried", "poll", {}, {})
    assert stored(anomaly).status == "open"


def test_actions_of_many_are_read_at_once(session, ada, django_assert_num_queries):
    for _ in range(3):
        create_anomaly(session).acknowledge(Actor.of(ada), NOW)

    with django_assert_num_queries(2):
        assert [len(each.actions.all()) for each in Anomaly.objects.for_session(session).with_actions()] == [1, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_acknowledges_and_the_other_is_told(session):
    anomaly, refused = create_anomaly(session), []
    gate = threading.Barrier(2)

    def click(name: str) -> None:
        own = stored(anomaly)
        gate.wait()
        try:
            own.acknowledge(Actor(name), NOW)
        except InvalidTransition:
            refused.append(name)
        connection.close()

    threads = [threading.Thread(target=click, args=[name]) for name in ("ada", "grace")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert [each.by for each in anomaly.actions.all()] == [stored(anomaly).acknowledged_by]
    assert stored(anomaly).acknowledged_by not in refused


def test_steps_that_end_the_quiet_are_those_of_the_detector():
    assert WORSE == (Step.WORSENED, Step.RETYPED)
