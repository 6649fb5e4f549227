"""Events, keys and sessions, as rows that guard themselves."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.db.models import FloatField, IntegerField

from engagement.models import ApiKey, EngagementRow, Event, Session
from engagement.readings import BY_NAME, MEASURED, Reading, SignalKind, StoredReading

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def event() -> Event:
    return Event.objects.create(name="Spring school")


def test_key_is_kept_as_a_digest_only(event):
    key, secret = ApiKey.objects.issue(event, "Platform")

    stored = ApiKey.objects.values().get(id=key.id)
    assert bytes(stored["sha256"]) == ApiKey.digest(secret)
    assert secret not in map(str, stored.values())
    assert stored["prefix"] == secret[:8]


def test_revoke_keeps_the_first_moment(event):
    key, _ = ApiKey.objects.issue(event, "Platform")

    key.revoke(NOW)
    key.revoke(NOW + timedelta(days=1))

    assert ApiKey.objects.get(id=key.id).revoked_at == NOW


@pytest.mark.parametrize(
    ("fields", "sees"),
    [({"is_superuser": True}, 2), ({}, 1), ({"is_active": False}, 0), ({"is_superuser": True, "is_active": False}, 0)],
)
def test_organizer_sees_own_events_and_sessions(event, fields, sees):
    user = User.objects.create(username="ada", **fields)
    event.organizers.add(user)
    for each in (event, Event.objects.create(name="Another")):
        Session.objects.create(event=each, title="Opening")

    assert Event.objects.for_organizer(user).count() == sees
    assert Session.objects.for_organizer(user).count() == sees


def test_external_id_is_unique_within_an_event_where_there_is_one(event):
    for external_id in (None, None, "room-1"):
        Session.objects.create(event=event, title="Opening", external_id=external_id)
    Session.objects.create(event=Event.objects.create(name="Another"), title="Opening", external_id="room-1")

    with pytest.raises(IntegrityError, match="unique_external_id_per_event"):
        Session.objects.create(event=event, title="Opening", external_id="room-1")


def test_session_with_an_unknown_status_is_refused(event):
    with pytest.raises(IntegrityError, match="session_status_known"):
        Session.objects.create(event=event, title="Opening", status="paused")


def test_planned_breaks_are_moments(event):
    session = Session(
        event=event, breaks=[{"starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T10:15:00+01:00"}]
    )

    assert session.planned_breaks == [(NOW, NOW + timedelta(minutes=15))]


def test_rows_between_include_the_start_and_not_the_end(event):
    session = Session.objects.create(event=event, title="Opening")
    EngagementRow.objects.bulk_create(
        EngagementRow(session=session, timestamp=NOW + timedelta(seconds=s), received_at=NOW) for s in (0, 5, 10)
    )
    rows = EngagementRow.objects.for_session(session)

    found = rows.between(NOW, NOW + timedelta(seconds=10))

    assert [row.timestamp.second for row in found] == [0, 5]
    assert rows.between(None, None).count() == 3
    assert EngagementRow.objects.for_session(uuid.uuid4()).count() == 0


def test_row_has_a_column_for_what_is_measured():
    columns = {name: EngagementRow._meta.get_field(name) for name in MEASURED}

    kinds = {name: IntegerField if BY_NAME[name].kind is SignalKind.PEOPLE else FloatField for name in MEASURED}
    assert {name: type(column) for name, column in columns.items()} == kinds
    assert all(column.null for column in columns.values())


def test_row_gives_its_reading(event):
    row = EngagementRow(session_id=uuid.uuid4(), timestamp=NOW, chat_msgs_per_min=4.0, total_users=8, received_at=NOW)

    assert row.reading == Reading(NOW, chat_msgs_per_min=4.0, total_users=8)


@pytest.mark.parametrize("score", [0.25, None])
def test_row_gives_its_reading_with_its_score(event, score):
    row = EngagementRow(session_id=uuid.uuid4(), timestamp=NOW, chat_msgs_per_min=4.0, engagement_score=score)

    assert row.stored_reading == StoredReading(NOW, chat_msgs_per_min=4.0, engagement_score=score)
