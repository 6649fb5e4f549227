"""Kill anything at any moment: no row lost, no incident lost or doubled."""

import signal

import pytest
import redis
from django.utils.timezone import now

from anomalies.detector.changes import Step
from anomalies.detector.replay import judge_rows
from anomalies.detector.state import new_states, pack
from anomalies.detector.timetables import Timetable
from anomalies.models import Anomaly
from anomalies.tests.rooms import at_minute, collapse, healthy_room, silence
from conductor.tests.waiting import wait_until
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Event, Session

pytestmark = pytest.mark.django_db(transaction=True)


def story(seed):
    return collapse(silence(healthy_room(seed, 30), at_minute(8), at_minute(11)), at_minute(25))


def test_worker_killed_redis_emptied_and_web_restarted_leave_an_undisturbed_run(stack):
    event = Event.objects.create(name="Conference")
    sessions = [Session.objects.create(event=event, title=f"Room {place}") for place in range(6)]
    rows = {session.id: story(seed) for seed, session in enumerate(sessions)}
    for session in sessions:
        record_rows(session.id, rows[session.id], now())

    def is_in_the_middle():
        judged = Session.objects.filter(judged_until__isnull=False)
        return judged.exists() and judged.filter(judged_until__lt=rows[sessions[0].id][-1].timestamp).exists()

    wait_until(is_in_the_middle)
    worker = stack.processes.pop("worker")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert is_in_the_middle(), "the worker was killed in the middle of its work"
    redis.Redis.from_url(stack.environment["REDIS_URL"]).flushdb()
    stack.stop("web")
    stack.start_web()
    stack.start_worker()
    wait_until(
        lambda: not Session.objects.exclude(judged_until=rows[sessions[0].id][-1].timestamp).exists(), seconds=90
    )

    for session in sessions:
        states = new_states(1)
        changes = judge_rows(states, [rows[session.id]], [Timetable()])[0]
        session.refresh_from_db()
        assert EngagementRow.objects.for_session(session).count() == len(rows[session.id])
        assert bytes(session.detector.state) == pack(states[0])
        opened = [change.at for change in changes if change.step == Step.OPENED]
        assert (
            list(Anomaly.objects.for_session(session).order_by("timestamp").values_list("timestamp", flat=True))
            == opened
        )
        history = [
            entry for a in Anomaly.objects.for_session(session).order_by("timestamp") for entry in a.metadata["history"]
        ]
        assert [entry["change"] for entry in history] == [str(change.step) for change in changes]
