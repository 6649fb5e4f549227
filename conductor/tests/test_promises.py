"""Twelve promises of the published system, each a test that bears its name."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders

from anomalies.detector import counts
from anomalies.detector.config import DEFAULT
from anomalies.detector.evidence import Horizon
from anomalies.detector.prior import FOREST, shipped
from anomalies.detector.rows import as_rows
from anomalies.detector.state import LAST_MINUTE, Deviation, Figure, Series, Usual, new_states
from anomalies.detector.verdicts import judge, learn
from anomalies.models import Anomaly, DetectorMemory
from anomalies.tests.detector.test_classifier import decline
from anomalies.tests.rooms import at_minute, collapse, healthy_room, silence
from conductor import live
from conductor.tests import sweeping
from engagement.ingest import record_rows
from engagement.models import Event, Session

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 11, tzinfo=UTC)
COLLAPSED = collapse(healthy_room(minutes=15), at_minute(12))


@pytest.fixture
def event():
    event = Event.objects.create(name="Spring conference")
    event.organizers.add(User.objects.create_user("organizer", password="correct horse"))
    return event


@pytest.fixture
def judged(event):
    """Make a session with these rows, swept as a worker sweeps it."""

    def make(readings, session=None):
        session = session or Session.objects.create(event=event, title="Keynote")
        record_rows(session.id, readings, NOW)
        sweeping.sweep_all(NOW)
        session.refresh_from_db()
        return session

    return make


@pytest.fixture
def page(client, event):
    """Return what an organizer's page of a session shows in the banner slot."""
    client.force_login(event.organizers.get())

    def load(session):
        html = client.get(f"/sessions/{session.id}/").content.decode()
        start = html.index('id="anomaly-banner"')
        return html[start : html.index("</section>", start)]

    return load


def test_every_session_has_a_detector_of_its_own(judged):
    lively, calm = judged(healthy_room(1, 10)), judged(healthy_room(2, 10, chats_per_head=0.01))
    assert set(DetectorMemory.objects.values_list("session_id", flat=True)) == {lively.id, calm.id}
    assert bytes(lively.detector.state) != bytes(calm.detector.state)


def test_half_space_trees_detects():
    """An unusual row scores higher in the trees than every usual one, by the prior that all sessions share."""
    states = new_states(1)
    scores = []
    state, tuning = states.records[0], DEFAULT.record[0]
    for row in as_rows(silence(healthy_room(3, 12, audience=300), at_minute(11))).array:
        if counts.take(state, row, tuning):
            verdict = judge(state, shipped().quiet, tuning)
            if row["t"] < at_minute(11).timestamp():
                learn(state, verdict, tuning)
            scores.append((row["t"], verdict.tree_score, verdict.trees))
    usual = [tree for t, tree, _ in scores if at_minute(2).timestamp() < t < at_minute(11).timestamp()]
    unusual = [tree for t, tree, _ in scores if t > at_minute(11.5).timestamp()]
    assert min(unusual) > max(usual)
    assert scores[-1][2] > 0.6
    assert FOREST.n_trees == 10


def test_the_z_score_is_right():
    """z = −ln((x + ½) / (μ + ½)) / sqrt(2.5 / (μ + 1) + 0.34²): here 2 messages in a minute where 24 are usual."""
    states = new_states(1)
    states.history[:, Series.CHATS, -2:] = 1  # two chats
    states.history[:, Series.PEOPLE, LAST_MINUTE] = states.previous[:, Figure.PRESENT] = 100
    states.usual[:, Usual.CHAT_RATE] = 0.02  # a head and slot, to three digits
    judged = partial(judge, states.records[0], shipped().quiet, DEFAULT.record[0])
    z = judged().evidence.unscaled[Deviation.CHAT + Horizon.LONG]
    assert z == pytest.approx(-np.log(2.5 / 24.5) / np.sqrt(2.5 / 25 + 0.34**2), rel=1e-3)
    states.history[:, Series.CHATS, LAST_MINUTE] = 10  # a burst is not below anything
    assert judged().evidence.unscaled[Deviation.CHAT + Horizon.LONG] < 0


def test_each_type_is_classified_rightly(judged):
    dead = [replace(row, chat_msgs_per_min=0.0, reactions_per_min=0.0, active_users=5) for row in healthy_room(4, 5)]
    for expected, readings in (
        ("MASS_EXIT", COLLAPSED),
        ("SUDDEN_DROP", silence(healthy_room(2, 11), at_minute(10.5))),
        ("GRADUAL_DECLINE", decline(healthy_room(3, 18, audience=300), at_minute(10), at_minute(20), 0.25)),
        ("LOW_ENGAGEMENT", dead),
    ):
        session = judged(readings)
        assert [a.anomaly_type for a in Anomaly.objects.for_session(session)] == [expected]


def test_anomalies_are_stored(judged):
    session = judged(COLLAPSED)
    stored = Anomaly.objects.get()
    assert (stored.session_id, stored.event_id) == (session.id, session.event_id)
    assert at_minute(12) <= stored.timestamp <= at_minute(12) + timedelta(seconds=10)


def test_anomaly_detected_is_published(judged, event):
    session = judged(COLLAPSED[:140])
    layer = get_channel_layer()

    async def listen_and_sweep():
        from asgiref.sync import sync_to_async

        channel = await layer.new_channel()
        await layer.group_add(live.stream_group(session.id), channel)
        await sync_to_async(judged)(COLLAPSED[140:], session)
        try:
            return await layer.receive(channel)
        finally:
            await layer.group_discard(live.stream_group(session.id), channel)

    messages = [json.loads(frame) for frame in async_to_sync(listen_and_sweep)()["frames"]]
    (detected,) = [message for message in messages if message["type"] == "anomaly:detected"]
    assert detected["anomaly"]["id"] == str(Anomaly.objects.get().id)
    assert detected["anomaly"]["anomaly_type"] == "MASS_EXIT"


def test_sessions_do_not_touch_each_other(judged):
    alone = judged(healthy_room(5, 15))
    fallen, beside = judged(COLLAPSED), judged(healthy_room(5, 15))
    assert [a.session_id for a in Anomaly.objects.all()] == [fallen.id]
    assert bytes(alone.detector.state) == bytes(beside.detector.state)


def test_the_alert_shows(judged, page):
    healthy = judged(healthy_room(minutes=5))
    assert "data-anomaly-id" not in page(healthy)
    shown = page(judged(COLLAPSED))
    assert f'data-anomaly-id="{Anomaly.objects.get().id}"' in shown


def test_its_style_follows_the_severity(judged, page):
    session = judged(COLLAPSED)
    style = Path(finders.find("css/parts/anomaly-banner.css")).read_text()
    for severity in ("CRITICAL", "WARNING"):
        Anomaly.objects.update(severity=severity)
        shown = page(session)
        assert f'data-severity="{severity}"' in shown
        assert f"#icon-{severity.lower()}" in shown
        assert f'.incident[data-severity="{severity}"]' in style


def test_its_type_shows(judged, page):
    shown = page(judged(COLLAPSED))
    assert 'data-anomaly-type="MASS_EXIT"' in shown
    assert "Mass exit" in shown


def test_its_deviation_shows(judged, page):
    session = judged(COLLAPSED)
    expected, now = Anomaly.objects.get().expected_engagement, session.rows.last().engagement_score
    shown = page(session)
    for score in (now, expected):
        assert f"<dd>{score:.2f}</dd>".replace("0.", ".") in shown
    assert f"−{100 * (1 - now / expected):.0f}\u202f%" in shown


def test_it_goes_when_new_data_says_so(judged, page):
    back = collapse(healthy_room(minutes=20), at_minute(12), at_minute(13))
    session = judged(back[:150])
    assert "data-anomaly-id" in page(session)
    judged(back[150:], session)
    assert "data-anomaly-id" not in page(session)
