"""The life of an anomaly, and who sees it when."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from anomalies.models import Anomaly, InvalidTransition
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
    facts = {"timestamp": AT, "anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9, **fields}
    return Anomaly.objects.create(session=session, event=session.event, **facts)


def stored(anomaly: Anomaly) -> Anomaly:
    return Anomaly.objects.get(id=anomaly.id, timestamp=anomaly.timestamp)


def test_acknowledge_names_who_is_on_it(session, ada):
    anomaly = create_anomaly(session)

    anomaly.acknowledge(ada, NOW)

    kept = stored(anomaly)
    assert (kept.status, kept.reviewed_by, kept.reviewed_at, kept.review) == ("acknowledged", ada, NOW, "")


@pytest.mark.parametrize("status", ["acknowledged", "resolved", "dismissed"])
def test_acknowledge_takes_open_incidents_only(session, ada, status):
    anomaly = create_anomaly(session, status=status)

    with pytest.raises(InvalidTransition, match=status):
        anomaly.acknowledge(ada, NOW)

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

    anomaly.confirm(ada, NOW)

    kept = stored(anomaly)
    assert (kept.review, kept.status, kept.reviewed_by) == ("confirmed", after, ada)


def test_dismiss_takes_the_banner_and_keeps_the_fact(session, ada):
    anomaly = create_anomaly(session)

    anomaly.dismiss(ada, NOW)

    kept = stored(anomaly)
    assert (kept.review, kept.status, kept.is_resolved) == ("false_alarm", "dismissed", False)
    anomalies = Anomaly.objects.for_session(session)
    assert (anomalies.open().count(), anomalies.unresolved().count()) == (0, 1)


def test_annotate_keeps_the_note_and_touches_nothing_else(session, ada):
    anomaly = create_anomaly(session)
    create_anomaly(session)
    Anomaly.objects.filter(id=anomaly.id).update(status="resolved", resolved_at=NOW)  # by the sweep, meanwhile

    anomaly.annotate("The projector failed.", ada, NOW)

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
