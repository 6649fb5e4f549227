"""The tables as others may rely on them, on a server without TimescaleDB."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.models import Count
from timescale.db.models.aggregates import First, Last
from timescale.db.models.expressions import TimeBucket

from anomalies.models import Anomaly
from conductor.tests.catalog import describe_table
from conductor.timescale import plain
from engagement.models import EngagementRow, Event, Session

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> Session:
    return Session.objects.create(event=Event.objects.create(name="Spring school"), title="Opening")


def row(session: Session, at: datetime, **signals) -> EngagementRow:
    return EngagementRow(session=session, timestamp=at, received_at=at, **signals)


def anomaly(session: Session, at: datetime, **fields) -> Anomaly:
    facts = {"anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9, **fields}
    return Anomaly(session=session, event=session.event, timestamp=at, **facts)


def described(table: str) -> dict[str, list[tuple]]:
    connection.ensure_connection()
    return describe_table(connection.connection, table)


def test_anomalies_has_the_columns_of_the_contract():
    columns = {name: (kind, length, nullable) for name, kind, length, nullable, _ in described("anomalies")["columns"]}

    promised = {
        "id": ("uuid", None, "NO"),
        "session_id": ("uuid", None, "NO"),
        "event_id": ("uuid", None, "NO"),
        "timestamp": ("timestamp with time zone", None, "NO"),
        "anomaly_type": ("character varying", 50, "NO"),
        "severity": ("character varying", 20, "NO"),
        "anomaly_score": ("double precision", None, "NO"),
        "current_engagement": ("double precision", None, "YES"),
        "expected_engagement": ("double precision", None, "YES"),
        "deviation": ("double precision", None, "YES"),
        "signals": ("jsonb", None, "NO"),
        "metadata": ("jsonb", None, "NO"),
    }
    assert {name: columns[name] for name in promised} == promised


def test_anomalies_has_the_indexes_of_the_contract():
    indexes = dict(described("anomalies")["indexes"])

    assert indexes["idx_anomaly_session"].endswith('btree (session_id, "timestamp")')
    assert indexes["idx_anomaly_severity"].endswith('btree (severity, "timestamp")')


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("engagement", ("engagement_pkey", 'PRIMARY KEY (session_id, "timestamp")')),
        ("anomalies", ("anomalies_pkey", 'PRIMARY KEY (id, "timestamp")')),
    ],
)
def test_key_holds_the_time_column(table, key):
    assert key in described(table)["constraints"]


def test_second_row_of_one_moment_is_refused(session):
    row(session, AT).save(force_insert=True)

    with pytest.raises(IntegrityError, match="engagement_pkey"):
        row(session, AT, late=True).save(force_insert=True)


def test_second_anomaly_of_one_key_is_refused(session):
    first = anomaly(session, AT)
    first.save(force_insert=True)

    with pytest.raises(IntegrityError, match="anomalies_pkey"):
        anomaly(session, AT, id=first.id).save(force_insert=True)


def test_session_takes_its_rows_and_anomalies_along(session):
    row(session, AT).save(force_insert=True)
    anomaly(session, AT).save(force_insert=True)

    session.delete()

    assert not EngagementRow.objects.exists()
    assert not Anomaly.objects.exists()


def test_time_bucket_begins_on_a_monday(session):
    EngagementRow.objects.bulk_create(row(session, AT + timedelta(days=day)) for day in (-1, 0, 6, 7))

    buckets = EngagementRow.objects.values(bucket=TimeBucket("timestamp", "7 days")).annotate(rows=Count("timestamp"))

    monday = AT.replace(hour=0)
    assert list(buckets.order_by("bucket").values_list("bucket", "rows")) == [
        (monday - timedelta(days=7), 1),
        (monday, 2),
        (monday + timedelta(days=7), 1),
    ]


def test_first_and_last_follow_the_time_column(session):
    scores = {30: 0.7, 0: 0.9, 15: 0.1, 45: None}
    for seconds, score in scores.items():
        row(session, AT + timedelta(seconds=seconds), engagement_score=score, active_users=seconds).save(
            force_insert=True
        )

    found = EngagementRow.objects.aggregate(
        first=First("engagement_score", "timestamp"),
        last=Last("engagement_score", "timestamp"),
        people=Last("active_users", "timestamp"),
    )

    assert found == {"first": 0.9, "last": None, "people": 45}  # the newest row's score is unknown, and stays so


def test_plain_server_is_named_once_in_the_log(caplog):
    with connection.cursor() as cursor:
        cursor.execute(plain.DROP_FUNCTIONS)

    with caplog.at_level(logging.INFO, logger="conductor.timescale"):
        connection.prepare_database()
        connection.prepare_database()

    (message,) = caplog.messages
    assert message.startswith("The server has no TimescaleDB")


def test_models_have_their_migrations():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_flush_empties_every_table(session):
    row(session, AT).save(force_insert=True)
    anomaly(session, AT).save(force_insert=True)

    call_command("flush", interactive=False, verbosity=0)

    ours = [model for app in ("engagement", "anomalies") for model in apps.get_app_config(app).get_models()]
    assert [model._meta.db_table for model in ours if model._base_manager.exists()] == []


@pytest.mark.django_db(transaction=True)
def test_migrations_go_to_zero_and_back():
    before = {table: described(table) for table in ("engagement", "anomalies")}
    try:
        call_command("migrate", "anomalies", "zero", verbosity=0)
        call_command("migrate", "engagement", "zero", verbosity=0)
        left = [name for name in connection.introspection.table_names() if name.startswith(("engagement", "anomal"))]
    finally:
        call_command("migrate", verbosity=0)

    assert left == []
    assert {table: described(table) for table in before} == before
