"""What every program of Celery's needs: the broker, waited for once, and connections that last."""

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery
from django.conf import settings
from kombu.exceptions import LimitExceeded
from kombu.exceptions import OperationalError as BrokerError

PRODUCER_SECONDS = 1.0
KEPT_SECONDS = 300

log = logging.getLogger(__name__)


def call(app: Celery, what: str, send: Callable[[Any], object]) -> None:
    """Have a task sent with a producer of the application. Where the broker is away only the log is told."""
    try:
        # A connection of the pool is waited for so long and no longer: what the task is for is stored already.
        with app.producer_pool.acquire(block=True, timeout=PRODUCER_SECONDS) as producer:
            send(producer)
    except (BrokerError, LimitExceeded) as error:
        log.warning("Nobody was woken for %s, the clock will see to it: %s", what, error)


def keep_connections() -> None:
    """Have this process keep its connection to the database from task to task, and wait for no lock for ever."""
    database = settings.DATABASES["default"]
    database.setdefault("OPTIONS", {})["options"] = settings.WORKER_PATIENCE
    database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"] = KEPT_SECONDS, True
