"""Group commit: what is posted while a transaction is under way goes into the next one, and is answered after its own.

One thread, with one connection to the database, stores all that a process is sent. A post that it does not take goes on
to Django, which takes it or says why not: so nothing that goes wrong is worded here.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from threading import Lock, Timer
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.utils.timezone import now

from conductor import metrics, requests, tasks
from conductor.api.throttle import Spent, SpentByTab, give_back, spend_together
from conductor.deadline import SLOW_SECONDS, Look, database_answers
from conductor.keys import KEYS, TOKENS, Caller, Holder, Recalled
from engagement.groups import (
    Group,
    NotTaken,
    Post,
    record_posts_of_events,
    record_posts_of_reports,
    record_posts_of_rows,
)
from engagement.ingest import Recorded

# More than this is refused before it is decoded: a minute's worth of it would only wait.
MAX_WAITING = 2_000  # requests
MAX_WAITING_ITEMS = 50_000
# A group costs much the same however many are in it. So that groups take no more than a part of the time, the next one
# begins so many times later than the last one took, once several came together; who is alone waits for nobody.
SPACING = 2.0
MAX_SPACING_SECONDS = 0.02
GATHER_SECONDS = 0.1  # nobody waits for the answer to a heartbeat, and many together cost little more than one
# A window of raw events closes seconds after its end. Sweeps that come for each post hold the sessions of the next one.
SOON_SECONDS = 0.25
STUCK_SECONDS = 2.0  # then everybody goes to Django, though the database answers others
HELD_PAUSE_SECONDS = 0.02
HELD_SECONDS = 0.2  # a session that is held for longer is waited for by Django, as long as it takes

log = logging.getLogger(__name__)


class Kind(Enum):
    """What is posted, and so how it is stored."""

    ROWS = "rows"
    EVENTS = "events"
    REPORTS = "reports"  # of beacons


RECORD: dict[Kind, Callable[[Sequence[Post[Any]], Any], Group]] = {
    Kind.ROWS: record_posts_of_rows,
    Kind.EVENTS: record_posts_of_events,
    Kind.REPORTS: record_posts_of_reports,
}
COUNT: dict[Kind, Callable[[Recorded], None]] = {
    Kind.ROWS: metrics.count_rows,
    Kind.EVENTS: metrics.count_events,
    Kind.REPORTS: metrics.count_events,
}
Key = Recalled[Caller] | Recalled[Holder]


class NotStored(Enum):
    """Who sees to a post that was not stored, or of which nobody knows."""

    DJANGO = "Django"
    NOBODY = "nobody can, as the database does not answer"


Outcome = Recorded | NotStored


@dataclass(slots=True, eq=False)
class Waiting:
    """A post that waits to be stored; `outcome` is what became of it."""

    kind: Kind
    post: Post[Any]
    key: Key
    outcome: "asyncio.Future[Outcome]" = field(repr=False)
    address: str = ""  # of a tab
    held_until: float = 0.0  # when a session that is held was waited for for long enough; 0: it was not

    @property
    def spent(self) -> Spent | SpentByTab:
        caller, items = self.key.caller, self.post.items
        if isinstance(caller, Holder):
            return SpentByTab(caller.token_id, caller.event_id, self.address, sum(report.size for report in items))
        return Spent(caller.key_id, caller.event_id, len(items))


Told = list[tuple[Waiting, Outcome | NotTaken]]
Tell = Callable[[Told], None]


class Committer:
    """Stores posts, several in a transaction."""

    def __init__(
        self, store: "Callable[[Sequence[Waiting], Tell], None] | None" = None, look: Look = database_answers
    ) -> None:
        self._store, self._is_there = store or store_group, look
        self._thread: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: list[Waiting] = []
        self._gathered: list[Waiting] = []
        self._number = self._items = 0  # of all that are not answered yet
        self._is_running = self._is_stuck = False

    @property
    def is_full(self) -> bool:
        """Whether more requests or items wait than are ever taken."""
        return self._number >= MAX_WAITING or self._items >= MAX_WAITING_ITEMS

    def submit(self, kind: Kind, post: Post[Any], key: Key, address: str = "") -> "asyncio.Future[Outcome]":
        """Have a post stored, and return what will be told of it after the commit."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._begin(loop)
        waiting = Waiting(kind, post, key, loop.create_future(), address)
        items = len(post.items)
        self._number, self._items = self._number + 1, self._items + items
        waiting.outcome.add_done_callback(partial(self._leave, items))
        if kind is Kind.REPORTS:
            self._gather(waiting, loop)
        else:
            self._add(waiting)
        return waiting.outcome

    def _gather(self, waiting: Waiting, loop: asyncio.AbstractEventLoop) -> None:
        """Have a report stored with those that come within a moment; what else is posted does not wait for it."""
        if not self._gathered:
            loop.call_later(GATHER_SECONDS, self._add_gathered)
        self._gathered.append(waiting)

    def _add_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        for waiting in gathered:
            self._add(waiting)

    def _leave(self, items: int, outcome: "asyncio.Future[Outcome]") -> None:
        if outcome.get_loop() is self._loop:
            self._number, self._items = self._number - 1, self._items - items

    def close(self) -> None:
        """Give the connection back and end the thread."""
        if self._thread is not None:
            # Each thread has its own, so it must be looked up there.
            self._thread.submit(lambda: connection.close()).result()
            self._thread.shutdown()
            self._thread = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._next, self._gathered = loop, [], []
        self._number = self._items = 0
        self._is_running = self._is_stuck = False

    def _add(self, waiting: Waiting) -> None:
        if waiting.outcome.done():  # who asked has gone
            return
        if self._is_stuck:
            waiting.outcome.set_result(NotStored.DJANGO)
            return
        self._next.append(waiting)
        if not self._is_running:
            self._is_running = True
            task = asyncio.ensure_future(self._run())
            task.add_done_callback(_running.discard)
            _running.add(task)

    async def _run(self) -> None:
        try:
            while self._next:
                group, self._next = [each for each in self._next if not each.outcome.done()], []
                if group:
                    began = time.monotonic()
                    await self._commit(group)
                    await self._space(began, len(group))
        finally:
            self._is_running = False

    async def _space(self, began: float, number: int) -> None:
        """Let more come together, where several do."""
        lasted = time.monotonic() - began
        pause = min(SPACING * lasted, MAX_SPACING_SECONDS) - lasted
        if number + len(self._next) > 2 and pause > 0:
            await asyncio.sleep(pause)

    async def _commit(self, group: Sequence[Waiting]) -> None:
        assert self._loop
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "committer", initializer=_connect_alone)
        loop = self._loop

        def tell(told: Told) -> None:  # in the thread
            loop.call_soon_threadsafe(self._tell, told)

        with requests.at_work():  # a thread that never comes back is found as a request that never ends
            work = loop.run_in_executor(self._thread, self._store, group, tell)
            await asyncio.wait({work}, timeout=SLOW_SECONDS)
            who = NotStored.DJANGO if work.done() or await self._is_there() else NotStored.NOBODY
            if who is NotStored.DJANGO:
                await asyncio.wait({work}, timeout=STUCK_SECONDS - SLOW_SECONDS)
            if not work.done():
                self._is_stuck = True
                log.error("A group of %s posts is not stored; others go on one by one.", len(group))
                self._tell([(each, who) for each in [*group, *self._next]])
                self._next = []
                await asyncio.wait({work})
                self._is_stuck = False
            if error := work.exception():
                log.error("A group was not stored.", exc_info=error)
                self._tell([(each, NotStored.DJANGO) for each in group])

    def _tell(self, told: Told) -> None:
        assert self._loop
        for waiting, outcome in told:
            if waiting.outcome.done():
                continue
            if outcome is NotTaken.HELD and self._may_wait_on(waiting):
                self._loop.call_later(HELD_PAUSE_SECONDS, self._add, waiting)
            else:
                waiting.outcome.set_result(NotStored.DJANGO if isinstance(outcome, NotTaken) else outcome)

    def _may_wait_on(self, waiting: Waiting) -> bool:
        at = time.monotonic()
        waiting.held_until = waiting.held_until or at + HELD_SECONDS
        return not self._is_stuck and at < waiting.held_until


_running: set["asyncio.Task[None]"] = set()  # nobody else holds on to them


def _connect_alone() -> None:
    """Give this thread a connection beside the pool, which is for requests, and which waits while a server is away."""
    own = connections[DEFAULT_DB_ALIAS].copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    connections[DEFAULT_DB_ALIAS] = own


def store_group(group: Sequence[Waiting], tell: Tell) -> None:
    """Store what posts hold, each kind in a transaction of its own, and tell of each as soon as it is known.

    Of a group that fails nothing is stored, and each of it is told that Django is to see to it: that includes a single
    one that nothing can be done with.
    """
    try:
        confirmed = _confirm({each.key for each in group}, time.monotonic())
        tell([(each, NotStored.DJANGO) for each in group if each.key not in confirmed])
        for kind in Kind:
            if of_kind := [each for each in group if each.kind is kind and each.key in confirmed]:
                _store(kind, of_kind, tell)
    except Exception:
        connection.close()  # whatever ails it, the next group has a new one
        raise


def _confirm(recalled: Collection[Key], seconds: float) -> set[Key]:
    keys = {each for each in recalled if isinstance(each.caller, Caller)}
    tokens = {each for each in recalled if isinstance(each.caller, Holder)}
    return {*KEYS.confirm(keys, seconds), *TOKENS.confirm(tokens, seconds)}


class Soon:
    """Wakes for sessions a moment later, for all that are added until then at once."""

    def __init__(self, wake: Callable[[Collection[UUID]], None], seconds: float = SOON_SECONDS) -> None:
        self._wake, self._seconds = wake, seconds
        self._lock = Lock()
        self._waiting: set[UUID] = set()

    def add(self, session_ids: Collection[UUID]) -> None:
        with self._lock:
            is_first = not self._waiting
            self._waiting.update(session_ids)
        if is_first:
            timer = Timer(self._seconds, self._wake_all)
            timer.daemon = True  # what is lost when the process ends the clock finds
            timer.start()

    def _wake_all(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        self._wake(waiting)


SOON = Soon(lambda session_ids: tasks.wake_now(session_ids))


def _store(kind: Kind, group: Sequence[Waiting], tell: Tell) -> None:
    second = int(time.time())
    passed = spend_together([each.spent for each in group], second)
    tell([(each, NotStored.DJANGO) for each, has_passed in zip(group, passed, strict=True) if not has_passed])
    group = [each for each, has_passed in zip(group, passed, strict=True) if has_passed]
    outcomes: Sequence[Recorded | NotTaken] = [NotTaken.OTHER] * len(group)
    try:
        recorded = RECORD[kind]([each.post for each in group], now())
        outcomes = recorded.outcomes
        tell(list(zip(group, outcomes, strict=True)))
    finally:
        again = [each.spent for each, found in zip(group, outcomes, strict=True) if not isinstance(found, Recorded)]
        give_back(again, second)
    for outcome in outcomes:
        if isinstance(outcome, Recorded):
            COUNT[kind](outcome)
    if recorded.moved and kind is Kind.ROWS:
        tasks.wake_now(recorded.moved)
    elif recorded.moved:
        SOON.add(recorded.moved)
