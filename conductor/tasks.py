"""Celery tasks: read the clock, call the pipeline. And the wake-up that enqueues one."""

import logging
import uuid
from collections.abc import Iterable

import redis
from django.db import transaction
from django.utils.timezone import now
from kombu.exceptions import OperationalError as BrokerError

from conductor import pipeline, wakeups
from conductor.celery import app
from engagement.models import partition_of

log = logging.getLogger(__name__)


@app.task(acks_late=True, ignore_result=True)
def advance_partition(partition: int) -> None:
    """Judge the new rows of every session in one partition."""
    pipeline.advance(partition, now())


@app.task(acks_late=True, ignore_result=True)
def tick() -> None:
    """Do what no post does: close windows by the clock, heal lost wake-ups, notice silence, end sessions."""
    pipeline.tick(now())


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
                advance_partition.apply_async((partition,), retry=False)
        except (redis.RedisError, BrokerError) as error:
            log.warning("partition %s was not woken, the tick will find it: %s", partition, error)
            return
