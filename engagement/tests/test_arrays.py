"""Values arrive as they are, and errors are Django's."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext

from engagement import arrays
from engagement.models import Event

pytestmark = pytest.mark.django_db

ECHO = """
    SELECT * FROM UNNEST(%b::uuid[], %b::timestamptz[], %b::float8[], %b::int[], %b::varchar[], %b::bool[],
        %b::bytea[], %b::jsonb[])
"""


def test_values_arrive_as_they_are():
    last = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    early = datetime(1970, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)
    nine = datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=UTC)
    rows = [
        (uuid.uuid4(), nine, 0.1, 2**31 - 1, "é\U0001f600", True, b"\0\xff", {"é": [1e-7, None]}),
        (uuid.UUID(int=0), early, -0.0, -(2**31), "", False, b"", []),
        (uuid.UUID(int=2**128 - 1), last, 1, 0, "a", 0, b"a", "b"),
        (None,) * 8,
    ]
    found = arrays.execute(ECHO, *map(list, zip(*rows, strict=True)))
    assert found == rows
    assert str(found[1][2]) == "-0.0"


def test_nothing_but_unknown_values_arrives():
    assert arrays.execute(ECHO, *[[None]] * 8) == [(None,) * 8]
    assert arrays.execute(ECHO, *[[]] * 8) == []


def test_statement_that_answers_nothing_returns_no_rows():
    assert arrays.execute("CREATE TEMPORARY TABLE nothing ()") == []


def test_value_that_no_column_takes_is_an_error_of_django():
    with pytest.raises(DataError):
        arrays.execute("SELECT * FROM UNNEST(%b::int[])", [2**40])


def test_values_of_another_kind_become_what_the_column_holds():
    zone = timezone(timedelta(hours=-5))
    rows = [(str(uuid.UUID(int=1)), "2026-03-02T09:00Z"), (str(uuid.UUID(int=2)), datetime(2026, 3, 2, 4, tzinfo=zone))]
    nine = datetime(2026, 3, 2, 9, tzinfo=UTC)
    for id_, at in rows:
        found = arrays.execute("SELECT * FROM UNNEST(%b::uuid[], %b::timestamptz[], %b::int[])", [id_], [at], (2.0,))
        assert found == [(uuid.UUID(id_), nine, 2)]


def count_prepared(statement: str) -> int:
    [[found]] = arrays.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement = %s", statement)
    return found


def new_connection(monkeypatch, **seen):
    """Have the next statement meet a connection of which nothing is known, and which says this of itself."""
    connection.ensure_connection()
    arrays._known.discard(connection.connection)
    connection.connection.prepare_threshold = None
    for name, value in seen.items():
        monkeypatch.setattr(psycopg.ConnectionInfo, name, value)


def test_statement_that_comes_again_is_prepared(monkeypatch):
    new_connection(monkeypatch)
    for number in range(2 * arrays.PREPARED_AFTER):
        assert arrays.execute("SELECT * FROM UNNEST(%b::int[]) AS one", [number, None]) == [(number,), (None,)]
        assert count_prepared("SELECT * FROM UNNEST($1::int[]) AS one") == (number >= arrays.PREPARED_AFTER)


def test_nothing_is_prepared_behind_a_pooler_which_names_another_process(monkeypatch):
    new_connection(monkeypatch, backend_pid=1)
    for number in range(2 * arrays.PREPARED_AFTER):
        assert arrays.execute("SELECT * FROM UNNEST(%b::int[]) AS two", [number]) == [(number,)]
    assert count_prepared("SELECT * FROM UNNEST($1::int[]) AS two") == 0


def test_statements_are_seen_by_who_counts_them():
    with CaptureQueriesContext(connection) as seen:
        arrays.execute("SELECT * FROM UNNEST(%b::int[])", [1, 2])
    assert len(seen) == 1


def test_instances_are_those_of_the_model():
    event = Event.objects.create(name="A course")
    stored = Event.objects.get(id=event.id)
    names = [field.attname for field in Event._meta.concrete_fields]
    [found] = arrays.load(Event, names, f"SELECT {', '.join(names)} FROM engagement_event")
    assert found == stored
    assert found.__dict__.keys() == stored.__dict__.keys()
    assert {name: getattr(found, name) for name in names} == {name: getattr(stored, name) for name in names}
    assert vars(found._state) == vars(stored._state)


def test_fields_that_were_not_read_are_read_when_they_are_asked_for():
    event = Event.objects.create(name="A course")
    [found] = arrays.load(Event, ["id"], "SELECT id FROM engagement_event")
    assert found.get_deferred_fields() == Event.objects.only("id").get().get_deferred_fields()
    with CaptureQueriesContext(connection) as seen:
        assert (found.id, found.name) == (event.id, "A course")
    assert len(seen) == 1
