import gzip
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from anomalies.bench.simulation import webinar_demo
from conductor.local.rest_client import CannotReach, Refused, RestClient
from conductor.management.commands.replay import replay, shift_to
from engagement.models import ApiKey, EngagementRow, Event, Session
from engagement.readings import Reading
from engagement.recordings.jsonl import event_object, signals_object, write_lines
from engagement.windows import RawEvent

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def rows(count: int) -> list[Reading]:
    return [Reading(NINE + timedelta(seconds=5 * n), float(n), None, 4, 8, 1.0, 0.0) for n in range(count)]


@dataclass
class Platform:
    """A server that answers what it is told to, and 202 to everything else; it keeps what it got."""

    url: str = ""
    answers: deque[tuple[int, dict[str, str], bytes]] = field(default_factory=deque)
    batches: list[list[dict[str, object]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    connections: int = 0

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@contextmanager
def platform() -> Iterator[Platform]:
    known = Platform()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            known.connections += 1
            super().setup()

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            accepted = {"accepted": len(body), "duplicates": 0, "late": 0}
            status, headers, answer = known.answers.popleft() if known.answers else (202, {}, b"")
            if status == 202:
                known.batches.append(body)
                known.paths.append(self.path)
                answer = json.dumps(accepted).encode()
            if status == 0:  # hang up
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield known
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def client_of(url: str, **options) -> Iterator[RestClient]:
    client = RestClient(url, "ec_key", **options)
    try:
        yield client
    finally:
        client.close()


def test_replay_goes_in_batches_of_a_thousand_over_one_connection():
    with platform() as server, client_of(server.url) as client:
        done = replay(rows(2_300), client, "s", speed=0)
    assert server.sizes == [1000, 1000, 300]
    assert [row for batch in server.batches for row in batch] == [signals_object(row) for row in rows(2_300)]
    assert (done.session_id, done.accepted, server.connections) == ("s", 2_300, 1)


def test_replay_posts_each_row_when_it_is_due():
    waits: list[float] = []
    counts: list[int] = []
    with platform() as server, client_of(server.url) as client:
        replay(rows(6), client, "s", speed=1e-3, progress=counts.append, wait_until=waits.append)
    assert waits == [0, 5_000, 10_000, 15_000, 20_000, 25_000]
    assert counts == server.sizes == [1] * 6


def test_replay_catches_up_with_what_is_due_already():
    with platform() as server, client_of(server.url) as client:
        replay(rows(1_050), client, "s", speed=1e12)
    assert server.sizes == [1000, 50]


def test_backfill_goes_at_once_and_the_clock_starts_after_it():
    waits: list[float] = []
    with platform() as server, client_of(server.url) as client:
        replay(rows(15), client, "s", 1e-3, timedelta(minutes=1), wait_until=waits.append)
    assert server.sizes == [12, 1, 1, 1]
    assert waits == [0, 5_000, 10_000]


def test_now_makes_the_row_after_the_backfill_happen_now():
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    shifted = shift_to(now, rows(15), speed=1, backfill=timedelta(minutes=1))
    assert [shifted[12].timestamp, shifted[0].timestamp] == [now, now - timedelta(minutes=1)]
    assert [row.chat_msgs_per_min for row in shifted] == [row.chat_msgs_per_min for row in rows(15)]


@pytest.mark.parametrize("speed", [0, 60])
def test_now_puts_nothing_into_the_future_where_it_goes_faster(speed):
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert shift_to(now, rows(15), speed, timedelta(0))[-1].timestamp == now


def test_raw_events_go_to_the_events_endpoint_once_a_second_at_most():
    waits: list[float] = []
    events = [RawEvent("chat", NINE + timedelta(seconds=n), "ada", str(n)) for n in range(3)]
    with platform() as server, client_of(server.url) as client:
        done = replay(events, client, "s", speed=1e-3, wait_until=waits.append)
        replay(events, client, "s", speed=10, wait_until=waits.append)
    assert done.accepted == 3
    assert server.paths == ["/api/v1/sessions/s/events"] * 6
    assert server.batches[0] == [event_object(events[0])]
    assert waits[:3] == [0, 1000, 2000]
    assert waits[3] == 0
    assert 1 <= waits[4] < 1.5
    assert 1 <= waits[5] < 1.5


def test_the_client_tries_again_and_waits_as_it_is_told():
    pauses: list[float] = []
    problem = json.dumps({"detail": "Too many."}).encode()
    with platform() as server, client_of(server.url, pause=pauses.append) as client:
        server.answers += [(429, {"Retry-After": "7"}, problem), (503, {}, b"<html>"), (0, {}, b"")]
        done = replay(rows(3), client, "s", speed=0)
    assert done.accepted == 3
    assert pauses == [7.0, 1.0, 2.0]


def test_the_client_gives_up_where_nobody_is():
    with platform() as server:
        url = server.url
    pauses: list[float] = []
    with client_of(url, pause=pauses.append, patience_seconds=0) as client, pytest.raises(CannotReach, match=url):
        client.post("/sessions", {})
    assert pauses == []


def test_a_refusal_is_not_repeated_and_says_why():
    errors = [{"pointer": "/0/timestamp", "detail": "is far ahead"}]
    problem = json.dumps({"detail": "1 value cannot be taken.", "errors": errors}).encode()
    with platform() as server, client_of(server.url, pause=pytest.fail) as client:
        server.answers.append((422, {}, problem))
        with pytest.raises(Refused, match=r"422: 1 value cannot be taken\. /0/timestamp is far ahead") as refused:
            client.post("/sessions/s/signals", [])
    assert refused.value.status == 422


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://x:port"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match=r"is no address|[Pp]ort"):
        RestClient(url, "key")


@pytest.fixture
def key(transactional_db) -> str:
    return ApiKey.objects.issue(Event.objects.create(name="Spring conference"), "replay")[1]


def run(*arguments: object) -> str:
    out = StringIO()
    call_command("replay", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_the_command_makes_a_session_and_repeating_it_changes_nothing(key, live_server, tmp_path, capsys):
    recording = tmp_path / "spring webinar.jsonl.gz"
    demo = webinar_demo().rows
    write_lines(recording, map(signals_object, demo))
    target = ("--url", live_server.url + "/", "--api-key", key, "--speed", 0)
    said = run(recording, *target)
    session = Session.objects.get()
    assert session.title == "spring webinar"
    assert f"{live_server.url}/sessions/{session.id}/" in said
    assert [row.reading for row in EngagementRow.objects.for_session(session)] == demo
    assert "276 rows accepted, 0 duplicates" in said
    assert "276/276" in capsys.readouterr().err
    assert "0 rows accepted, 276 duplicates" in run(recording, *target, "--session", session.id)
    assert Session.objects.count() == 1


def test_the_command_posts_raw_events(key, live_server, tmp_path, capsys):
    recording = tmp_path / "class.jsonl"
    events = [RawEvent("join", NINE, "ada"), RawEvent("chat", NINE, "ada"), RawEvent("leave", NINE, "bob")]
    write_lines(recording, map(event_object, events))
    target = ("--url", live_server.url, "--api-key", key, "--speed", 0)
    assert "3 events accepted, 0 duplicates, 0 late" in run(recording, *target)
    session = Session.objects.get()
    assert "0 events accepted, 3 duplicates, 0 late" in run(recording, *target, "--session", session.id)
    assert "3/3" in capsys.readouterr().err
    assert [(event.type, event.timestamp) for event in session.raw_events.all()] == [
        (event.type, event.timestamp) for event in sorted(events, key=lambda event: event.type != "leave")
    ]


def test_the_command_finds_the_running_demo(key, live_server, tmp_path, settings):
    settings.DATA_DIR = tmp_path
    (tmp_path / "demo.json").write_text(json.dumps({"url": live_server.url, "api_key": key}))
    recording = tmp_path / "r.jsonl"
    write_lines(recording, map(signals_object, rows(2)))
    assert "2 rows accepted" in run(recording, "--speed", 0)


def test_the_command_says_what_is_wrong(key, live_server, tmp_path):
    recording, broken = tmp_path / "r.jsonl", tmp_path / "broken.jsonl"
    write_lines(recording, map(signals_object, rows(2)))
    broken.write_bytes(recording.read_bytes() + b"{\n")
    target = ("--url", live_server.url, "--api-key", key, "--speed", 0)
    for arguments, complaint in [
        ((tmp_path / "none.jsonl", *target), "none.jsonl: No such file"),
        ((tmp_path, *target), "Is a directory"),
        ((broken, *target), "broken.jsonl, line 3: is not JSON"),
        ((recording, *target, "--speed", -1), "0 or more"),
        ((recording, *target, "--speed", "nan"), "0 or more"),
        ((recording, "--url", live_server.url, "--api-key", "ec_wrong"), "401"),
        ((recording, *target, "--session", "8dd0a3c1-0000-4000-8000-000000000000"), "404"),
        ((recording, "--url", "nonsense", "--api-key", key), "is no address"),
    ]:
        with pytest.raises(CommandError, match=complaint):
            run(*arguments)
    assert EngagementRow.objects.count() == 0


def test_the_command_needs_a_demo_or_an_address(tmp_path, settings):
    settings.DATA_DIR = tmp_path
    recording = tmp_path / "r.jsonl"
    recording.write_bytes(gzip.compress(json.dumps(signals_object(rows(1)[0])).encode()))
    with pytest.raises(CommandError, match="No demo is running"):
        run(recording)


def test_a_start_without_an_offset_and_a_zone_that_is_none_are_refused(tmp_path):
    for option, value, words in (
        ("--starts-at", "2026-03-02T09:00", "names no offset"),
        ("--starts-at", "yesterday", "is no date and time"),
        ("--time-zone", "Mars/Olympus", "is no time zone"),
    ):
        with pytest.raises(CommandError, match=words):
            call_command("replay", str(tmp_path / "chat.txt"), option, value)


JOINED = "Name (Original Name),User Email,Join Time,Leave Time\nGuest,,04/05/2026 18:00:00,04/05/2026 18:30:00\n"
UNKNOWN = "Nimi,Ilmoittautui,Liittyi,Poistui\n" + 2 * "Guest,2026-03-01 9:00,2026-03-02 9:00,2026-03-02 9:30\n"


def replay_file(tmp_path, content: str, *options: str) -> tuple[Platform, str]:
    """Post a file, and return what the server got and what the command said."""
    path, out = tmp_path / "report.csv", StringIO()
    path.write_text(content)
    with platform() as server:
        target = ("--url", server.url, "--api-key", "ec_key", "--session", "s", "--speed", "0")
        call_command("replay", str(path), *target, *options, stdout=out)
    return server, out.getvalue()


@pytest.mark.parametrize(("options", "day"), [((), "2026-04-05"), (("--date-order", "day-first"), "2026-05-04")])
def test_the_order_of_dates_can_be_said(tmp_path, options, day):
    server, said = replay_file(tmp_path, JOINED, *options)
    assert server.batches[0][0]["timestamp"] == f"{day}T18:00:00.000Z"
    assert ("Was it on 2026-05-04? Then say --date-order day-first." in said) == (not options)


def test_columns_that_nobody_knows_can_be_said(tmp_path):
    with pytest.raises(CommandError, match="--column joined="):
        replay_file(tmp_path, UNKNOWN)
    with pytest.raises(CommandError, match="is not such as joined=Beitritt"):
        replay_file(tmp_path, UNKNOWN, "--column", "when=Liittyi")
    columns = [f"--column={each}" for each in ("name=Nimi", "joined=Liittyi", "left=Poistui")]
    server, _ = replay_file(tmp_path, UNKNOWN, *columns)
    assert [event["type"] for event in server.batches[0]] == ["join", "join", "leave", "leave"]
