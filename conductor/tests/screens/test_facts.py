from datetime import timedelta

import pytest

from anomalies.models import Anomaly
from conductor.screens import facts
from conductor.screens.facts import read_facts, read_many
from conductor.screens.polls import Poll
from conductor.tests import stage
from engagement import condense
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
    over = {"status": Anomaly.Status.RESOLVED, "resolved_at": stage.NOW}
    anomalies = [stage.incident(session, seconds=seconds, **over) for seconds in (10, 20, 30)]
    assert read_facts(session).incidents == [anomalies[2], anomalies[1]]
    session.status = Session.Status.ENDED
    assert read_facts(session).incidents == anomalies[::-1]


def test_incident_that_goes_on_is_known_however_many_came_after_it(session, monkeypatch):
    monkeypatch.setattr(facts, "MOST_INCIDENTS", 2)
    over = {"status": Anomaly.Status.RESOLVED, "resolved_at": stage.NOW}
    old = stage.incident(session, seconds=5)
    newer = [stage.incident(session, seconds=seconds, **over) for seconds in (10, 20, 30)]
    found = read_facts(session)
    assert (found.open_incident, found.incidents) == (old, [newer[2], newer[1], old])


def test_what_goes_on_is_worst_first_and_behind_all_what_was_called_a_false_alarm(session):
    dismissed = stage.incident(session, "CRITICAL", seconds=40, status=Anomaly.Status.DISMISSED)
    older = stage.incident(session, "WARNING", seconds=10)
    critical = stage.incident(session, "CRITICAL", seconds=5)
    newer = stage.incident(session, "WARNING", seconds=20, status=Anomaly.Status.ACKNOWLEDGED)
    assert read_facts(session).going_on == [critical, newer, older, dismissed]


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
    with django_assert_num_queries(8):
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


def long_session(event, hours: float = 5, **fields) -> Session:
    session = Session.objects.create(event=event, **{"title": "Course", "status": "live", **fields})
    EngagementRow.objects.bulk_create(
        EngagementRow(
            session=session, timestamp=stage.START + timedelta(seconds=5 * place), received_at=stage.NOW,
            engagement_score=0.2 if place == 777 else 0.5, total_users=50 if place < 2_400 else 20,
            late=place % 500 == 250,
        )
        for place in range(round(hours * 720) + 1) if not 1_500 <= place < 1_800
    )  # fmt: skip
    return session


@pytest.mark.parametrize("is_condensed", [False, True])
def test_an_ended_session_that_is_long_is_its_last_half_hour_and_its_course(event, is_condensed):
    session = long_session(event, status="ended", settled_at=stage.NOW)
    if is_condensed:
        assert condense.step(60) is False
        assert session.buckets.count() == 551

    found = read_facts(session)

    last = stage.START + timedelta(hours=5)
    assert (found.rows[0].timestamp, found.rows[-1].timestamp) == (last - facts.SPAN, last)
    course = found.course
    assert (course.moments[0][0], course.moments[-1][0]) == (stage.START, last)
    assert len(course.moments) < 2 * facts.COLUMNS
    seconds = {value: [round((at - stage.START).total_seconds()) for at, of in course.moments if of == value]
               for value in (0.2, None)}  # fmt: skip
    assert seconds == {0.2: [777 * 5 // 30 * 30], None: [1_800 * 5]}, "its lowest score, and its only gap"
    people = [(round((at - stage.START).total_seconds()), count) for at, count in course.people]
    assert {count for at, count in people if at < 7_500} == {50}
    assert [count for at, count in people if 7_500 <= at < 9_000] == [None]
    assert {count for at, count in people if 9_000 <= at < 12_000} == {50}
    assert {count for at, count in people if at >= 12_000} == {20}
    assert (people[0][0], people[-1][0]) == (0, 18_000)
    assert [round((at - stage.START).total_seconds()) for at, _ in course.late] == [
        5 * place for place in range(250, 3_601, 500) if not 1_500 <= place < 1_800
    ]


def test_a_session_that_goes_on_or_is_not_long_has_no_course(event):
    assert read_facts(long_session(event, title="It goes on")).course is None
    assert read_facts(long_session(event, title="All of it, please"), is_whole=True).course is not None
    short = read_facts(long_session(event, title="Short", hours=2.5, status="ended"))
    assert short.course is None
    assert len(short.rows) == 1_501


@pytest.mark.parametrize("is_condensed", [False, True])
def test_polls_of_a_course_are_those_of_its_buckets(event, is_condensed):
    session = long_session(event, status="ended", settled_at=stage.NOW)
    opened, closed = (stage.START + timedelta(seconds=second) for second in (3_600, 3_720))
    session.rows.filter(timestamp__gte=opened, timestamp__lt=closed).update(poll_participation=0.4)
    if is_condensed:
        assert condense.step(60) is False

    [poll] = read_facts(session).polls

    assert (poll.since, poll.until, poll.key) == (opened, closed, Poll(pytest.approx(0.4), is_open=False))


def test_polls_of_a_session_are_those_of_its_rows_that_came_in_time(event):
    session = stage.live_session(event, rows=24)
    session.rows.all().update(poll_participation=None)
    during = session.rows.order_by("timestamp")[6:12]
    session.rows.filter(timestamp__in=[row.timestamp for row in during]).update(poll_participation=0.6)
    session.rows.filter(timestamp=session.rows.last().timestamp).update(poll_participation=0.9, late=True)

    [poll] = read_facts(session).polls

    assert [(at - stage.START).total_seconds() for at in (poll.since, poll.until)] == [30, 60]
    assert poll.key == Poll(0.6, is_open=False)


def test_course_takes_as_many_queries_however_long_it_is(event, django_assert_num_queries):
    for hours, queries in ((3, 10), (8, 12)):  # whole buckets ask how far they are kept
        session = long_session(event, title=f"{hours} h", hours=hours, status="ended")
        with django_assert_num_queries(queries):
            read_facts(session)
