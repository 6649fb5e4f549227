"""Values arrive as they are, and errors are Django's."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext

from engagement import arrays
from engagement.models import Event

pytestmark = pytest.mark.django_db

ECHO = "SELECT * FROM UNNEST(%b::uuid[], %b::timestamptz[], %b::float8[], %b::int[], %b::varchar[], %b::bool[])"


def test_values_arrive_as_they_are():
    rows = [
        (uuid.uuid4(), datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=UTC), 0.1, 2**31 - 1, "é\U0001f600", True),
        (uuid.uuid4(), datetime(2000, 1, 1, tzinfo=UTC), -0.0, 0, "", False),
        (None, None, None, None, None, None),
    ]
    found = arrays.execute(ECHO, *map(list, zip(*rows, strict=True)))
    assert found == rows
    assert str(found[1][2]) == "-0.0"


def test_nothing_but_unknown_values_arrives():
    assert arrays.execute(ECHO, *[[None]] * 6) == [(None,) * 6]


def test_statement_that_answers_nothing_returns_no_rows():
    assert arrays.execute("CREATE TEMPORARY TABLE nothing ()") == []


def test_value_that_no_column_takes_is_an_error_of_django():
    with pytest.raises(DataError):
        arrays.execute("SELECT * FROM UNNEST(%b::int[])", [2**40])


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
