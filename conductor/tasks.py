"""Celery tasks: read the clock, call the pipeline. And the wake-up that enqueues one."""

import gc
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import ParamSpec

import redis
from celery import Task, current_task
from celery.signals import heartbeat_sent, worker_init, worker_shutting_down
from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from conductor import archive, audit, heartbeat, housekeeping, pipeline, practice, wakeups
from conductor.broker import call
from conductor.celery import app
from conductor.preparing import prepare_lean
from conductor.telling import outbox
from engagement import condense, uploads

log = logging.getLogger(__name__)

P = ParamSpec("P")

LONG_SECONDS = 2.0
ADVANCE_SECONDS = 0.25  # of work: then it is the turn of whatever goes before
STAY_SECONDS = 1.0  # in which what comes is swept without a task of its own
CATCH_UP_SECONDS = 0.2
REST_SECONDS = 0.03
MANY = 2 * pipeline.SESSIONS_A_SWEEP  # sessions due, for which another worker is called
HOUSEKEEPING_SECONDS = 1.0  # of each five, so that sweeps find a worker
CONDENSING_SECONDS = 2.0  # of each minute
HEARTBEAT_SECONDS = 15  # a server may answer a byte at a time
READING_SECONDS = 600  # of one upload: a day of a thousand people takes one of them

_swept_at = [float("-inf")]  # by this process


@app.task(acks_late=True, ignore_result=True)
def advance() -> None:
    """Judge new rows, some of each session, while they come and the time lasts.

    Who sweeps alone stays for a moment and waits for more: to be sent for costs as much as many rows do.
    """
    task = _own_name()
    with _swept_again(wakeups.DUE, task) as is_alone:
        wait = partial(_comes_more, task) if is_alone else None
        _sweep_for(ADVANCE_SECONDS, "A sweep", pipeline.advance, _rest, wait)
    _enqueue(wakeups.LEFT)


@app.task(acks_late=True, ignore_result=True)
def catch_up() -> None:
    """Judge rows that sweeps have left, while no others wait: the settings say what goes before what."""
    with _swept_again(wakeups.LEFT, _own_name()):
        _sweep_for(CATCH_UP_SECONDS, "Catching up", pipeline.catch_up)


def _own_name() -> bytes:
    """Return what the task at work is known by: the same when it is delivered again, as its worker was killed."""
    return str(current_task.request.id or uuid.uuid4()).encode()


@contextmanager
def _swept_again(queue: wakeups.Queue, task: bytes) -> Iterator[bool]:
    """Sweep while nobody else is sent for, unless one cannot do it all; and have what is left swept.

    However much is due, one task waits at most: who begins sends for the next, and that is said in the queue. Yields
    whether nobody was, and no other task does the same.
    """
    is_enough = queue.count() < MANY
    is_alone = is_enough and queue.hold(task)
    if not is_enough:
        queue.release()
        _enqueue(queue)
    try:
        yield is_alone
    finally:
        if is_alone:
            queue.release(task)
        _enqueue(queue)


def _sweep_for(
    seconds: float,
    what: str,
    sweep: Callable[[datetime], bool],
    rest: Callable[[], None] | None = None,
    wait: Callable[[float], bool] | None = None,
) -> None:
    """Sweep for so long, and where nothing is there any more wait for it, until `STAY_SECONDS` have passed."""
    leaves_at = time.monotonic() + (seconds if wait is None else max(seconds, STAY_SECONDS))
    while True:
        if rest is not None:
            rest()
        began = time.monotonic()
        with _told_if_long(what):
            is_found = sweep(now())
        ended = time.monotonic()
        seconds -= ended - began
        if seconds <= 0 or ended >= leaves_at:
            return
        if not is_found and (wait is None or not wait(leaves_at - ended)):
            return


def _comes_more(task: bytes, seconds: float) -> bool:
    """Wait for what is new, unless something was left: whoever sees to that may need our process."""
    return not wakeups.LEFT.count() and wakeups.DUE.await_some(seconds, task)


def _rest() -> None:
    """Wait until the last sweep began long enough ago: what comes meanwhile is judged together, at less cost.

    While little comes it did, and nobody waits.
    """
    time.sleep(max(0.0, _swept_at[0] + REST_SECONDS - time.monotonic()))
    _swept_at[0] = time.monotonic()


@app.task(acks_late=True, ignore_result=True)
def tick() -> None:
    """Do what no post does: close windows by the clock, heal lost wake-ups, notice silence, end sessions."""
    if wakeups.claim_tick():
        with _told_if_long("A tick"):
            due, left = pipeline.tick(now())
        _add(wakeups.DUE, due)
        _add(wakeups.LEFT, left)


@contextmanager
def _told_if_long(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    if (lasted := time.monotonic() - started) > LONG_SECONDS:
        log.warning("%s took %.1f s.", what, lasted)


@worker_init.connect
def prepare_to_judge(**_: object) -> None:
    """Load the detector before the worker's processes part: they share it, and none is late for its first row.

    What is there now is there to stay. Whoever looked through it for garbage would write on all of it, and so have it
    once more for himself.
    """
    prepare_lean()
    gc.collect()
    gc.freeze()


@heartbeat_sent.connect
def say_that_we_live(**_: object) -> None:
    """Tell `/readyz`, with each beat of this worker's heart."""
    wakeups.say_worker_lives()


@worker_shutting_down.connect
def say_that_we_go(**_: object) -> None:
    """Tell `/readyz` too; another worker says within two seconds that it lives."""
    wakeups.say_worker_goes()


def wake(session_ids: Iterable[uuid.UUID]) -> None:
    """See to it, after the commit, that these sessions are swept.

    A Redis that is away loses the wake-up and nothing else: the tick finds the rows.
    """
    transaction.on_commit(partial(wake_now, list(session_ids)))


def wake_now(session_ids: Collection[uuid.UUID]) -> None:
    """Do so for who has committed already."""
    _add(wakeups.DUE, session_ids)


@app.task(acks_late=True, ignore_result=True)
def practise() -> None:
    """Post what is due in the practice rooms, and have it judged."""
    if wakeups.claim_tick("practice"):
        wake(practice.play_all(now()))


@app.task(acks_late=True, ignore_result=True)
def keep_house() -> None:
    """Erase for a second; what is left is left for the next time."""
    if wakeups.claim_tick("housekeeping"):
        housekeeping.step(now(), HOUSEKEEPING_SECONDS)


@app.task(acks_late=True, ignore_result=True)
def condense_rows() -> None:
    """Make buckets of long sessions for a while; what is left is left for the next time."""
    condense.step(CONDENSING_SECONDS)


@app.task(acks_late=True, ignore_result=True)
def tidy() -> None:
    """Find what has been kept for long enough, and forget old logins, uploads and changes."""
    housekeeping.note_due(now())
    housekeeping.forget_logins(now())
    uploads.forget_uploads(now())
    audit.forget(now())
    outbox.forget(now())


@app.task(acks_late=True, ignore_result=True, soft_time_limit=HEARTBEAT_SECONDS)
def send_heartbeat() -> None:
    """Tell whoever watches from outside that all is well."""
    if wakeups.claim_tick("heartbeat-due"):
        heartbeat.send(settings.HEARTBEAT_URL)


# The one task that works for long, so only one at a time does; who comes meanwhile leaves, and the next is called then.
@app.task(acks_late=True, ignore_result=True, soft_time_limit=READING_SECONDS, time_limit=READING_SECONDS + 60)
def read_upload() -> None:
    """Read the next upload, and have the one after it read."""
    if finished := archive.read_next_upload(now()):
        if finished.session_id:
            wake([finished.session_id])
        if uploads.is_one_waiting():
            wake_reader()


def wake_reader() -> None:
    """See to it, after the commit, that an upload is read; what is lost here the clock makes good."""
    transaction.on_commit(partial(_send, read_upload))


def _add(queue: wakeups.Queue, session_ids: Collection[uuid.UUID]) -> None:
    with suppress(redis.RedisError):  # the log has been told, and the tick will find what waits
        if queue.call(session_ids):
            _send(TASKS[queue])


def _enqueue(queue: wakeups.Queue) -> None:
    """Send for what waits, if something does."""
    with suppress(redis.RedisError):
        if queue.call_again():
            _send(TASKS[queue])


TASKS: dict[wakeups.Queue, Task[[], None]] = {wakeups.DUE: advance, wakeups.LEFT: catch_up}


def _send(task: Task[P, None], *args: P.args, **_: P.kwargs) -> None:
    call(app, f"{task.name}{args}", lambda producer: task.apply_async(args, producer=producer, retry=False))
