"""Fixtures that tests share: an event and its session, and the product as it runs, with a browser."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from conductor.local import addresses
from conductor.management.everything import PROGRAMS
from conductor.tests import stage
from conductor.tests.browsing import complaints, page  # noqa: F401  fixtures
from conductor.tests.rest import rest  # noqa: F401  a fixture
from conductor.tests.waiting import wait_until
from engagement.models import Event, Session

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Stack:
    """The running product. It works on the test's own database, so the ORM is the way to look into it."""

    url: str
    environment: dict[str, str]
    log_dir: Path
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Start one process of the stack; its output is in `<name>.log`."""
        with (self.log_dir / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], env=self.environment, cwd=settings.BASE_DIR, stdout=log, stderr=log
            )

    def start_all(self) -> None:
        """Start what `manage.py up` does but for the senders; they load side by side."""
        self._launch_web()
        self.launch_worker()
        self.start_beat()
        self.wait_for("web", self._web_answers)
        self.wait_for("worker", self._worker_answers)

    def start_web(self) -> None:
        self._launch_web()
        self.wait_for("web", self._web_answers)

    def _launch_web(self) -> None:
        host, port = self.url.removeprefix("http://").split(":")
        self.start("web", "daphne", "-b", host, "-p", port, "conductor.asgi:application")

    def start_worker(self) -> None:
        self.launch_worker()
        self.wait_for("worker", self._worker_answers)

    def launch_worker(self) -> None:
        """Start the worker and do not wait: it answers between two tasks, so it may have done all of them by then."""
        self.start("worker", "celery", "-A", "conductor.celery", "worker", "--pool=solo", "--loglevel=INFO")

    def start_senders(self) -> None:
        """Start the program that tells people, as `manage.py up` does."""
        self.start("telling", *PROGRAMS["telling"].split())
        self.wait_for("telling", lambda: b" ready." in (self.log_dir / "telling.log").read_bytes())

    def start_beat(self) -> None:
        self.start("beat", *PROGRAMS["beat"].split())

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for(self, name: str, answers: Callable[[], bool]) -> None:
        """Return as soon as a process answers; say what it logged where it does not."""
        wait_until(
            answers,
            seconds=60,
            is_hopeless=lambda: self.processes[name].poll() is not None,
            tell=lambda: f"{name} did not start:\n{(self.log_dir / f'{name}.log').read_text()[-4000:]}",
        )

    def _web_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/accounts/login/", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def _worker_answers(self) -> bool:
        broker = addresses.celery_broker_url(self.environment["REDIS_URL"])
        with Celery(broker=broker, set_as_current=False) as app:
            return bool(app.control.ping(timeout=0.5))


@pytest.fixture
def event() -> Event:
    return Event.objects.create(name="Spring summit")


@pytest.fixture
def session(event) -> Session:
    return stage.live_session(event)


@pytest.fixture
def organizer(event, client: Client) -> User:
    """Who organizes the event, and is logged in."""
    user = stage.organizer("mara", event)
    client.force_login(user)
    return user


@pytest.fixture(scope="session")
def static_root(tmp_path_factory) -> Path:
    """The collected static files, with the hashed names of production."""
    root = tmp_path_factory.mktemp("static")
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity=0"],
        check=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "STATIC_ROOT": str(root)},
    )
    return root


@pytest.fixture(scope="module")
def stack(django_db_setup, static_root, tmp_path_factory) -> Iterator[Stack]:
    """daphne, a worker and beat on the test database and on a Redis database of their own.

    For a module and not for the whole run: its worker would judge the rows of other modules' tests too.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data_dir = Path(os.environ["CONDUCTOR_DATA_DIR"])
    environment = {
        **os.environ,
        "DATABASE_URL": addresses.database_url(data_dir, connection.settings_dict["NAME"]),
        "REDIS_URL": addresses.redis_url(data_dir, db=1),
        "SECRET_KEY": settings.SECRET_KEY,
        "STATIC_ROOT": str(static_root),
        "PORT": str(port),
    }
    environment.pop("CONDUCTOR_DB_POOL", None)  # the ASGI application sets it for its own process
    stack = Stack(f"http://127.0.0.1:{port}", environment, tmp_path_factory.mktemp("stack"))
    try:
        stack.start_all()
        yield stack
    finally:
        for name in reversed(list(stack.processes)):
            stack.stop(name)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium; for a module, as Playwright keeps an event loop running as long as it lives."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("NO BROWSER: chromium is not installed, so nothing here was tested in one")
    from playwright.sync_api import sync_playwright

    # Django takes Playwright's loop for an async caller; the test itself is plain synchronous code.
    allowed = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
            yield browser
            browser.close()
    finally:
        if allowed is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
