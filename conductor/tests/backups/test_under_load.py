"""A backup of the product as it runs: one moment of it, from which another database goes on as if nothing had been."""

import threading

import pytest

from anomalies.detector.changes import Step
from anomalies.detector.replay import judge_rows
from anomalies.detector.state import new_states, pack
from anomalies.detector.timetables import Timetable
from anomalies.models import Anomaly
from anomalies.tests.rooms import at_minute, collapse, healthy_room, silence
from conductor.backups.take import take_backup
from conductor.local.rest_client import RestClient
from conductor.tests.databases import manage, plain_database, run_python
from conductor.tests.waiting import wait_until
from engagement.models import ApiKey, Event, Session
from engagement.readings import Reading
from engagement.recordings.jsonl import signals_object

pytestmark = pytest.mark.django_db(transaction=True)

TELL = """
import json
from anomalies.models import Anomaly
from engagement.models import Session

print(json.dumps({session.title: {
    "rows": session.rows.count(),
    "judged": session.rows.filter(timestamp__lte=session.judged_until).count() if session.judged_until else 0,
    "memory": bytes(session.detector.state).hex() if hasattr(session, "detector") else None,
    "anomalies": list(Anomaly.objects.for_session(session).order_by("timestamp").values(
        "id", "timestamp", "anomaly_type", "severity", "status", "resolved_at", "metadata", "description")),
} for session in Session.objects.all()}, default=str))
"""
GO_ON = """
from anomalies.models import Anomaly
from anomalies.tests.rooms import at_minute
from conductor.tests.sweeping import sweep_all
from conductor.tests.backups.test_under_load import story
from engagement.ingest import record_rows
from engagement.models import Session

for session in Session.objects.all():
    record_rows(session.id, story(int(session.title)), at_minute(60))
sweep_all(at_minute(60))
print("null")
"""


def story(seed: int) -> list[Reading]:
    return collapse(silence(healthy_room(seed, 30), at_minute(8), at_minute(11)), at_minute(25))


class Platform(threading.Thread):
    """Posts the stories of all sessions side by side, and holds the last rows back until the backup is there."""

    def __init__(self, url: str, sessions: list[Session], secret: str):
        super().__init__()
        self.client, self.sessions = RestClient(url, secret), sessions
        self.posts = 0
        self.backup_is_there = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        stories = {session: [signals_object(row) for row in story(int(session.title))] for session in self.sessions}
        try:
            for first in range(0, 360, 3):
                if first == 330:
                    self.backup_is_there.wait(60)
                for session, rows in stories.items():
                    self.client.post(f"/sessions/{session.id}/signals", rows[first : first + 3])
                    self.posts += 1
        except Exception as error:
            self.error = error
        finally:
            self.client.close()


def opened_in(rows: list[Reading]) -> tuple[str, list[str]]:
    """Return what a detector remembers after these rows, and when its incidents opened."""
    states = new_states(1)
    changes = judge_rows(states, [rows], [Timetable()])[0]
    return pack(states[0]).hex(), [str(change.at) for change in changes if change.step == Step.OPENED]


@pytest.mark.long
def test_backup_under_load_is_one_moment_and_the_product_goes_on_from_there(stack, tmp_path):
    event = Event.objects.create(name="Conference")
    sessions = [Session.objects.create(event=event, title=str(seed)) for seed in range(4)]
    platform = Platform(stack.url, sessions, ApiKey.objects.issue(event, "platform")[1])
    platform.start()
    try:
        # The first incident of each is open or over, the second has not begun.
        met = Anomaly.objects.values("session").distinct()
        wait_until(lambda: met.count() == 4, seconds=120, is_hopeless=lambda: not platform.is_alive())
        before = platform.posts
        take_backup(tmp_path / "a.zip")
        after = platform.posts
    finally:
        platform.backup_is_there.set()
        platform.join(120)
    assert platform.error is None
    assert after > before, "rows were posted while the backup was taken"

    with plain_database() as restored:
        manage(restored, "restore", tmp_path / "a.zip")
        then = run_python(restored, TELL)
        for session in sessions:
            moment, rows = then[session.title], story(int(session.title))
            assert 0 < moment["judged"] <= moment["rows"] < len(rows)
            memory, opened = opened_in(rows[: moment["judged"]])
            assert moment["memory"] == memory
            assert [anomaly["timestamp"] for anomaly in moment["anomalies"]] == opened
            assert opened

        run_python(restored, GO_ON)
        last = at_minute(30)
        wait_until(lambda: not Session.objects.exclude(judged_until=last).exists(), seconds=120)
        gone_on, undisturbed = run_python(restored, TELL), run_python(stack.environment["DATABASE_URL"], TELL)

    for session in sessions:
        here, there = undisturbed[session.title], gone_on[session.title]
        memory, opened = opened_in(story(int(session.title)))
        assert there["memory"] == here["memory"] == memory
        assert [anomaly["timestamp"] for anomaly in there["anomalies"]] == opened
        assert len(opened) == 2
        for kept, known in zip(there["anomalies"], here["anomalies"], strict=True):
            assert kept | {"id": None} == known | {"id": None}
        known = {anomaly["id"] for anomaly in then[session.title]["anomalies"]}
        assert known <= {anomaly["id"] for anomaly in here["anomalies"]}
