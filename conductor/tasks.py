"""Celery tasks: read the clock, call the pipeline. And the wake-up that enqueues one."""

import logging
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import redis
from celery.signals import heartbeat_sent, worker_shutting_down
from django.db import transaction
from django.utils.timezone import now
from kombu.exceptions import LimitExceeded
from kombu.exceptions import OperationalError as BrokerError

from conductor import pipeline, wakeups
from conductor.celery import app
from engagement.models import partition_of

log = logging.getLogger(__name__)

PRODUCER_SECONDS = 1.0
LONG_SECONDS = 2.0


@app.task(acks_late=True, ignore_result=True)
def advance_partition(partition: int) -> None:
    """Judge the new rows of every session in one partition; where that takes long, go on when others had their turn."""
    with _told_if_long(f"A sweep of partition {partition}"):
        is_left = pipeline.advance(partition, now())
    if is_left:
        _enqueue([partition])


@app.task(acks_late=True, ignore_result=True)
def tick() -> None:
    """Do what no post does: close windows by the clock, heal lost wake-ups, notice silence, end sessions."""
    if wakeups.claim_tick():
        with _told_if_long("A tick"):
            _enqueue(pipeline.tick(now()))


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
    partitions = {partition_of(session_id) for session_id in session_ids}
    transaction.on_commit(lambda: _enqueue(partitions))


def _enqueue(partitions: Iterable[int]) -> None:
    for partition in sorted(partitions):
        try:
            if wakeups.raise_flag(partition):
                # A connection of the pool is waited for so long and no longer: the row is stored already.
                with app.producer_pool.acquire(block=True, timeout=PRODUCER_SECONDS) as producer:
                    advance_partition.apply_async((partition,), producer=producer, retry=False)
        except redis.RedisError:
            return  # the log has been told, and the tick will find what waits
        except (BrokerError, LimitExceeded) as error:
            log.warning("Partition %s was not woken, the tick will find it: %s", partition, error)
            return
