"""Celery tasks: read the clock, call the pipeline. And the wake-up that enqueues one."""

import logging
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import ParamSpec

import redis
from celery import Task
from celery.signals import heartbeat_sent, worker_shutting_down
from django.conf import settings
from django.db import transaction
from django.utils.timezone import now
from kombu.exceptions import LimitExceeded
from kombu.exceptions import OperationalError as BrokerError

from conductor import archive, audit, heartbeat, housekeeping, pipeline, wakeups
from conductor.celery import app
from engagement import uploads
from engagement.models import partition_of

log = logging.getLogger(__name__)

P = ParamSpec("P")

PRODUCER_SECONDS = 1.0
LONG_SECONDS = 2.0
HOUSEKEEPING_SECONDS = 1.0  # of each five, so that sweeps find a worker
HEARTBEAT_SECONDS = 15  # a server may answer a byte at a time
READING_SECONDS = 600  # of one upload: a day of a thousand people takes one of them


@app.task(acks_late=True, ignore_result=True)
def advance_partition(partition: int) -> None:
    """Judge new rows of the sessions in one partition, some of each."""
    with _told_if_long(f"A sweep of partition {partition}"):
        _leave(partition, pipeline.advance(partition, now()))


@app.task(acks_late=True, ignore_result=True)
def catch_up(partition: int) -> None:
    """Judge rows that a sweep left, while no others wait: the settings say what goes before what."""
    wakeups.lower_flag(partition, of_rest=True)
    with _told_if_long(f"Catching up in partition {partition}"):
        _leave(partition, pipeline.catch_up(partition, now()))


@app.task(acks_late=True, ignore_result=True)
def tick() -> None:
    """Do what no post does: close windows by the clock, heal lost wake-ups, notice silence, end sessions."""
    if wakeups.claim_tick():
        with _told_if_long("A tick"):
            for partition, is_new, is_left in pipeline.tick(now()):
                if is_new:
                    _enqueue(partition)
                if is_left:
                    _enqueue(partition, of_rest=True)


@contextmanager
def _told_if_long(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    if (lasted := time.monotonic() - started) > LONG_SECONDS:
        log.warning("%s took %.1f s.", what, lasted)


@heartbeat_sent.connect
def say_that_we_live(**_: object) -> None:
    """Tell `/readyz`, with each beat of this worker's heart."""
    wakeups.say_worker_lives()


@worker_shutting_down.connect
def say_that_we_go(**_: object) -> None:
    """Tell `/readyz` too; another worker says within two seconds that it lives."""
    wakeups.say_worker_goes()


def wake(session_ids: Iterable[uuid.UUID]) -> None:
    """See to it, after the commit, that the partitions of these sessions are swept.

    A Redis that is away loses the wake-up and nothing else: the tick finds the rows.
    """
    partitions = sorted({partition_of(session_id) for session_id in session_ids})
    for partition in partitions:
        transaction.on_commit(partial(_enqueue, partition))


@app.task(acks_late=True, ignore_result=True)
def keep_house() -> None:
    """Erase for a second; what is left is left for the next time."""
    if wakeups.claim_tick("housekeeping"):
        housekeeping.step(now(), HOUSEKEEPING_SECONDS)


@app.task(acks_late=True, ignore_result=True)
def tidy() -> None:
    """Find what has been kept for long enough, and forget old logins, uploads and changes."""
    housekeeping.note_due(now())
    housekeeping.forget_logins(now())
    uploads.forget_uploads(now())
    audit.forget(now())


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


def _leave(partition: int, left: pipeline.Left) -> None:
    """See to it that what a sweep has left is done; whoever raised the flag meanwhile may have met our lock."""
    if left.is_woken:
        _send(advance_partition, partition)
    if left.is_behind:
        _enqueue(partition, of_rest=True)


def _enqueue(partition: int, *, of_rest: bool = False) -> None:
    with suppress(redis.RedisError):  # the log has been told, and the tick will find what waits
        if wakeups.raise_flag(partition, of_rest=of_rest):
            _send(catch_up if of_rest else advance_partition, partition)


def _send(task: Task[P, None], *args: P.args, **_: P.kwargs) -> None:
    try:
        # A connection of the pool is waited for so long and no longer: what the task is for is stored already.
        with app.producer_pool.acquire(block=True, timeout=PRODUCER_SECONDS) as producer:
            task.apply_async(args, producer=producer, retry=False)
    except (BrokerError, LimitExceeded) as error:
        log.warning("Nobody was woken for %s%s, the clock will see to it: %s", task.name, args, error)
