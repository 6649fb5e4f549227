"""Values arrive as they are, and errors are Django's."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext

from engagement import arrays

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
