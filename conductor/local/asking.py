"""Ask what runs on this machine for a sign of life, each in its own protocol, as clients are 20 MB. Knows no Django."""

import socket
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from conductor.local.addresses import PORT

PROTOCOL = 3 << 16  # of PostgreSQL, of which no later one is needed


def ask_redis(folder: Path, seconds: float) -> None:
    """Return when the embedded Redis answers: one that refuses to work, as its disk is full, runs all the same.

    Raises `OSError` where it does not answer, or is not ready yet.
    """
    with _connect(folder / "redis.sock", seconds) as server, server.makefile("rb") as answers:
        server.sendall(b"PING\r\n")
        answer = answers.readline()
    if not answer or answer.startswith(b"-LOADING"):
        raise ConnectionError(answer.decode(errors="replace").strip() or "it hung up")


def ask_postgres(folder: Path, database: str, statement: str, seconds: float) -> bool:
    """Tell whether the embedded PostgreSQL finds a row for a statement.

    Raises `OSError` where it does not answer, is not ready yet, or refuses.
    """
    with _connect(folder / f".s.PGSQL.{PORT}", seconds) as server, server.makefile("rb") as answers:
        who = f"user\0postgres\0database\0{database}\0\0".encode()
        server.sendall((len(who) + 8).to_bytes(4) + PROTOCOL.to_bytes(4) + who)
        for _ in _read_until_ready(answers):
            pass
        query = statement.encode() + b"\0"
        server.sendall(b"Q" + (len(query) + 4).to_bytes(4) + query)
        kinds = [kind for kind, _ in _read_until_ready(answers)]
        server.sendall(b"X" + (4).to_bytes(4))
    return b"D" in kinds


def ask_web(host: str, port: int, path: str, seconds: float) -> tuple[int, str]:
    """Return the status and the text of an address of ours; 0, and why, where nobody answers."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as server, server.makefile("rb") as answer:
            server.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
            head, _, text = answer.read().partition(b"\r\n\r\n")
        return int(head.split(maxsplit=2)[1]), text.decode()
    except OSError as error:
        return 0, f"{error}."
    except (IndexError, ValueError):
        return 0, "It speaks no HTTP."


def _connect(path: Path, seconds: float) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.settimeout(seconds)
    try:
        server.connect(str(path))
    except BaseException:
        server.close()
        raise
    return server


def _read_until_ready(answers: BufferedReader) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the content of each message, until the next statement is awaited."""
    kind = b""
    while kind != b"Z":
        kind, size = answers.read(1), answers.read(4)
        content = answers.read(int.from_bytes(size) - 4) if size else b""
        if not size:
            raise ConnectionError("it hung up")
        if kind == b"R" and any(content):
            raise ConnectionError("it asks for a password")
        if kind == b"E":
            raise ConnectionError(content.decode(errors="replace").replace("\0", " ").strip())
        yield kind, content
