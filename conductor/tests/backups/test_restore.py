"""Restoring a backup: all of it, with another release's tables too, or nothing and the reason."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import psycopg
import pytest
from django.db import connection

from conductor.backups import restore
from conductor.backups.form import MANIFEST, CannotRestore
from conductor.backups.restore import restore_backup
from conductor.backups.take import take_backup
from conductor.local import addresses
from conductor.telling.outbox import RESTORED
from conductor.tests.databases import ask, manage, plain_database, refusal, rows_of, run_python, tables_of

pytestmark = pytest.mark.servers

FILL = r"""
from datetime import timedelta
from django.contrib.auth.models import Group, User
from anomalies.models import Actor, Anomaly
from anomalies.tests.rooms import at_minute, collapse, healthy_room
from conductor.tests.sweeping import sweep_all
from engagement.events import record_events
from engagement.ingest import record_rows
from django.utils.timezone import now
from conductor.telling.channels import make_channel
from conductor.telling.outbox import write_test
from engagement.models import ApiKey, Event, Session
from engagement.windows import RawEvent

event = Event.objects.create(name="Spring\tschool \\N \\. \r\n „größer“ 🌷")
mara, gone = (User.objects.create_user(name, password="correct horse") for name in ("mara", "gone"))
mara.groups.add(Group.objects.create(name="staff"))
event.organizers.add(mara)
ApiKey.objects.issue(event, "platform")
rooms = [Session.objects.create(event=event, title=f"Room {place}") for place in range(2)]
record_rows(rooms[0].id, collapse(healthy_room(minutes=22), at_minute(18)), at_minute(60))
told = [RawEvent("chat", at_minute(n / 9), user=f"u{n % 7}", id=str(n)) for n in range(90)]
record_events(rooms[1].id, told, at_minute(60))
sweep_all(at_minute(60))
Anomaly.objects.first().annotate("Fire drill.", Actor.of(mara), at_minute(61))
hook = make_channel(event.id, "webhook", "https://hooks.example.org/", now())
for is_delivered in (True, False):
    message = write_test(hook, now())
    if is_delivered:
        message.deliver(now())
gone.delete()
print("null")
"""
NEXT_USER = (
    "import json; from django.contrib.auth.models import User; print(json.dumps(User.objects.create_user('new').pk))"
)
OF_AN_OLDER_RELEASE = """
    INSERT INTO engagement_event (id, name, created_at) VALUES (gen_random_uuid(), 'Spring school', now());
    INSERT INTO engagement_session
        (id, event_id, title, breaks, lateness_seconds, status, detector_state, partition, created_at)
        SELECT gen_random_uuid(), id, 'Opening', '[]', 2, 'live', 'WATCHING', 3, now() FROM engagement_event;
    INSERT INTO engagement (session_id, timestamp, total_users, late, received_at)
        SELECT id, timestamptz '2026-03-02 09:00Z' + n * interval '5 s', n, false, now()
        FROM engagement_session, generate_series(1, 9) n;
    INSERT INTO "anomalies_detectorstate" (session_id, version, state, updated_at)
        SELECT id, 1, '\\x00ff5c', now() FROM engagement_session
"""


@pytest.fixture(scope="module")
def original() -> Iterator[str]:
    """A database in which every kind of row is."""
    with plain_database() as url:
        manage(url, "migrate")
        run_python(url, FILL)
        yield url


@pytest.fixture(scope="module")
def backup(original, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("backup") / "a.zip"
    manage(original, "backup", path)
    return path


@pytest.fixture
def empty() -> Iterator[str]:
    with plain_database() as url:
        yield url


def rewritten(backup: Path, path: Path, table: str, rows: bytes, count: int) -> Path:
    """Write a backup of which one table has other rows, and says that it has so many."""
    with ZipFile(backup) as old, ZipFile(path, "w") as new:
        manifest = json.loads(old.read(MANIFEST))
        (facts,) = (facts for facts in manifest["tables"] if facts["name"] == table)
        facts |= {"rows": count, "sha256": hashlib.sha256(rows).hexdigest()}
        for name in old.namelist():
            changed = {MANIFEST: json.dumps(manifest).encode(), f"{table}.copy": rows}
            new.writestr(name, changed[name] if name in changed else old.read(name))
    return path


def facts_of(url: str) -> dict[str, list[str]]:
    """Return the rows of all tables but of the messages, which a restore settles."""
    rows = rows_of(url)
    del rows["telling_messages"]
    return rows


def test_restored_database_is_the_original(original, backup, empty):
    said = manage(empty, "restore", backup).stdout

    rows = rows_of(original)
    assert facts_of(empty) == facts_of(original)
    assert {"engagement", "anomalies", "detector_memory", "raw_events", "presence", "rooms", "auth_user_groups"} <= {
        table for table in rows if rows[table]
    }
    assert said.startswith(
        f"The database holds {sum(map(len, rows.values())):,} rows of {len(rows)} tables, as release"
    )
    assert ask(empty, "SELECT app, name FROM django_migrations ORDER BY 1, 2") == ask(
        original, "SELECT app, name FROM django_migrations ORDER BY 1, 2"
    )
    assert run_python(empty, NEXT_USER) == 3  # 2 has been somebody


def test_database_that_was_only_migrated_counts_as_empty(original, backup, empty):
    manage(empty, "migrate")

    manage(empty, "restore", backup)

    assert facts_of(empty) == facts_of(original)


def test_message_that_may_have_arrived_is_not_sent_again_after_a_restore(original, backup, empty):
    manage(empty, "restore", backup)

    told = "SELECT type, done_at IS NULL, next_attempt_at IS NULL, given_up FROM telling_messages ORDER BY id"
    delivered, pending = ask(original, told)
    assert (delivered, pending) == (("webhook.test", False, True, ""), ("webhook.test", True, False, ""))
    assert ask(empty, told) == [delivered, ("webhook.test", False, True, RESTORED)]


def test_backup_of_an_older_release_is_migrated_to_this_one(empty, original, tmp_path):
    with plain_database() as old:
        manage(old, "migrate", "anomalies", "0001")
        manage(old, "migrate", "engagement", "0001")
        ask(old, OF_AN_OLDER_RELEASE)
        manage(old, "backup", tmp_path / "old.zip")

        manage(empty, "restore", tmp_path / "old.zip")

        manage(old, "migrate")
        assert rows_of(empty) == rows_of(old)
    assert tables_of(empty) == tables_of(original)
    assert ask(empty, "SELECT version, state FROM detector_memory") == [(1, b"\x00\xff\x5c")]
    assert ask(empty, "SELECT count(*), sum(total_users) FROM engagement") == [(9, 45)]


def test_database_with_rows_is_refused_and_overwritten_only_when_told(backup, empty, original):
    manage(empty, "migrate")
    ask(empty, "INSERT INTO auth_group (name) VALUES ('staff of another')")
    before = rows_of(empty)

    assert refusal(empty, "restore", backup) == (
        "The database is not empty, auth_group has rows: restore into an empty one."
    )
    assert rows_of(empty) == before

    ask(empty, "CREATE TABLE of_a_newer_release (id int REFERENCES auth_group)")
    manage(empty, "restore", backup, "--overwrite")
    assert facts_of(empty) == facts_of(original)


OF_NO_EVENT = b"\t".join(
    [b"00000000-0000-4000-8000-000000000000", b"a", b"b", b"\\\\xff", b"2026-03-02", b"\\N",
     b"00000000-0000-4000-8000-000000000000"]
) + b"\n"  # fmt: skip
VIOLATES = 'The database refused it, and is as it was: insert or update on table "engagement_apikey" violates'


BROKEN = pytest.mark.parametrize(
    ("rows", "count", "sentence"),
    [
        (b"1\tmara\n", 1, "The database refused it, and is as it was: invalid input syntax for type uuid"),
        (b"", 7, "engagement_apikey has 0 rows, where the backup had 7."),
        (OF_NO_EVENT, 1, VIOLATES),
    ],
)


@BROKEN
def test_restore_that_fails_leaves_an_empty_database_empty(backup, empty, tmp_path, rows, count, sentence):
    path = rewritten(backup, tmp_path / "b.zip", "engagement_apikey", rows, count)
    assert refusal(empty, "restore", path).startswith(sentence)
    assert tables_of(empty) == []


@BROKEN
def test_restore_that_fails_leaves_what_was_there(backup, original, tmp_path, rows, count, sentence):
    path = rewritten(backup, tmp_path / "b.zip", "engagement_apikey", rows, count)
    before = rows_of(original)
    assert refusal(original, "restore", path, "--overwrite").startswith(sentence)
    assert rows_of(original) == before


@pytest.mark.parametrize("cut", [0, 1, 1000])
def test_broken_backup_touches_nothing(backup, empty, tmp_path, cut):
    path = tmp_path / "b.zip"
    path.write_bytes(backup.read_bytes()[:-1000] if cut == 1000 else backup.read_bytes()[:cut])

    assert "cut short" in refusal(empty, "restore", path)
    assert tables_of(empty) == []


@pytest.mark.django_db(transaction=True)
def test_restore_does_not_wait_for_those_who_are_at_work(tmp_path, monkeypatch, event, settings):
    monkeypatch.setattr(restore, "LOCK_SECONDS", 0.1)
    take_backup(tmp_path / "a.zip")
    with psycopg.connect(addresses.database_url(settings.DATA_DIR, connection.settings_dict["NAME"])) as other:
        other.execute("UPDATE engagement_event SET name = 'Summer school'")
        with pytest.raises(CannotRestore, match="at work in the database: stop web, worker and beat"):
            restore_backup(tmp_path / "a.zip", overwrite=True)
    event.refresh_from_db()
    assert event.name == "Summer school"


def test_server_that_is_away_is_said_in_a_sentence(backup):
    sentence = refusal("postgresql://postgres@127.0.0.1:1/conductor", "restore", backup)
    assert sentence.startswith("The database refused it, and is as it was: connection failed")
