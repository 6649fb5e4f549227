"""The case of long ranges, with a thousandth of its sessions, and without a word on how quick it was."""

import pytest
from django.db import connection

from benchmarks import long
from engagement.models import Bucket, EngagementRow, Session


@pytest.mark.django_db(transaction=True)
def test_long_fills_condenses_and_measures_beside_a_select(monkeypatch):
    monkeypatch.setattr(long, "REPEATS", 2)
    monkeypatch.setattr(long, "SESSIONS", {2: 6_000, 8: 1_000})
    monkeypatch.setattr(long, "ASKED", ((1, 2, "30s"), (8, 8, "10s"), (8, 8, "5m")))
    connection.ensure_connection()

    figures = list(long.measure(connection.connection.info.dsn, scale=0.001))

    hours = {session.title: session.rows.count() for session in Session.objects.all()}
    assert hours == {"2 h": 1_440, "8 h": 5_760}
    assert EngagementRow.objects.count() == 6 * 1_440 + 5_760
    assert Bucket.objects.count() == 8 * 120
    measured = [figure for figure in figures if figure.unit == "ms"]
    assert len(measured) == 2 * (len(long.ASKED) + len(long.SESSIONS))
    assert all(figure.ratio for figure in measured)
