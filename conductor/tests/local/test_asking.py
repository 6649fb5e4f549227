"""Signs of life, from the real servers and from some that are out of order."""

import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from conductor.local.addresses import PORT, socket_folder
from conductor.local.asking import ask_postgres, ask_redis, ask_web


@contextmanager
def answering(server, *answers):
    """Have a listening socket give one answer to all that each caller says, and hang up."""

    def answer():
        for text in answers:
            caller, _ = server.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(text)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with server:
        yield
        thread.join(5)


def listen(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def message(kind: bytes, content: bytes = b"") -> bytes:
    return kind + (len(content) + 4).to_bytes(4) + content


@pytest.mark.servers
def test_servers_that_run_answer():
    sockets = socket_folder(settings.DATA_DIR)
    ask_redis(sockets, seconds=5)
    assert ask_postgres(sockets, "conductor", "SELECT 1", seconds=5)
    assert not ask_postgres(sockets, "conductor", "SELECT 1 WHERE false", seconds=5)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("database", "statement", "words"),
    [("nowhere", "SELECT 1", 'database "nowhere" does not exist'), ("conductor", "SELECT 1 / 0", "division by zero")],
)
def test_postgres_says_why_it_refuses(database, statement, words):
    with pytest.raises(ConnectionError, match=words):
        ask_postgres(socket_folder(settings.DATA_DIR), database, statement, seconds=5)


def test_redis_that_still_loads_is_not_there_yet(tmp_path):
    with answering(listen(tmp_path / "redis.sock"), b"-LOADING it\r\n", b"", b"-MISCONF disk\r\n"):
        with pytest.raises(ConnectionError, match="LOADING"):
            ask_redis(tmp_path, seconds=5)
        with pytest.raises(ConnectionError, match="hung up"):
            ask_redis(tmp_path, seconds=5)
        ask_redis(tmp_path, seconds=5)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "hung up"),
        (message(b"R", (3).to_bytes(4)), "asks for a password"),
        (message(b"E", b"SFATAL\0Mthe database system is starting up\0\0"), "starting up"),
    ],
)
def test_postgres_that_takes_nobody_is_not_there_yet(tmp_path, answer, words):
    with answering(listen(tmp_path / f".s.PGSQL.{PORT}"), answer), pytest.raises(ConnectionError, match=words):
        ask_postgres(tmp_path, "conductor", "SELECT 1", seconds=5)


def test_who_is_silent_is_given_up(tmp_path):
    with listen(tmp_path / "redis.sock"), pytest.raises(TimeoutError):
        ask_redis(tmp_path, seconds=0.05)
    with listen(tmp_path / f".s.PGSQL.{PORT}"), pytest.raises(TimeoutError):
        ask_postgres(tmp_path, "conductor", "SELECT 1", seconds=0.05)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nnot yet", (503, "not yet")),
        (b"", (0, "It speaks no HTTP.")),
        (b"SSH-2.0 hello\r\n", (0, "It speaks no HTTP.")),
    ],
)
def test_web_is_asked_for_its_status_and_its_words(answer, found):
    server = socket.create_server(("127.0.0.1", 0))
    with answering(server, answer):
        assert ask_web("127.0.0.1", server.getsockname()[1], "/readyz", seconds=5) == found


def test_web_that_is_not_there_is_status_0():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        status, why = ask_web("127.0.0.1", taken.getsockname()[1], "/healthz", seconds=5)
    assert status == 0
    assert "refused" in why
