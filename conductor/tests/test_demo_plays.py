"""The demo on the product as it runs, at moments that it is given: an amber and a red incident, and a calm room."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor.local.demo import CALM, WEBINAR, open_demo_sessions, prepare_demo
from conductor.local.demo.player import KNOWN_ROWS, ROW, PlayedRoom, Player
from conductor.local.demo.story import AGAIN_SECONDS, LOOKED_SECONDS
from conductor.local.rest_client import RestClient
from conductor.tests.waiting import wait_until
from engagement.models import EngagementRow, Session
from engagement.recordings import open_recording
from engagement.slots import ROW_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)

LOOKS_AT_STEP = 4


def test_demo_becomes_an_amber_and_a_red_incident_and_a_calm_room(stack, tmp_path):
    demo = prepare_demo(tmp_path, now())
    stages = open_demo_sessions(demo, stack.url, now())
    ids = stages.webinar_id, stages.calm_id
    rooms = [
        PlayedRoom(id_, open_recording(show.recording, show.title).rows)
        for id_, show in zip(ids, (WEBINAR, CALM), strict=True)
    ]
    client = RestClient(stack.url, demo.api_key)
    player = Player(client, *rooms, data_dir=tmp_path)
    steps = len(rooms[0].rows) - LOOKED_SECONDS // ROW_SECONDS + 1 + LOOKS_AT_STEP
    looked_at = now() - steps * ROW
    started_at = looked_at - LOOKS_AT_STEP * ROW

    player.begin(started_at)
    places = [player.step(started_at + (step + 1) * ROW, is_watched=step >= LOOKS_AT_STEP) for step in range(steps + 1)]
    client.close()
    webinar, calm = (Session.objects.get(id=id_) for id_ in ids)
    newest = started_at + len(places) * ROW
    wait_until(lambda: Session.objects.filter(id__in=ids, judged_until__gte=newest).count() == 2, seconds=60)

    assert places[LOOKS_AT_STEP] == LOOKED_SECONDS // ROW_SECONDS - 1
    assert places[-1] == AGAIN_SECONDS // ROW_SECONDS, "it has begun anew"
    assert EngagementRow.objects.filter(session__in=ids, late=True).count() == 0
    assert {row.count() for row in (webinar.rows, calm.rows)} == {KNOWN_ROWS + len(places)}
    drop, leaving = Anomaly.objects.for_session(webinar).order_by("timestamp")
    assert (drop.anomaly_type, drop.severity, drop.status) == ("SUDDEN_DROP", "WARNING", "resolved")
    assert (leaving.anomaly_type, leaving.severity, leaving.status) == ("MASS_EXIT", "CRITICAL", "resolved")
    assert [step["severity"] for step in leaving.metadata["history"]][:2] == ["WARNING", "WARNING"]
    assert timedelta(seconds=20) <= drop.timestamp - looked_at <= timedelta(seconds=45)
    assert timedelta(minutes=6, seconds=45) <= leaving.timestamp - looked_at <= timedelta(minutes=7, seconds=15)
    assert not Anomaly.objects.for_session(calm).exists()
    assert [session.title for session in (webinar, calm)] == [WEBINAR.title, CALM.title]
