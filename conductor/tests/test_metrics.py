"""What Prometheus is told."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from anomalies.models import Anomaly
from conductor.tests.rest import START, signals
from engagement.erasure import erase_sessions


def scrape(client) -> dict[tuple[str, frozenset], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def value(found: dict, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def test_metrics_count_rows(client, rest):
    path = f"/sessions/{rest.new_session(judged_until=START).id}/signals"
    before = scrape(client)

    rest.post(path, [signals(0), signals(5), signals(5)])
    after = scrape(client)

    name, outcomes = "conductor_rows_total", ("accepted", "duplicate", "late")
    grown = {
        outcome: value(after, name, outcome=outcome) - value(before, name, outcome=outcome) for outcome in outcomes
    }
    assert grown == {"accepted": 2, "duplicate": 1, "late": 1}


def test_metrics_count_requests_by_route_and_not_by_address(client, rest):
    path = f"/sessions/{rest.new_session().id}"
    labels = {"method": "GET", "route": "api/v1/sessions/<session_id>", "status": "200"}
    before = scrape(client)

    for _ in range(3):
        rest.get(path)
    rest.client.generic("BREW", "/teapot")
    after = scrape(client)

    assert value(after, "conductor_requests_total", **labels) - value(before, "conductor_requests_total", **labels) == 3
    assert value(after, "conductor_requests_total", method="other", route="none", status="404") >= 1
    assert value(after, "conductor_request_seconds_count", method="GET", route=labels["route"]) >= 3
    assert path not in str(after)


def test_metrics_tell_nothing_of_what_was_erased(client, rest):
    session = rest.new_session(status="live")
    facts = {"anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9}
    Anomaly.objects.create(event=rest.event, session=session, timestamp=START, **facts)
    rest.post(f"/sessions/{session.id}/signals", signals())
    before = scrape(client)
    assert value(before, "conductor_sessions", status="live") == 1

    erase_sessions([session.id], "ada", START)

    found = scrape(client)
    of_database = (
        "conductor_sessions",
        "conductor_anomalies",
        "conductor_anomalies_unresolved",
        "conductor_rows_waiting",
    )
    assert {number for (name, _), number in found.items() if name in of_database} == {0}


def test_metrics_tell_of_sessions_and_anomalies(client, rest):
    session = rest.new_session(status="live")
    rest.new_session(status="ended")
    for severity, resolved_at in (("WARNING", None), ("WARNING", START), ("CRITICAL", START)):
        Anomaly.objects.create(
            session=session,
            event=rest.event,
            timestamp=START,
            anomaly_type="MASS_EXIT",
            severity=severity,
            anomaly_score=0.9,
            resolved_at=resolved_at,
        )

    found = scrape(client)

    assert value(found, "conductor_database_up") == 1
    statuses = {status: value(found, "conductor_sessions", status=status) for status in ("scheduled", "live", "ended")}
    assert statuses == {"scheduled": 0, "live": 1, "ended": 1}
    assert value(found, "conductor_anomalies", anomaly_type="MASS_EXIT", severity="WARNING") == 2
    assert value(found, "conductor_anomalies_unresolved", anomaly_type="MASS_EXIT", severity="WARNING") == 1
    assert value(found, "conductor_anomalies_unresolved", anomaly_type="MASS_EXIT", severity="CRITICAL") == 0
    assert value(found, "conductor_anomalies", anomaly_type="SUDDEN_DROP", severity="WARNING") == 0


def test_metrics_tell_how_far_the_detector_is_behind(client, rest):
    session = rest.new_session()
    nothing_waits = scrape(client)
    rest.post(f"/sessions/{session.id}/signals", [signals(0), signals(5), signals(10)])
    session.rows.update(received_at=datetime.now(UTC) - timedelta(seconds=90))
    all_wait = scrape(client)
    type(session).objects.update(judged_until=START + timedelta(seconds=5))
    one_waits = scrape(client)

    assert [value(found, "conductor_rows_waiting") for found in (nothing_waits, all_wait, one_waits)] == [0, 3, 1]
    assert value(nothing_waits, "conductor_lag_seconds") == 0
    assert 90 <= value(one_waits, "conductor_lag_seconds") < 150


@pytest.mark.django_db(transaction=True)
def test_metrics_answer_without_a_database(client, monkeypatch):
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "HOST", "/nowhere")
        found = scrape(client)
        connection.close()

    assert value(found, "conductor_database_up") == 0
    assert value(found, "conductor_rows_total", outcome="accepted") >= 0


def test_metrics_name_nobody(client, rest):
    session = rest.new_session(title="Ada's keynote", external_id="room-1")
    rest.post(f"/sessions/{session.id}/signals", signals())

    text = client.get("/metrics").content.decode()

    for personal in ("Ada", "room-1", str(session.id), str(rest.event.id), rest.event.name, rest.secret):
        assert personal not in text
