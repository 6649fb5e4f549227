"""The product as it runs: `manage.py up --no-demo` on a data folder and a port of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psycopg
from django.conf import settings

from benchmarks.chaos.processes import SUPERVISED, Process, find_part, send
from conductor.local.addresses import database_url

HOST = "127.0.0.1"
START_SECONDS = 180
STOP_SECONDS = 60


@dataclass
class Product:
    """A running product, and what its `up` said and when, by the monotonic clock."""

    process: "subprocess.Popen[str]"
    port: int
    said: list[tuple[float, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def is_up(self) -> bool:
        return self.process.poll() is None

    def find(self, part: str) -> list[Process]:
        return find_part(part, self.process.pid)

    def listen(self) -> None:
        """Keep what `up` says, from a thread of its own."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append((time.monotonic(), line.rstrip()))

    def await_start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not any(text.startswith("Up at ") for _, text in self.said):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("up does not start:\n" + "\n".join(text for _, text in self.said))
            time.sleep(0.1)

    def when(self, part: str, what: str, since: float) -> float | None:
        """Return when `up` first said this of a part after that moment; None where it did not."""
        for at, text in list(self.said):
            if at >= since and text.startswith(f"{SUPERVISED[part]} {what}"):
                return at
        return None

    def signal_up(self, number: signal.Signals) -> None:
        """Keep `up` from starting anything again, by SIGSTOP, and let it, by SIGCONT."""
        send(self.process.pid, number)

    def get(self, path: str, seconds: float = 30, cookie: str = "") -> tuple[int, float]:
        """Return the status of an answer, 0 where there is none, and how long it took."""
        return self.read(path, seconds, cookie)[:2]

    def read(self, path: str, seconds: float = 30, cookie: str = "") -> tuple[int, float, str]:
        """Return the status of an answer, 0 where there is none, how long it took, and its text."""
        started = time.monotonic()
        client = HTTPConnection(HOST, self.port, timeout=seconds)
        try:
            client.request("GET", path, headers={"Cookie": cookie} if cookie else {})
            answer = client.getresponse()
            text = answer.read().decode(errors="replace")
            return answer.status, time.monotonic() - started, text
        except (OSError, HTTPException) as error:
            return 0, time.monotonic() - started, str(error)
        finally:
            client.close()

    def await_ready(self, seconds: float = 120) -> bool:
        """Tell whether everything answers again within so long."""
        return wait_for(lambda: self.get("/readyz", 15)[0] == 200, seconds) is not None

    def stop(self) -> None:
        """Stop all of it, whatever state it is in."""
        for part in SUPERVISED:
            for process in self.find(part):
                send(process.pid, signal.SIGCONT)
        self.signal_up(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running(environment: Mapping[str, str] | None = None) -> Iterator[Product]:
    """Run the product on the data folder of the settings; from the main thread, as it stops when its parent does."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--no-demo", "--stop-with-parent", "--port", str(port)],
        cwd=settings.BASE_DIR,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    product = Product(process, port)
    threading.Thread(target=product.listen, daemon=True).start()
    try:
        product.await_start()
        yield product
    finally:
        product.stop()
        Path(settings.DATA_DIR).with_name("up.log").write_text(
            "\n".join(f"{at:.1f} {text}" for at, text in product.said)
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for(holds: Callable[[], bool], seconds: float, every: float = 0.05) -> float | None:
    """Return after how many seconds it held; None where it did not in time."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            return None
        time.sleep(every)
    return time.monotonic() - started


def postgres_answers() -> bool:
    """Tell whether PostgreSQL takes a connection and answers."""
    try:
        with psycopg.connect(database_url(settings.DATA_DIR), connect_timeout=2) as fresh:
            return fresh.execute("SELECT 1").fetchone() is not None
    except psycopg.Error:
        return False
