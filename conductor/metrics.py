"""Numbers for Prometheus: what this process counted, and what the database says at the moment of the scrape."""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.db import DatabaseError, InterfaceError, connection
from django.db.backends.utils import CursorWrapper
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from anomalies.models import Anomaly
from engagement.cursors import measure_backlog, measure_neglect
from engagement.ingest import Recorded
from engagement.models import Session

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

SESSIONS = "SELECT status, count(*) FROM engagement_session WHERE erased_at IS NULL GROUP BY status"
ANOMALIES = """
    SELECT anomaly_type, severity, count(*), count(*) FILTER (WHERE resolved_at IS NULL)
    FROM anomalies a JOIN engagement_session s ON s.id = a.session_id WHERE s.erased_at IS NULL GROUP BY 1, 2
"""

registry = CollectorRegistry()
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)
REQUESTS = Counter(
    "conductor_requests", "Requests that this process answered.", ["method", "route", "status"], registry=registry
)
DURATION = Histogram(
    "conductor_request_seconds", "How long this process took to answer.", ["method", "route"], registry=registry
)
ROWS = Counter("conductor_rows", "Engagement rows that reached this process.", ["outcome"], registry=registry)
EVENTS = Counter("conductor_events", "Raw events that reached this process.", ["outcome"], registry=registry)
SOCKETS = Gauge("conductor_sockets", "Sockets that are open in this process.", ["kind"], registry=registry)
for kind in ("dashboard", "list", "stream"):
    SOCKETS.labels(kind)
for outcome in ("accepted", "duplicate", "late"):
    ROWS.labels(outcome)
    EVENTS.labels(outcome)


def count_rows(recorded: Recorded) -> None:
    """Count a batch; a late row is an accepted one as well."""
    _count_batch(ROWS, recorded)


def count_events(recorded: Recorded) -> None:
    """Count a batch; a late event is an accepted one as well."""
    _count_batch(EVENTS, recorded)


def _count_batch(counter: Counter, recorded: Recorded) -> None:
    counter.labels("accepted").inc(recorded.accepted)
    counter.labels("duplicate").inc(recorded.duplicates)
    counter.labels("late").inc(recorded.late)


def metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class DatabaseCollector:
    """Asks at every scrape, so that any web process gives the same answer."""

    def collect(self) -> Iterator[Metric]:
        found = []
        try:
            with connection.cursor() as cursor:
                found = list(_measure(cursor))
        except (DatabaseError, InterfaceError):
            pass
        yield GaugeMetricFamily("conductor_database_up", "Whether the database answered.", value=bool(found))
        yield from found


def _measure(cursor: CursorWrapper) -> Iterator[Metric]:
    cursor.execute(SESSIONS)
    counts = dict(cursor.fetchall())
    sessions = GaugeMetricFamily("conductor_sessions", "Sessions by status.", labels=["status"])
    for status in Session.Status.values:
        sessions.add_metric([status], counts.get(status, 0))
    yield sessions

    cursor.execute(ANOMALIES)
    counts = {(kind, severity): (opened, going_on) for kind, severity, opened, going_on in cursor.fetchall()}
    labels = ["anomaly_type", "severity"]
    opened = GaugeMetricFamily("conductor_anomalies", "Anomalies that are stored.", labels=labels)
    going_on = GaugeMetricFamily("conductor_anomalies_unresolved", "Incidents that go on now.", labels=labels)
    for kind in Anomaly.Type.values:
        for severity in Anomaly.Severity.values:
            stored, unresolved = counts.get((kind, severity), (0, 0))
            opened.add_metric([kind, severity], stored)
            going_on.add_metric([kind, severity], unresolved)
    yield opened
    yield going_on

    rows, seconds = measure_backlog()
    yield GaugeMetricFamily("conductor_rows_waiting", "Rows that are stored and not yet judged.", value=rows)
    yield GaugeMetricFamily("conductor_lag_seconds", "How long the oldest of them has waited.", value=seconds)
    yield GaugeMetricFamily(
        "conductor_neglect_seconds",
        "For how long the session that has waited longest has not been looked at.",
        value=measure_neglect(),
    )


registry.register(DatabaseCollector())


@sync_and_async_middleware
def count_requests(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Count and time every request, by the template of its route: an address with ids would be a series each."""
    if iscoroutinefunction(get_response):

        async def count_later(request: HttpRequest) -> HttpResponse:
            started = perf_counter()
            return _count(request, await get_response(request), started)

        return count_later

    def count(request: HttpRequest) -> HttpResponse:
        started = perf_counter()
        return _count(request, get_response(request), started)

    return count


def _count(request: HttpRequest, response: HttpResponse, started: float) -> HttpResponse:
    method = request.method if request.method in METHODS else "other"
    route = request.resolver_match.route if request.resolver_match else "none"
    REQUESTS.labels(method, route, response.status_code).inc()
    DURATION.labels(method, route).observe(perf_counter() - started)
    return response
