"""Posts are stored several at once, each is answered after its commit, and what goes wrong is left to Django."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError

from conductor import keys, metrics, requests
from conductor.api.throttle import count
from conductor.posting import committer as committing
from conductor.posting.committer import Committer, Kind, NotStored, Outcome, Soon, Waiting
from conductor.tests.rest import START, Rest
from conductor.tests.waiting import wait_until
from engagement.groups import Post
from engagement.ingest import Recorded
from engagement.models import EngagementRow, RawEventRow, Session
from engagement.readings import Reading
from engagement.windows import RawEvent

ONE, DJANGO = Recorded(1, 0, 0), NotStored.DJANGO


class Store:
    """Stands in for the database: notes the groups, and waits where it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()
        self.error: Exception | None = None

    def __call__(self, group: Sequence[Waiting], tell) -> None:
        self.groups.append([each.post.items[0] for each in group])
        self.begun.set()
        assert self.goes_on.wait(10)
        if self.error:
            raise self.error
        tell([(each, ONE) for each in group])


class Clients:
    """Post numbers, and hear what became of them."""

    def __init__(self, committer: Committer) -> None:
        self.committer = committer

    async def post(self, number: int, items: int = 1, kind: Kind = Kind.ROWS) -> Outcome:
        return await self.committer.submit(kind, Post(None, [None] * items, [number] * items), None)

    def post_later(self, *numbers: int) -> list[asyncio.Task]:
        return [asyncio.create_task(self.post(number)) for number in numbers]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clients(store) -> Iterator[Clients]:
    committer = Committer(store)
    yield Clients(committer)
    store.goes_on.set()
    committer.close()


async def begun(store: Store) -> None:
    await asyncio.get_running_loop().run_in_executor(None, store.begun.wait, 10)
    store.begun.clear()


async def test_what_comes_during_a_transaction_is_the_next_one(store, clients):
    store.goes_on.clear()
    first = clients.post_later(1)
    await begun(store)
    others = clients.post_later(2, 3, 4)
    await asyncio.sleep(0)
    assert not any(task.done() for task in [*first, *others]), "nobody is answered before the commit"
    store.goes_on.set()

    assert await asyncio.gather(*first, *others) == [ONE] * 4
    assert store.groups == [[1], [2, 3, 4]]


async def test_reports_of_a_moment_are_one_group_and_hold_up_nobody(store, clients):
    reports = [asyncio.create_task(clients.post(number, kind=Kind.REPORTS)) for number in (1, 2)]
    await asyncio.sleep(0)
    assert await clients.post(3) == ONE
    reports.append(asyncio.create_task(clients.post(4, kind=Kind.REPORTS)))

    assert await asyncio.gather(*reports) == [ONE] * 3
    assert store.groups == [[3], [1, 2, 4]]


async def test_who_is_alone_waits_for_nobody(store, clients):
    for number in range(3):
        assert await clients.post(number) == ONE
    assert store.groups == [[0], [1], [2]]
    assert not clients.committer._next


async def test_group_that_fails_goes_on_to_django_and_the_next_one_is_stored(store, clients, caplog):
    store.error = DatabaseError("gone")
    assert await asyncio.gather(*clients.post_later(1, 2)) == [DJANGO, DJANGO]
    assert "A group was not stored" in caplog.text
    store.error = None
    assert await clients.post(3) == ONE


async def test_more_than_waits_is_not_taken(store, clients, monkeypatch):
    monkeypatch.setattr(committing, "MAX_WAITING", 3)
    monkeypatch.setattr(committing, "MAX_WAITING_ITEMS", 10)
    store.goes_on.clear()
    waiting = clients.post_later(1)
    await begun(store)
    assert not clients.committer.is_full
    waiting += clients.post_later(2, 3)
    await asyncio.sleep(0)
    assert clients.committer.is_full, "as many requests as may wait"
    store.goes_on.set()
    await asyncio.gather(*waiting)
    assert not clients.committer.is_full

    store.goes_on.clear()
    waiting = [asyncio.create_task(clients.post(4, items=10))]
    await asyncio.sleep(0)
    assert clients.committer.is_full, "as many items as may wait"
    store.goes_on.set()
    await asyncio.gather(*waiting)
    assert not clients.committer.is_full


async def test_transaction_that_does_not_end_takes_nobody_down_and_is_found_stuck(store, clients, monkeypatch):
    monkeypatch.setattr(committing, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(committing, "STUCK_SECONDS", 0.1)
    clients.committer._is_there = says(True)
    store.goes_on.clear()
    first = clients.post_later(1)
    await begun(store)
    others = clients.post_later(2)

    assert await asyncio.gather(*first, *others) == [DJANGO, DJANGO]
    assert await clients.post(3) is DJANGO, "who comes later does not wait at all"
    assert requests.is_one_stuck(time.monotonic() + requests.STUCK_SECONDS + 1), "liveness sees what is held"

    store.goes_on.set()
    while clients.committer._is_stuck:
        await asyncio.sleep(0.01)
    assert await clients.post(4) == ONE
    assert store.groups == [[1], [4]]


def says(found: bool):
    async def look() -> bool:
        return found

    return look


async def test_nobody_asks_django_in_vain_while_the_database_says_nothing(store, clients, monkeypatch):
    monkeypatch.setattr(committing, "SLOW_SECONDS", 0.05)
    clients.committer._is_there = says(False)
    store.goes_on.clear()
    first = clients.post_later(1)
    await begun(store)
    others = clients.post_later(2)

    assert await asyncio.gather(*first, *others) == [NotStored.NOBODY] * 2


async def test_who_has_gone_is_not_stored(store, clients):
    store.goes_on.clear()
    first = clients.post_later(1)
    await begun(store)
    [gone] = clients.post_later(2)
    others = clients.post_later(3)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    store.goes_on.set()
    await asyncio.gather(*first, *others)
    assert store.groups == [[1], [3]]


# With the database.


@pytest.fixture
def real(db, settings, monkeypatch) -> Iterator[Committer]:
    settings.RATE_LIMIT = settings.ITEM_LIMIT = 0
    committer = Committer()
    yield committer
    committer.close()


def live(rest: Rest, source: str = "signals") -> Session:
    return rest.new_session(status="live", source=source)


def key_of(rest: Rest) -> keys.Recalled:
    assert keys.find_caller(rest.secret, time.monotonic())
    key = keys.KEYS.recall(rest.secret)
    assert key
    return key


def row(second: int) -> Reading:
    return Reading(START + timedelta(seconds=second), 12.0)


def together(committer: Committer, *posts: tuple[keys.Recalled, Session, list]) -> list[Outcome]:
    """Have posts recorded at once, in a loop that ends with them."""

    async def record_all() -> list[Outcome]:
        return await asyncio.gather(
            *(
                committer.submit(
                    Kind(session.source.replace("signals", "rows")),
                    Post(key.caller.event_id, [session.id] * len(items), items),
                    key,
                )
                for key, session, items in posts
            )
        )

    return asyncio.run(record_all())


@pytest.mark.django_db(transaction=True)
def test_rows_and_raw_events_of_a_group_are_stored_counted_and_swept(real, rest, monkeypatch):
    woken: list[set] = []
    monkeypatch.setattr("conductor.tasks.wake_now", woken.append)
    rows, more, events = live(rest), live(rest), live(rest, "events")
    key = key_of(rest)
    before = metrics.ROWS.labels("accepted")._value.get(), metrics.EVENTS.labels("accepted")._value.get()

    found = together(
        real,
        (key, rows, [row(0)]),
        (key, events, [RawEvent("chat", START, "ada")] * 2),
        (key, more, [row(0), row(0)]),
    )

    assert found == [ONE, Recorded(2, 0, 0), Recorded(1, 1, 0)]
    assert (EngagementRow.objects.count(), RawEventRow.objects.count()) == (2, 2)
    wait_until(lambda: len(woken) == 2)
    assert woken == [{rows.id, more.id}, {events.id}], "once for a transaction"
    after = metrics.ROWS.labels("accepted")._value.get(), metrics.EVENTS.labels("accepted")._value.get()
    assert after == (before[0] + 2, before[1] + 2)


@pytest.mark.django_db(transaction=True)
def test_session_that_is_swept_is_waited_for_a_moment(real, rest):
    session = live(rest)
    key = key_of(rest)
    released = threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Session.objects.select_for_update().get(id=session.id)
                held.set()
                time.sleep(0.06)  # as a sweep would
        finally:
            connection.close()
            released.set()

    held = threading.Event()
    sweep = threading.Thread(target=hold)
    sweep.start()
    assert held.wait(10)
    assert together(real, (key, session, [row(0)])) == [ONE]
    assert released.is_set()
    sweep.join()


@pytest.mark.django_db(transaction=True)
def test_session_that_is_held_for_long_is_left_to_django(real, rest, monkeypatch):
    monkeypatch.setattr(committing, "HELD_SECONDS", 0.05)
    held, free = live(rest), live(rest)
    key = key_of(rest)
    with transaction.atomic():
        Session.objects.select_for_update().get(id=held.id)
        assert together(real, (key, held, [row(0)]), (key, free, [row(0)])) == [DJANGO, ONE]


@pytest.mark.django_db(transaction=True)
def test_quota_is_that_of_django_and_counted_once(real, rest, settings, monkeypatch):
    at = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
    monkeypatch.setattr(committing.time, "time", lambda: at)
    settings.RATE_LIMIT, settings.ITEM_LIMIT = 3, 1
    key, session = key_of(rest), live(rest)
    ended = rest.new_session(status="ended", source="signals")

    # An event may post ten items in ten seconds, and the request that passes the quota is taken.
    batches = [[row(second) for second in range(first, first + 6)] for first in (0, 6, 12, 18)]
    found = together(real, *((key, session, batch) for batch in batches), (key, ended, [row(0)]))

    assert found == [Recorded(6, 0, 0)] * 2 + [DJANGO] * 3
    assert count("requests", key.caller.key_id, int(at), 0, 2) == 2, "the others Django counts, as it refuses them"
    assert count("items", key.caller.event_id, int(at) // 10, 0, 20) == 12


@pytest.mark.django_db(transaction=True)
def test_requests_of_a_key_are_limited(real, rest, settings, monkeypatch):
    monkeypatch.setattr(committing.time, "time", lambda: 1_772_452_800.0)
    settings.RATE_LIMIT = 2
    key, session, other = key_of(rest), live(rest), Rest.of_new_event()
    posts = [(key, session, [row(second)]) for second in range(4)]
    assert together(real, *posts, (key_of(other), live(other), [row(0)])) == [ONE, ONE, DJANGO, DJANGO, ONE]


@pytest.mark.django_db(transaction=True)
def test_redis_that_is_away_refuses_nothing(real, rest, settings):
    settings.RATE_LIMIT = settings.ITEM_LIMIT = 1
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    session, key = live(rest), key_of(rest)
    assert together(real, *((key, session, [row(second)]) for second in range(3))) == [ONE] * 3


@pytest.mark.django_db(transaction=True)
def test_connection_that_broke_is_replaced(real, rest):
    session, key = live(rest), key_of(rest)
    assert together(real, (key, session, [row(0)])) == [ONE]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        assert cursor.fetchone() == (1,), "it keeps its connection"

    assert together(real, (key, session, [row(5)])) == [DJANGO]
    assert together(real, (key, session, [row(5)])) == [ONE]


@pytest.mark.django_db(transaction=True)
def test_post_that_breaks_the_transaction_leaves_nothing_behind(real, rest):
    session, key = live(rest), key_of(rest)
    poison = Reading(START, 12.0, active_users=2**40)  # no column takes it

    assert together(real, (key, session, [row(5)]), (key, session, [poison])) == [DJANGO, DJANGO]
    assert not EngagementRow.objects.exists()
    assert together(real, (key, session, [row(5)])) == [ONE]


def test_what_is_woken_for_soon_is_woken_for_once():
    woken: list[set] = []
    soon = Soon(lambda ids: woken.append(set(ids)), seconds=0.05)
    soon.add({1, 2})
    soon.add({2, 3})
    wait_until(lambda: bool(woken))
    soon.add({4})
    wait_until(lambda: len(woken) == 2)
    assert woken == [{1, 2, 3}, {4}]
