"""`manage.py up`, run as a person runs it: everything starts, everything stops, and nothing is left."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from conductor.local.children import Children
from conductor.local.embedded import Servers, running_servers
from conductor.local.pulse import STUCK_SECONDS, find_stuck, pulse_folder
from conductor.local.rest_client import Refused, RestClient
from conductor.management.everything import start_alive
from conductor.tests.waiting import is_running, wait_until

pytestmark = pytest.mark.servers


def processes_of(data_dir: Path) -> set[int]:
    """Return the pids of every process of this data folder, grandchildren too."""
    mark = f"CONDUCTOR_DATA_DIR={data_dir}\0".encode()
    found = set(running_servers(data_dir))
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
            if mark in (folder / "environ").read_bytes() and is_running(int(folder.name)):
                found.add(int(folder.name))
    return found


class Up:
    """One `manage.py up`, and what it says."""

    def __init__(self, data_dir: Path, port: int, *options: str, **environment: str):
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port), *options],
            cwd=settings.BASE_DIR,
            env={**os.environ, "CONDUCTOR_DATA_DIR": str(data_dir), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def await_words(self, words: str) -> None:
        """Read what it prints until this is there."""
        for line in self.process.stdout:
            self.said += line
            if words in line:
                return
        pytest.fail(f"it ended without saying {words!r}:\n{self.said}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.await_end() == 0

    def await_end(self) -> int:
        self.said += self.process.communicate(timeout=60)[0]
        return self.process.returncode


@pytest.fixture
def data_dir(tmp_path) -> Iterator[Path]:
    """A data folder of which no process is left when the test is over, whatever the test did."""
    yield tmp_path / "data"
    for pid in processes_of(tmp_path / "data"):
        with contextlib.suppress(ProcessLookupError):  # it died with its parent meanwhile
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_up_leaves_no_process_when_killed_and_starts_again_with_all_data(data_dir, port):
    up = Up(data_dir, port)
    up.await_words("Stop ")
    first = json.loads((data_dir / "demo.json").read_text())
    assert (data_dir / "demo.json").stat().st_mode & 0o777 == 0o600
    assert first["password"] in up.said
    client = RestClient(first["url"], first["api_key"])
    kept = client.post("/sessions", {"title": "Kept", "external_id": "kept"})
    # web, beat, senders, the demo, PostgreSQL, Redis, and the worker with its two
    assert len(processes_of(data_dir)) >= 10

    up.process.kill()
    up.await_end()
    wait_until(lambda: not processes_of(data_dir))

    again = Up(data_dir, port)
    again.await_words("Stop ")
    second = json.loads((data_dir / "demo.json").read_text())
    for name in ("event_id", "username", "password"):
        assert second[name] == first[name]
    assert second["session_id"] != first["session_id"]
    with pytest.raises(Refused) as refused:  # the former run's key
        client.post("/sessions", {"title": "Kept", "external_id": "kept"})
    client.close()
    assert refused.value.status == 401
    client = RestClient(second["url"], second["api_key"])
    assert client.post("/sessions", {"title": "Kept", "external_id": "kept"})["id"] == kept["id"]
    with pytest.raises(Refused) as refused:  # the former run's session has ended
        client.post(f"/sessions/{first['session_id']}/signals", [{"chat_msgs_per_min": 1}])
    assert refused.value.status == 409
    client.close()

    again.process.send_signal(signal.SIGTERM)
    assert again.await_end() == 0
    assert not processes_of(data_dir)
    assert not (data_dir / "demo.json").exists()


PROCESSES = {
    "web": b"daphne", "worker": b"program\0worker", "telling": b"program\0telling", "beat": b"program\0beat",
    "postgres": b"bin/postgres", "redis": b"redis-server",
}  # fmt: skip


def children_of(up: Up, data_dir: Path) -> dict[str, int]:
    """Return the pids of what `up` itself started, by name."""
    own: dict[str, int] = {}
    for pid in processes_of(data_dir):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if parent(pid) == up.process.pid:
                own |= {name: pid for name, word in PROCESSES.items() if word in command(pid)}
    return own


@pytest.mark.long
def test_up_starts_again_what_dies(data_dir, port):
    up = Up(data_dir, port)
    up.await_words("Stop ")
    demo = json.loads((data_dir / "demo.json").read_text())
    client = RestClient(demo["url"], demo["api_key"])
    before = children_of(up, data_dir)
    assert set(before) == set(PROCESSES)

    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    for name in PROCESSES:
        up.await_words(f"{name} is started again.") if f"{name} is started again." not in up.said else None

    kept = client.post("/sessions", {"title": "Kept", "external_id": "kept"})
    assert kept["status"] == "scheduled"
    client.close()
    assert set(children_of(up, data_dir).items()).isdisjoint(before.items())
    assert "Traceback" not in up.said
    up.stop()
    wait_until(lambda: not processes_of(data_dir))


@pytest.mark.long
def test_up_goes_on_when_its_demo_is_ended(data_dir, port):
    up = Up(data_dir, port)
    up.await_words("Stop ")
    demo = json.loads((data_dir / "demo.json").read_text())
    client = RestClient(demo["url"], demo["api_key"])
    client.post(f"/sessions/{demo['session_id']}/end", {})
    wait_until(lambda: not any(b"play_demo" in command(pid) for pid in processes_of(data_dir)), seconds=60)

    assert client.post("/sessions", {"title": "Goes on"})["status"] == "scheduled"
    client.close()
    up.stop()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name != "worker" else name for name in PROCESSES]
)
def test_up_ends_what_is_stuck_and_starts_it_again(data_dir, port, name):
    up = Up(data_dir, port, "--no-demo")
    up.await_words("Up at")

    os.kill(children_of(up, data_dir)[name], signal.SIGSTOP)

    up.await_words(f"{name} is stuck and is ended")
    up.await_words(f"{name} is started again.")
    up.stop()


@pytest.mark.parametrize("name", ["worker", "telling", "beat"])
def test_what_is_stuck_before_its_first_sign_of_life_is_missed_too(name, tmp_path):
    pulses = pulse_folder(tmp_path)
    children = Children(tmp_path)
    child = start_alive(pulses, children, name, "-c", "import time; time.sleep(60)")
    try:
        assert find_stuck(pulses, name, time.time()) == []
        assert find_stuck(pulses, name, time.time() + STUCK_SECONDS + 1) == [child.process.pid]
    finally:
        children.stop(0)


def test_up_answers_ctrl_c_while_it_starts(data_dir, port):
    up = Up(data_dir, port, "--no-demo")
    up.await_words("Preparing")

    up.process.send_signal(signal.SIGINT)

    assert up.await_end() == 0
    assert up.said.endswith("Stopped.\n")
    assert not processes_of(data_dir)


def test_up_names_a_taken_port_before_anything_starts(data_dir):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = Up(data_dir, port)
        assert up.await_end() == 1
    assert up.said == (
        f"CommandError: Port {port} cannot be used: Address already in use. "
        f"Choose another: --port {port + 1}, or make run PORT={port + 1}.\n"
    )
    assert not (data_dir / "log").exists()


def test_up_leaves_the_other_up_alone(data_dir, port):
    other = Servers(data_dir, postgres=False)
    other.start()
    (data_dir / "demo.json").write_text("the other's")

    up = Up(data_dir, port)

    assert up.await_end() == 1
    assert re.fullmatch(rf"CommandError: .* is in use by process {os.getpid()}: .*\n", up.said)
    assert (data_dir / "demo.json").read_text() == "the other's"
    assert running_servers(data_dir)
    other.stop()


@pytest.mark.parametrize(
    ("variable", "url", "sentence"),
    [
        ("DATABASE_URL", "postgresql://u:secret@127.0.0.1:9/none", r"PostgreSQL: .*127\.0\.0\.1.*Check DATABASE_URL\."),
        ("REDIS_URL", "redis://:secret@127.0.0.1:9/0", r"Redis: .*127\.0\.0\.1.*Check REDIS_URL\."),
    ],
)
def test_up_names_a_server_that_does_not_answer(data_dir, port, variable, url, sentence):
    up = Up(data_dir, port, **{variable: url})

    assert up.await_end() == 1

    assert re.search(rf"^CommandError: {sentence}$", up.said, re.MULTILINE)
    assert "Traceback" not in up.said
    assert "secret" not in up.said
    assert not processes_of(data_dir)


def test_up_names_a_database_that_is_not_there(data_dir, port):
    up = Up(data_dir, port, DATABASE_URL=settings.DATABASE_URL.replace("/conductor", "/nothing"))
    assert up.await_end() == 1
    assert re.search(
        r'^CommandError: PostgreSQL: .*"nothing" does not exist\. Check DATABASE_URL\.$', up.said, re.MULTILINE
    )


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_up_refuses_what_is_no_port(port):
    with pytest.raises(CommandError, match="is not a number from 1 to 65535"):
        call_command("up", "--port", port)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def command(pid: int) -> bytes:
    """Return its command line; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
