import json
import logging
from uuid import uuid4

import pytest
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor import live
from conductor.live import SessionChange, announce
from conductor.payloads import anomaly_payload, row_payload
from conductor.screens.session import PARTS, render_parts, show_session
from conductor.tests import stage
from conductor.tests.told import Told
from engagement.models import EngagementRow

pytestmark = pytest.mark.django_db


def test_announce_renders_nothing_where_nobody_watches(session, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(live, "render_many", lambda *_: pytest.fail("rendered for nobody"))
    with django_assert_num_queries(0):
        announce([SessionChange(session.id, EngagementRow.objects.none())], stage.NOW)


def test_announce_sends_the_stream_what_the_contract_says(session):
    stream = Told(live.stream_group(session.id))
    row, opened = session.rows.last(), stage.incident(session)
    over = stage.incident(session, seconds=5, resolved_at=stage.NOW, status=Anomaly.Status.RESOLVED)
    renamed = stage.incident(session, seconds=10)
    change = SessionChange(session.id, row, detected=(opened,), resolved=(over,), corrected=(renamed,))
    announce([change], stage.NOW)
    assert [json.loads(frame) for frame in stream.frames()] == [
        {"type": "engagement:update", "engagement": row_payload(row)},
        {"type": "anomaly:detected", "anomaly": anomaly_payload(opened)},
        {"type": "anomaly:updated", "anomaly": anomaly_payload(renamed)},
        {"type": "anomaly:resolved", "anomaly": anomaly_payload(over)},
    ]


def test_announce_renders_a_screen_once_for_many_changes_of_a_session(session):
    screen = Told(live.dashboard_group(session.id))
    announce([SessionChange(session.id, None), SessionChange(session.id, None)], stage.NOW)
    assert screen.frames() == render_parts(show_session(session, stage.NOW))
    assert screen.frames() == []


@pytest.mark.parametrize("others", [0, live.ASKED_BY_NAME])
def test_announce_finds_whoever_watches_one_of_many(session, others):
    screen, stream = Told(live.dashboard_group(session.id)), Told(live.stream_group(session.id))
    announce([SessionChange(uuid4(), None) for _ in range(others)] + [SessionChange(session.id, None)], stage.NOW)
    assert len(screen.frames()) == len(PARTS)
    assert stream.frames() == []
    announce([SessionChange(session.id, session.rows.last())], stage.NOW)
    assert len(stream.frames()) == 1


def test_announce_tells_no_other_session(event, session):
    other = Told(live.dashboard_group(stage.live_session(event, "Other").id))
    announce([SessionChange(session.id, session.rows.last())], stage.NOW)
    assert other.frames() == []


def test_announce_survives_a_session_that_was_deleted():
    gone = uuid4()
    screen = Told(live.dashboard_group(gone))
    announce([SessionChange(gone, None)], now())
    assert screen.frames() == []


def test_announce_without_redis_logs_and_goes_on(session, settings, caplog):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    with caplog.at_level(logging.WARNING):
        announce([SessionChange(session.id, None)], stage.NOW)
    assert "No screen was told of 1 sessions" in caplog.text


def test_watched_is_whose_page_is_open(session):
    stream = Told(live.stream_group(session.id))
    assert session.id not in live.find_watched()
    screen = Told(live.dashboard_group(session.id))
    assert session.id in live.find_watched()
    for told in (stream, screen):
        told.pubsub.close()


def test_nobody_is_watched_without_redis(session, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert live.find_watched() == set()
