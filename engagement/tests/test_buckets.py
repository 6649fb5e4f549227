"""Means and extremes are those of the rows, wherever they are read from."""

import re
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from django.db import connection, transaction

from engagement import buckets, condense
from engagement.buckets import MEANS, WIDTH, read_extremes, read_means
from engagement.models import Bucket, EngagementRow, Event, Session

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 2, 9, 0, 7, tzinfo=UTC)
SIGNALS = (
    "chat_msgs_per_min", "poll_participation", "active_users", "total_users", "reactions_per_min", "user_leave_rate",
    "engagement_score",
)  # fmt: skip


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def long_session(rows: int = 2_000, seed: int = 1) -> Session:
    """A session of some hours that is settled: signals that are unknown now and then, gaps, and rows that came late."""
    event, _ = Event.objects.get_or_create(name="Conference")
    random, seconds, made = Random(seed), 0.0, []
    session = Session.objects.create(event=event, title="Course", status="ended", settled_at=at(0))
    for _ in range(rows):
        seconds += 5 if random.random() > 0.005 else random.choice((20, 61, 400))
        signals = {name: random.randint(0, 9) for name in SIGNALS if random.random() < 0.9}
        made.append(
            EngagementRow(
                session=session, timestamp=at(seconds), received_at=at(0), late=random.random() < 0.03, **signals
            )
        )
    EngagementRow.objects.bulk_create(made)
    session.judged_until = max(row.timestamp for row in made if not row.late)
    session.save()
    return session


def expected_means(session: Session, since, until, width: timedelta) -> list[dict[str, object]]:
    """Count in Python what the database counts."""
    found: dict[datetime, list[EngagementRow]] = {}
    for row in EngagementRow.objects.for_session(session).between(since, until):
        found.setdefault(buckets.floor(row.timestamp, width), []).append(row)
    return [
        {"bucket": start, "rows": len(rows), "any_late": any(row.late for row in rows)}
        | {f"mean_{name}": mean([getattr(row, name) for row in rows]) for name in MEANS}
        for start, rows in found.items()
    ]


def mean(values: list[float | None]) -> object:
    known = [value for value in values if value is not None]
    return pytest.approx(sum(known) / len(known)) if known else None


def condense_all() -> None:
    assert condense.step(60) is False


@pytest.mark.parametrize("is_condensed", [False, True])
def test_means_are_those_of_the_rows(is_condensed):
    session = long_session()
    if is_condensed:
        condense_all()
        assert Bucket.objects.count() > 300

    for seconds in (1, 7, 30, 60, 90, 3_600, 86_400):
        for since, until in ((None, None), (at(1_001), at(7_003)), (at(23), None), (None, at(83)), (at(25), at(27))):
            width = timedelta(seconds=seconds)
            expected = expected_means(session, since, until, width)
            assert read_means(session.id, since, until, width, 10_000) == expected, (seconds, since, until)


def test_means_of_a_session_that_goes_on_are_of_buckets_rows_and_what_came_late():
    session = long_session()
    session.settled_at, session.status, session.judged_until = None, "live", at(9_000)
    session.save()
    condense_all()
    kept_until = buckets.find_end(session.id)
    EngagementRow.objects.create(
        session=session, timestamp=at(4_000.5), received_at=at(0), late=True, chat_msgs_per_min=900
    )

    assert at(9_000) - WIDTH < kept_until <= at(9_000)
    for width in (WIDTH, 10 * WIDTH, timedelta(days=1)):
        assert read_means(session.id, None, None, width, 10_000) == expected_means(session, None, None, width)


def test_so_many_buckets_are_read_and_no_more_rows_than_they_need():
    session, width = long_session(), timedelta(seconds=10)
    expected = expected_means(session, None, None, width)

    found = read_means(session.id, None, None, width, 50)

    assert found == expected[:50]
    assert read_means(session.id, found[-1]["bucket"] + width, None, width, 50) == expected[50:100]


def test_gaps_are_leapt_over(django_assert_max_num_queries):
    session = Session.objects.create(event=Event.objects.create(name="Conference"), title="Seldom")
    days = [0, 1, 2, 40, 400]
    EngagementRow.objects.bulk_create(
        EngagementRow(session=session, timestamp=at(day * 86_400), received_at=at(0), total_users=5) for day in days
    )

    with django_assert_max_num_queries(3 * len(days)):
        found = read_means(session.id, None, None, timedelta(seconds=1), 10)

    assert [bucket["bucket"] for bucket in found] == [at(day * 86_400) for day in days]


@pytest.mark.parametrize("is_condensed", [False, True])
def test_extremes_are_of_the_scores_that_did_not_come_late(is_condensed):
    session, width = long_session(), 4 * WIDTH
    if is_condensed:
        condense_all()
    rows: dict[datetime, list[EngagementRow]] = {}
    for row in EngagementRow.objects.for_session(session).filter(late=False, engagement_score__isnull=False):
        rows.setdefault(buckets.floor(row.timestamp, width), []).append(row)

    found = read_extremes(session.id, at(0), at(1_000_000), width)

    assert found == [
        (
            of_one[0].timestamp,
            of_one[-1].timestamp,
            min(row.engagement_score for row in of_one),
            max(row.engagement_score for row in of_one),
        )
        for of_one in rows.values()
    ]


def test_a_bucket_keeps_what_every_mean_is_made_of():
    names = {field.name for field in Bucket._meta.get_fields()}

    assert {f"{part}_{name}" for part in ("sum", "known") for name in MEANS} <= names


RANGE = [UUID(int=1), START, at(3_600)]


@pytest.mark.parametrize(
    ("query", "parameters", "late"),
    [
        (buckets.MEANS_OF_PARTS, [WIDTH, *RANGE * 4, 1_001], True),
        (buckets.EXTREMES, [*RANGE * 3, WIDTH], False),
        (condense.CONDENSE, [WIDTH, *RANGE], False),
    ],
    ids=["means", "extremes", "condense"],
)
def test_buckets_are_read_by_an_index_however_many_rows_there_are(query, parameters, late):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # which a table of one row is worth
        cursor.execute(f"EXPLAIN {query}", parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())

    by_key = r"engagement_pkey\b.*\n +Index Cond: \(\(session_id = .* AND \(\"timestamp\" >= .* AND \(\"timestamp\" < "
    assert re.search(by_key, plan), plan
    assert "Seq Scan" not in plan
    assert ("late_rows" in plan) is late
    if query is not condense.CONDENSE:
        assert re.search(r"engagement_buckets_pkey\b.*\n +Index Cond: \(\(session_id = .* AND \(starts_at >= ", plan), (
            plan
        )
