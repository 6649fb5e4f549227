"""Call a sender, after the commit: one is enough, as each calls the next before it waits for anybody."""

from contextlib import suppress
from typing import Any

import redis
from django.db import transaction

from conductor import broker, carrier
from conductor.telling.celery import QUEUE, app

TELL = "conductor.telling.tasks.tell"
CALLED = "conductor:telling:called"
CALLED_SECONDS = 5  # a task that got lost is forgotten after this long


def wake() -> None:
    """See to it, after the commit, that what was written is sent; what is lost here the clock makes good."""
    transaction.on_commit(call)


def call() -> None:
    """Send for a sender, unless one is under way."""
    with suppress(redis.RedisError):  # the log has been told
        with carrier.reach() as client:
            is_first = client.set(CALLED, 1, nx=True, ex=CALLED_SECONDS)
        if is_first:
            broker.call(app, TELL, _send)


def answer() -> None:
    """Say that a sender looks now: what comes from here on needs another."""
    with suppress(redis.RedisError), carrier.reach() as client:
        client.delete(CALLED)


def _send(producer: Any) -> None:
    app.send_task(TELL, queue=QUEUE, producer=producer, retry=False, ignore_result=True)
