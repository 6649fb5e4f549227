"""Say whether the process lives and whether it can do its work; never takes long, never fails."""

import logging
import threading
import time
from collections.abc import Callable

import psycopg
from django.db import connection
from django.http import HttpRequest, JsonResponse

from conductor import carrier, requests, wakeups
from conductor.outages import COME_BACK
from engagement import cursors

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 2  # libpq knows whole seconds, and takes 1 for 2
QUERY_OPTIONS = "-c statement_timeout=2s -c lock_timeout=1s"
FRESH_SECONDS = 2.0  # how long what was found is answered again, however many ask
PATIENCE_SECONDS = 8.0  # how long one who asks waits for the one who looks
NEGLECT_SECONDS = 20.0  # a session is judged within seconds, whatever else there is to do


def healthz(request: HttpRequest) -> JsonResponse:
    """The process lives, and no request of its hangs."""
    if requests.is_one_stuck(time.monotonic()):
        return JsonResponse({"status": "stuck"}, status=503)
    return JsonResponse({"status": "alive"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Database, Redis and at least one worker answer, and rows are judged, or else what is missing."""
    missing = READINESS.missing()
    if missing:
        return JsonResponse({"status": "not ready", "missing": missing}, status=503, headers=COME_BACK)
    return JsonResponse({"status": "ready", "missing": []})


def find_missing() -> list[str]:
    """Return what does not answer. With connections of its own: those of the pool are for those who work."""
    missing = [name for name, answers in SERVERS.items() if not _holds(name, answers)]
    if "database" not in missing and not _holds("judging", _rows_are_judged):
        missing.append("judging")
    return missing


class Readiness:
    """What is missing, as one caller at a time finds out and all are told: it costs the same however many ask."""

    def __init__(self, find: Callable[[], list[str]] = find_missing) -> None:
        self.find = find
        self.forget()

    def forget(self) -> None:
        self._looking = threading.Lock()
        self._found: list[str] = []
        self._fresh_until = 0.0

    def missing(self) -> list[str]:
        """Return what is missing, now or a moment ago."""
        if not self._looking.acquire(timeout=PATIENCE_SECONDS):
            return ["answer"]
        try:
            if time.monotonic() >= self._fresh_until:
                self._found = self.find()
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._found
        finally:
            self._looking.release()


READINESS = Readiness()


def _holds(name: str, answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except Exception as error:  # a broken server raises whatever its client likes; here each means "missing"
        logger.warning("Not ready, the %s does not answer: %s", name, error)
        return False


def _database_answers() -> bool:
    with _fresh_connection() as fresh:
        return fresh.execute("SELECT 1").fetchone() is not None


def _redis_answers() -> bool:
    with carrier.reach() as client:
        return bool(client.ping())


def _rows_are_judged() -> bool:
    with _fresh_connection() as fresh:
        [seconds] = fresh.execute(cursors.NEGLECT).fetchone() or [0.0]
    return float(seconds) < NEGLECT_SECONDS


def _fresh_connection() -> "psycopg.Connection[tuple[float]]":
    params = connection.get_connection_params() | {"connect_timeout": CONNECT_SECONDS, "options": QUERY_OPTIONS}
    return psycopg.connect(**params)


SERVERS = {"database": _database_answers, "redis": _redis_answers, "worker": wakeups.does_worker_live}
