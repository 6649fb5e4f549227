"""Somebody outside is called while all is well, and only then; a call that fails harms nothing."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection

from conductor import carrier, health, heartbeat, tasks, wakeups

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Watcher:
    """A service that waits for calls. It answers with `status`, and not before `may_answer`."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    watcher = Watcher()
    watcher.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            watcher.calls.append((self.command, self.path, self.headers["User-Agent"]))
            watcher.may_answer.wait(30)
            self.send_response(watcher.status)
            for name, value in watcher.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        watcher.url = f"http://127.0.0.1:{server.server_port}/ping/0f1e2d"
        yield watcher
        watcher.may_answer.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def all_is_well(caplog) -> None:
    caplog.set_level(logging.INFO, logger="conductor.heartbeat")
    carrier._asked_again_at.clear()
    wakeups.say_worker_lives()
    with carrier.reach() as client:
        client.delete(heartbeat.STATE, "conductor:heartbeat-due")
    assert health.find_missing() == []


def said(caplog) -> list[tuple[str, str]]:
    found = [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "conductor.heartbeat"]
    caplog.clear()
    return found


def test_it_is_called_while_all_is_well(watcher, caplog):
    heartbeat.send(watcher.url)
    heartbeat.send(watcher.url)
    assert watcher.calls == [("GET", "/ping/0f1e2d", "engagement-conductor")] * 2
    assert said(caplog) == []


def test_it_is_not_called_while_no_worker_lives(watcher):
    wakeups.say_worker_goes()
    heartbeat.send(watcher.url)
    assert watcher.calls == []


def test_it_is_not_called_while_the_database_is_away(watcher, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setitem(connection.settings_dict, "HOST", "/nowhere")
        heartbeat.send(watcher.url)
    assert watcher.calls == []


def test_it_is_not_called_while_redis_is_away(watcher, settings):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    heartbeat.send(watcher.url)
    assert watcher.calls == []


def test_nobody_is_called_where_nobody_is_named(monkeypatch):
    monkeypatch.setattr(health, "find_missing", lambda: pytest.fail("was asked"))
    heartbeat.send("")


def test_a_call_that_fails_is_told_once_a_change(watcher, caplog):
    watcher.status = 503
    for _ in range(3):
        heartbeat.send(watcher.url)
    assert said(caplog) == [("WARNING", "The heartbeat does not reach 127.0.0.1: it answers 503.")]
    watcher.status = 404
    heartbeat.send(watcher.url)
    assert said(caplog) == [("WARNING", "The heartbeat does not reach 127.0.0.1: it answers 404.")]
    watcher.status = 204
    for _ in range(3):
        heartbeat.send(watcher.url)
    assert said(caplog) == [("INFO", "The heartbeat reaches 127.0.0.1.")]
    assert len(watcher.calls) == 7


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(watcher, caplog, status):
    watcher.status, watcher.headers = status, {"Location": f"{watcher.url}/elsewhere"}
    heartbeat.send(watcher.url)
    assert [path for _, path, _ in watcher.calls] == ["/ping/0f1e2d"]
    assert said(caplog) == [("WARNING", f"The heartbeat does not reach 127.0.0.1: it answers {status}.")]


def test_whoever_does_not_answer_is_not_waited_for(watcher, caplog, monkeypatch):
    monkeypatch.setattr(heartbeat, "WAIT_SECONDS", 0.1)
    watcher.may_answer.clear()
    heartbeat.send(watcher.url)
    assert said(caplog) == [("WARNING", "The heartbeat does not reach 127.0.0.1: it does not answer in time.")]


def test_whoever_answers_a_byte_at_a_time_is_not_waited_for_either(watcher, caplog, monkeypatch):
    def run_out() -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(heartbeat, "_opener", run_out)
    heartbeat.send(watcher.url)
    assert said(caplog) == [("WARNING", "The heartbeat does not reach 127.0.0.1: it does not answer in time.")]
    assert tasks.send_heartbeat.soft_time_limit < settings.CELERY_TASK_TIME_LIMIT


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/secret", "http://nowhere.invalid/secret"])
def test_who_is_not_there_is_told_of_without_the_secret(caplog, url):
    heartbeat.send(url)
    [(level, line)] = said(caplog)
    assert level == "WARNING"
    assert line.startswith("The heartbeat does not reach ")
    assert "secret" not in line


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_nothing_but_http_is_opened(url):
    assert heartbeat._call(url) == f"unknown url type: {url.partition(':')[0]}"


def test_the_clock_has_it_sent(watcher, settings):
    """By a worker, and once where two clocks tick."""
    settings.HEARTBEAT_URL = watcher.url
    tasks.send_heartbeat.apply()
    tasks.send_heartbeat.apply()
    assert len(watcher.calls) == 1
    beat = settings.CELERY_BEAT_SCHEDULE["heartbeat"]
    assert (beat["task"], beat["schedule"]) == (tasks.send_heartbeat.name, 60.0)
