from datetime import timedelta

import pytest

from anomalies.models import Anomaly
from conductor.screens import facts
from conductor.screens.facts import read_facts, read_many
from conductor.tests import stage
from engagement.models import EngagementRow, Session

pytestmark = pytest.mark.django_db


def test_facts_of_a_session_without_rows(event):
    found = read_facts(Session.objects.create(event=event, title="Soon"))
    assert (found.began_at, found.rows, found.line, found.newest, found.open_incident) == (None, [], [], None, None)


def test_facts_are_of_the_last_half_hour_and_of_an_ended_session_whole(event):
    session = stage.live_session(event, rows=400)
    assert [row.timestamp for row in read_facts(session).rows] == [
        stage.START + timedelta(seconds=5 * place) for place in range(39, 400)
    ]
    assert read_facts(session).began_at == stage.START
    session.status = Session.Status.ENDED
    assert len(read_facts(session).rows) == 400


def test_late_row_is_a_fact_and_not_on_the_line(session):
    EngagementRow.objects.filter(timestamp__gte=session.judged_until - timedelta(seconds=5)).update(late=True)
    found = read_facts(session)
    assert (len(found.rows), len(found.line)) == (24, 22)
    assert found.newest == found.line[-1]


def test_incidents_are_the_newest_and_more_of_an_ended_session(session, monkeypatch):
    monkeypatch.setattr(facts, "MOST_INCIDENTS", 2)
    anomalies = [stage.incident(session, seconds=seconds) for seconds in (10, 20, 30)]
    assert read_facts(session).incidents == [anomalies[2], anomalies[1]]
    session.status = Session.Status.ENDED
    assert read_facts(session).incidents == anomalies[::-1]


def test_open_incident_is_the_worst_and_of_these_the_newest(session):
    stage.incident(session, "CRITICAL", seconds=5)
    critical = stage.incident(session, "CRITICAL", seconds=10)
    stage.incident(session, "WARNING", seconds=20)
    stage.incident(session, "CRITICAL", seconds=30, resolved_at=stage.NOW, status=Anomaly.Status.RESOLVED)
    stage.incident(session, "CRITICAL", seconds=40, status=Anomaly.Status.DISMISSED)
    assert read_facts(session).open_incident == critical


def test_many_sessions_cost_as_many_queries_as_one_and_have_the_same_facts(event, django_assert_num_queries):
    sessions = [stage.live_session(event, f"{rows}", rows=rows) for rows in (0, 1, 24, 400)]
    for session in sessions[1:]:
        stage.incident(session)
    with django_assert_num_queries(4):
        found = read_many(sessions)
    assert found == [read_facts(session) for session in sessions]
    assert [len(each.rows) for each in found] == [0, 1, 24, 361]


def test_row_is_read_as_it_is_stored(session):
    stored = EngagementRow.objects.for_session(session).last()
    newest = read_facts(session).newest
    assert {name: getattr(newest, name) for name in newest._fields} == {
        name: getattr(stored, name) for name in newest._fields
    }
    assert newest.reading == stored.reading
