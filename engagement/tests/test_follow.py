"""Scores of rows with polls: the rows alone decide, whatever order, batches and sources they came in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conductor.archive import keep_rows
from conductor.tests import sweeping
from engagement.events import record_events
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Event, Session
from engagement.readings import Reading
from engagement.scoring import find_score, score, score_in_order
from engagement.turnout import growth
from engagement.windows import RawEvent, Windows

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(hours=1)
ROOM = Reading(START, 12.0, None, 35, 50, 3.0, 0.0)


@pytest.fixture(autouse=True)
def _nothing_is_due():
    sweeping.begin_anew()


@pytest.fixture
def event() -> Event:
    return Event.objects.create(name="Conference")


def new_session(event: Event, **fields) -> Session:
    return Session.objects.create(event=event, title="Keynote", **fields)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def polled(second: int) -> Reading:
    """Return a row of a room with polls of 90 s, three minutes apart, the second of which hardly anybody answers."""
    number, age = divmod(second - 60, 180)
    row = replace(ROOM, timestamp=at(second), chat_msgs_per_min=float(second % 7))
    if number < 0 or age >= 90:
        return row
    return replace(row, poll_participation=growth(age) * (0.1 if number == 1 else 0.7))


ROWS = [polled(second) for second in range(0, 950, 5)]
EXPECTED = [find_score(row) for row in score_in_order(ROWS)]


def scores(session: Session) -> list[float | None]:
    return list(EngagementRow.objects.for_session(session).values_list("engagement_score", flat=True))


def test_rows_have_the_scores_that_they_have_in_order(event):
    session = new_session(event)

    record_rows(session.id, ROWS, NOW)
    sweeping.sweep_all(NOW)

    assert scores(session) == EXPECTED
    assert min(EXPECTED[12:30]) > min(EXPECTED[:12]) - 0.01, "no poll has let it fall"
    assert Session.objects.get(id=session.id).polling is None


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_the_same_however_rows_are_posted(event, seed):
    """Cut anywhere, judged now and then, and out of order where nothing is judged in between."""
    session, random, rest = new_session(event), Random(seed), list(ROWS)
    while rest:
        size = random.randint(1, 40)
        portion, rest = rest[:size], rest[size:]
        if seed % 2:
            random.shuffle(portion)
        while portion:
            some = random.randint(1, 9)
            record_rows(session.id, portion[:some], NOW)
            portion = portion[some:]
        sweeping.sweep_all(NOW)

    assert scores(session) == EXPECTED


def test_a_repeated_post_changes_nothing(event):
    session = new_session(event)
    record_rows(session.id, ROWS[:20], NOW)
    sweeping.sweep_all(NOW)
    before = list(EngagementRow.objects.values())

    assert record_rows(session.id, ROWS[:20], NOW + timedelta(seconds=1)).duplicates == 20
    sweeping.sweep_all(NOW)

    assert list(EngagementRow.objects.values()) == before


def test_a_row_that_is_not_judged_yet_is_scored_by_itself(event):
    session = new_session(event)

    record_rows(session.id, ROWS[:20], NOW)

    assert scores(session) == [score(row).value for row in ROWS[:20]]
    assert scores(session) != EXPECTED[:20]


def test_a_late_row_keeps_its_score_and_counts_for_no_other(event):
    session = new_session(event)
    late = ROWS[14]
    rows = [row for row in ROWS[:30] if row is not late]
    record_rows(session.id, rows[:20], NOW)
    sweeping.sweep_all(NOW)

    record_rows(session.id, [late], NOW)
    record_rows(session.id, rows[20:], NOW)
    sweeping.sweep_all(NOW)

    on_time = EngagementRow.objects.for_session(session).filter(late=False).values_list("engagement_score", flat=True)
    assert list(on_time) == [find_score(row) for row in score_in_order(rows)]
    assert EngagementRow.objects.get(session=session, late=True).engagement_score == score(late).value


def test_a_session_without_polls_is_not_written_to(event):
    session = new_session(event)
    record_rows(session.id, [ROOM], NOW)

    with CaptureQueriesContext(connection) as queries:
        sweeping.sweep_all(NOW)

    assert not [query for query in queries if "UPDATE engagement " in query["sql"] or "polling =" in query["sql"]]
    assert scores(session) == [score(ROOM).value]


# Raw events


def told() -> list[RawEvent]:
    """Return what happens in a room with two polls, the second of which opens as the first one closes."""
    events = [RawEvent("join", at(0), f"u{n}", f"j{n}") for n in range(20)]
    events += [RawEvent("chat", at(4 * n), f"u{n % 20}", f"c{n}") for n in range(100)]
    for name, opens in (("p", 61.3), ("q", 121.3)):
        events.append(RawEvent("poll_opened", at(opens), None, f"{name}o", name))
        events += [RawEvent("poll_vote", at(opens + 2 * n), f"u{n}", f"{name}{n}", name) for n in range(1, 15)]
        events.append(RawEvent("poll_closed", at(opens + 60), None, f"{name}c", name))
    return sorted(events, key=lambda each: each.timestamp)


def test_rows_of_raw_events_know_how_old_the_newest_poll_is(event):
    session = new_session(event)
    record_events(session.id, told(), NOW)
    sweeping.end(session.id, NOW)

    ages = dict(EngagementRow.objects.for_session(session).values_list("timestamp", "poll_age_seconds"))
    assert [ages[at(second)] for second in (60, 65, 120, 125, 180, 185)] == pytest.approx(
        [None, 3.7, 58.7, 3.7, 58.7, None]
    )
    windows = Windows()
    windows.add(told())
    rows = windows.finish()
    assert scores(session) == [find_score(row) for row in score_in_order(rows)]
    assert [row.reading for row in EngagementRow.objects.for_session(session)] == rows


def test_an_upload_has_the_scores_of_the_live_session(event):
    live = new_session(event)
    record_events(live.id, told(), NOW)
    sweeping.end(live.id, NOW)
    windows = Windows()
    windows.add(told())

    kept = keep_rows(event, "Recorded", windows.finish(), NOW)
    sweeping.sweep_all(NOW)

    assert scores(kept) == scores(live)
