"""The demo's organizer, event and key: made once, and always usable with what is printed."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.http import HttpRequest

from anomalies.bench.simulation.demo import FIRST_INCIDENT_SECOND
from conductor.local.demo import BACKFILL_SECONDS, RECORDING, prepare_demo
from engagement.models import ApiKey, Event

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def test_demo_is_made_once_with_a_new_key_each_time(tmp_path):
    first = prepare_demo(tmp_path, NOW)
    second = prepare_demo(tmp_path, NOW)

    assert (second.event_id, second.password) == (first.event_id, first.password)
    assert Event.objects.get().organizers.get().username == "demo"
    assert ApiKey.objects.get(revoked_at=None).sha256 == ApiKey.digest(second.api_key)
    assert ApiKey.objects.get(revoked_at=NOW).sha256 == ApiKey.digest(first.api_key)


def test_demo_login_works_after_somebody_changed_it(tmp_path):
    prepare_demo(tmp_path, NOW)
    user = get_user_model().objects.get(username="demo")
    user.set_password("something else")
    user.is_active = False
    user.save()

    demo = prepare_demo(tmp_path, NOW)

    assert authenticate(HttpRequest(), username=demo.username, password=demo.password).is_superuser


def test_demo_leaves_other_events_and_keys_alone(tmp_path):
    other = Event.objects.create(name="Demo event")
    key, _ = ApiKey.objects.issue(other, "manage.py up")

    demo = prepare_demo(tmp_path, NOW)

    assert demo.event_id != other.id
    key.refresh_from_db()
    assert key.revoked_at is None


def test_demo_starts_shortly_before_attention_falls():
    assert BACKFILL_SECONDS == FIRST_INCIDENT_SECOND - 15


def test_demo_recording_is_in_the_tree():
    assert 0 < RECORDING.stat().st_size < 100_000
