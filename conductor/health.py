"""Say whether the process lives and whether it can do its work; never takes long, never fails."""

import logging
from collections.abc import Callable

import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from redis.backoff import NoBackoff
from redis.retry import Retry

from conductor.celery import app

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
CONNECT_SECONDS = 2  # libpq knows whole seconds, and takes 1 for 2


def healthz(request: HttpRequest) -> JsonResponse:
    """The process lives."""
    return JsonResponse({"status": "alive"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Database, Redis and at least one worker answer, or else what is missing."""
    missing = [name for name, answers in CHECKS.items() if not _holds(name, answers)]
    if missing:
        return JsonResponse({"status": "not ready", "missing": missing}, status=503, headers={"Retry-After": "5"})
    return JsonResponse({"status": "ready", "missing": []})


def _holds(name: str, answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except Exception as error:  # a broken broker raises whatever its client likes; here each means "missing"
        logger.warning("Not ready, the %s does not answer: %s", name, error)
        return False


def _database_answers() -> bool:
    # A connection of its own: the pool's would wait ten seconds for a server that is away.
    params = connection.get_connection_params() | {"connect_timeout": CONNECT_SECONDS}
    with psycopg.connect(**params) as fresh:
        return fresh.execute("SELECT 1").fetchone() is not None


def _redis_answers() -> bool:
    with redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=WAIT_SECONDS,
        socket_connect_timeout=WAIT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        return bool(client.ping())


def _worker_answers() -> bool:
    if not _redis_answers():
        return False
    return bool(app.control.ping(timeout=WAIT_SECONDS, limit=1))


CHECKS = {"database": _database_answers, "redis": _redis_answers, "worker": _worker_answers}
