"""The clients that integrators download: examples run as they are printed, and nothing is lost or counts twice."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import ClassVar, get_args

import pytest
from django.conf import settings

from conductor.tests.rest import Rest
from conductor.tests.waiting import wait_until
from engagement.models import EngagementRow, RawEventRow, Session
from engagement.readings import MEASURED
from engagement.room import EVENT_TYPES

FOLDER = Path(settings.BASE_DIR) / "static" / "clients"
PYTHON, SCRIPT = FOLDER / "engagement_conductor.py", FOLDER / "engagement-conductor.mjs"
BLOCK = re.compile(r"(?:^(?: {4}.*|)\n)+", re.MULTILINE)


def examples(mark: str) -> list[str]:
    page = (Path(settings.BASE_DIR) / "docs" / "clients.md").read_text()
    blocks = ["\n".join(line[4:] for line in block.splitlines()).strip() for block in BLOCK.findall(page)]
    return [block for block in blocks if mark in block]


def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("NO NODE: the JavaScript client was not tried")
    return found


@pytest.fixture(scope="module")
def client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("engagement_conductor", PYTHON)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["engagement_conductor"] = module
    spec.loader.exec_module(module)
    return module


BROKEN_OFF = 0  # the status of an answer that ends before its end


class Fake(BaseHTTPRequestHandler):
    """A server that answers what it is told to, one after the other, and then takes everything."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[tuple[int, dict[str, str], dict]]] = []
    taken: ClassVar[list[list[dict]]] = []

    def do_POST(self) -> None:
        items = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, headers, body = self.answers.pop(0) if self.answers else (202, {}, {"accepted": len(items)})
        if status == BROKEN_OFF:
            self.wfile.write(b'HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n{"accepted"')
            self.close_connection = True
            return
        if status < 300:
            self.taken.append(items)
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[str]:
    Fake.answers, Fake.taken = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Fake) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def told() -> list[dict]:
    return [item for items in Fake.taken for item in items]


NAMED = {"errors": [{"pointer": "/1/session_id", "detail": "names no session of this event"}]}


def test_python_sends_again_and_only_what_is_taken(client, fake, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(client.time, "sleep", pauses.append)
    monkeypatch.setattr(client, "FLUSH_SECONDS", 60.0)
    dropped: list[tuple[str, str]] = []
    Fake.answers = [(503, {"Retry-After": "7"}, {}), (429, {"Retry-After": "3"}, {}), (422, {}, NAMED)]

    conductor = client.Conductor(fake, "ec_x", on_dropped=lambda item, why: dropped.append((item["type"], why)))
    room = client.Session(conductor, "6f1c2e3a-5b7d-4c8e-9f00-1a2b3c4d5e6f")
    for kind in ("join", "chat", "reaction"):
        room.event(kind, user="u-17")
    conductor.close()

    assert [pause >= least for pause, least in zip(pauses, (7, 3), strict=True)] == [True, True]
    assert dropped == [("chat", "names no session of this event")]
    assert [item["type"] for item in told()] == ["join", "reaction"]
    assert len({item["id"] for item in told()}) == 2


def test_python_keeps_what_nobody_takes_and_says_so(client, fake, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(client, "FLUSH_SECONDS", 60.0)
    conductor = client.Conductor(fake, "ec_x", patience_seconds=0.1)
    client.Session(conductor, "id").signals(active_users=3, total_users=4)
    Fake.answers = [(503, {"Retry-After": "60"}, {"detail": "away"})]
    with pytest.raises(client.Unreachable, match="away"):
        conductor.flush()
    Fake.answers = [(401, {}, {"detail": "no key"})]
    with pytest.raises(client.Refused, match="no key") as refused:
        conductor.flush()
    assert refused.value.status == 401
    conductor.close()
    [row] = told()
    assert (row["active_users"], row["total_users"]) == (3, 4)
    with pytest.raises(client.Unreachable):
        client.Conductor("http://127.0.0.1:9", "ec_x", patience_seconds=0).call("GET", "/sessions")


def test_python_sends_in_batches_from_any_thread(client, fake):
    conductor = client.Conductor(fake, "ec_x")
    room = client.Session(conductor, "id")

    def tell(thread: int) -> None:
        for number in range(600):
            room.event("chat", id=f"{thread}-{number}")

    threads = [threading.Thread(target=tell, args=[thread]) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    conductor.close()

    assert len({item["id"] for item in told()}) == len(told()) == 2_400
    assert max(map(len, Fake.taken)) <= client.BATCH
    with pytest.raises(ValueError, match="needs its zone"):
        room.event("chat", at=client.datetime(2026, 3, 2))


def test_python_goes_on_after_an_answer_that_broke_off(client, fake, monkeypatch):
    monkeypatch.setattr(client, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(client, "FIRST_PAUSE_SECONDS", 0.01)
    Fake.answers = [(BROKEN_OFF, {}, {})]
    conductor = client.Conductor(fake, "ec_x")
    client.Session(conductor, "id").event("chat", id="1")
    wait_until(lambda: [item["id"] for item in told()] == ["1"])
    conductor.close()


def test_python_goes_on_though_whoever_is_told_fails(client, fake, monkeypatch):
    monkeypatch.setattr(client, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(client, "LONGEST_PAUSE_SECONDS", 0.01)
    Fake.answers = [(422, {}, {"errors": [{"pointer": "/0/type", "detail": "unknown"}]})]
    conductor = client.Conductor(fake, "ec_x", on_dropped=lambda item, why: 1 / 0)
    room = client.Session(conductor, "id")
    room.event("chat", id="1")
    wait_until(lambda: not Fake.answers)
    room.event("chat", id="2")
    wait_until(lambda: [item["id"] for item in told()] == ["2"])
    conductor.close()


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_python_refuses_at_once_what_is_no_json(client, fake, value):
    """Once it waited, nothing behind it would ever be sent."""
    conductor = client.Conductor(fake, "ec_x")
    room = client.Session(conductor, "id")
    with pytest.raises((ValueError, TypeError)):
        room.signals(active_users=value)
    room.signals(active_users=3)
    conductor.close()
    assert [item["active_users"] for item in told()] == [3]


def test_python_asks_a_server_that_refuses_it_seldom(client, fake, monkeypatch):
    monkeypatch.setattr(client, "FLUSH_SECONDS", 0.01)
    Fake.answers = [(401, {}, {"detail": "no key"})] * 500
    conductor = client.Conductor(fake, "ec_x", on_dropped=lambda item, why: None)
    room = client.Session(conductor, "id")
    room.event("chat")
    wait_until(lambda: len(Fake.answers) == 499)
    for _ in range(3 * client.BATCH):
        room.event("chat")
    with pytest.raises(client.Refused):
        conductor.close()
    assert len(Fake.answers) == 498, "once when it was full time, and once at the end"


def test_clients_know_every_event_and_signal(client):
    assert set(get_args(client.EventType)) == set(EVENT_TYPES)
    source = SCRIPT.read_text()
    assert set(re.findall(r'"(\w+)"', source.partition("EventType")[0])) == set(EVENT_TYPES)
    assert set(re.findall(r"(\w+)\?: number\|null", source)) == set(MEASURED)


TRIAL = """
import { Conductor, Session } from "./engagement-conductor.mjs";
const dropped = [];
const conductor = new Conductor(process.argv[2], "ec_x", { onDropped: (item, why) => dropped.push([item.type, why]) });
const room = new Session(conductor, "6f1c2e3a-5b7d-4c8e-9f00-1a2b3c4d5e6f");
const began = performance.now();
for (const type of ["join", "chat", "reaction"]) room.event(type, { user: "u-17" });
await conductor.flush();
console.log(JSON.stringify({ dropped, seconds: (performance.now() - began) / 1000 }));
"""


def test_script_sends_again_and_only_what_is_taken(fake, tmp_path):
    Fake.answers = [(503, {"Retry-After": "2"}, {}), (422, {}, NAMED)]
    shutil.copy(SCRIPT, tmp_path)
    (tmp_path / "trial.mjs").write_text(TRIAL)
    done = subprocess.run([node(), "trial.mjs", fake], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["dropped"] == [["chat", "names no session of this event"]]
    assert found["seconds"] >= 2
    assert [item["type"] for item in told()] == ["join", "reaction"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["python", "script"])
def test_examples_run_as_they_are_printed(stack, tmp_path, kind):
    rest = Rest.of_new_event()
    environment = os.environ | {"CONDUCTOR_URL": stack.url, "CONDUCTOR_KEY": rest.secret}
    name = "a.py" if kind == "python" else "a.mjs"
    program = sys.executable if kind == "python" else node()
    shutil.copy(PYTHON if kind == "python" else SCRIPT, tmp_path)
    said = []
    found = examples("from engagement_conductor" if kind == "python" else 'from "./engagement-conductor.mjs"')
    assert len(found) == 2
    for text in found:
        (tmp_path / name).write_text(text)
        done = subprocess.run(
            [program, name], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stderr) == (0, "")
        said.append(done.stdout.strip())

    assert said == ["ended", "0 incidents"]
    assert sorted(RawEventRow.objects.values_list("type", flat=True)) == ["chat", "join"]
    row = EngagementRow.objects.filter(session__external_id__startswith="room-2").get()
    assert (row.active_users, row.total_users, row.chat_msgs_per_min) == (81, 104, 14)
    assert Session.objects.get(external_id__startswith="room-1").status == "ended"
