"""Call a sender, after the commit: one is enough, as each calls the next before it waits for anybody."""

import logging
from contextlib import suppress

import redis
from django.db import transaction
from kombu.exceptions import LimitExceeded
from kombu.exceptions import OperationalError as BrokerError

from conductor import carrier
from conductor.telling.celery import QUEUE, app

TELL = "conductor.telling.tasks.tell"
CALLED = "conductor:telling:called"
CALLED_SECONDS = 5  # a task that got lost is forgotten after this long
PRODUCER_SECONDS = 1.0

log = logging.getLogger(__name__)


def wake() -> None:
    """See to it, after the commit, that what was written is sent; what is lost here the clock makes good."""
    transaction.on_commit(call)


def call() -> None:
    """Send for a sender, unless one is under way."""
    with suppress(redis.RedisError):  # the log has been told
        with carrier.reach() as client:
            is_first = client.set(CALLED, 1, nx=True, ex=CALLED_SECONDS)
        if is_first:
            _send()


def answer() -> None:
    """Say that a sender looks now: what comes from here on needs another."""
    with suppress(redis.RedisError), carrier.reach() as client:
        client.delete(CALLED)


def _send() -> None:
    try:
        with app.producer_pool.acquire(block=True, timeout=PRODUCER_SECONDS) as producer:
            app.send_task(TELL, queue=QUEUE, producer=producer, retry=False, ignore_result=True)
    except (BrokerError, LimitExceeded) as error:
        log.warning("No sender was called, the clock will see to it: %s", error)
