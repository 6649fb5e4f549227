"""What is measured, as it runs: the product, the obvious build of it, and an application that does nothing."""

import contextlib
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection
from django.utils.timezone import now

from benchmarks.chaos.cast import new_cookie
from benchmarks.chaos.product import HOST, Product, free_port, running, wait_for
from benchmarks.processes import Seconds, cpu_alone, cpu_of_family, find_family, memory_of
from benchmarks.rooms import in_parts
from conductor.local.addresses import database_url, redis_url
from conductor.local.children import Child, Children
from conductor.local.embedded import Servers
from conductor.management.commands.up import child_environment
from conductor.management.everything import PROGRAMS
from engagement import cursors
from engagement.models import ApiKey, Event, Session

START_SECONDS = 60
ROOMS_A_STATEMENT = 5_000
# The limits of a key protect the product from such a load.
UNLIMITED = {"CONDUCTOR_RATE_LIMIT": "0", "CONDUCTOR_ITEM_LIMIT": "0"}
OBVIOUS_WORKER = "celery -A benchmarks.obvious worker --concurrency 2 --without-mingle --without-gossip --loglevel INFO"
WITHOUT_CHILDREN = "up"  # the supervisor, whose children are the other roles


@dataclass
class Stack:
    """Something that runs and answers on a port: its roles with their first processes, and what it is asked."""

    name: str
    port: int
    roots: Mapping[str, Sequence[int]]
    post_ports: Sequence[int] = ()  # where POSTs go to others
    key: str = ""
    cookie: str = ""
    make_rooms: Callable[[Sequence[str]], None] = lambda rooms: None
    end_rooms: Callable[[Sequence[str]], None] = lambda rooms: None
    count_waiting: Callable[[], int] = lambda: 0  # rows that are stored and not judged
    analyze: Callable[[], object] = lambda: None  # count tables, as the server does within a minute
    takes_batches: bool = False

    def read_cpu(self) -> Seconds:
        """Return the CPU seconds of each role so far."""
        return {
            role: sum(map(cpu_alone if role == WITHOUT_CHILDREN else cpu_of_family, pids))
            for role, pids in self.roots.items()
        }

    def read_memory(self) -> dict[str, float]:
        """Return the memory of each role in MB."""
        return {
            role: memory_of(pids if role == WITHOUT_CHILDREN else chain.from_iterable(map(find_family, pids)))
            for role, pids in self.roots.items()
        }


@contextlib.contextmanager
def product(processes: int = 1) -> Iterator[Stack]:
    """Run the product as `manage.py up` does, with so many web processes and as many workers."""
    with running(UNLIMITED) as up, Programs(Path(settings.DATA_DIR), _environment_of(up)) as programs:
        try:
            roots, ports = _roots_of(up), [up.port]
            for number in range(1, processes):
                ports.append(free_port())
                web = programs.start(f"web-{number}", PROGRAMS["web"], ports[-1])
                worker = programs.start(f"worker-{number}", f"{PROGRAMS['worker']} --hostname {number}@{HOST}")
                programs.await_port(web, ports[-1])
                roots["web"].append(web.process.pid)
                roots["worker"].append(worker.process.pid)
            event = Event.objects.create(name="Benchmark")
            yield Stack(
                "product" if processes == 1 else f"product × {processes}",
                up.port,
                roots,
                post_ports=ports,
                key=ApiKey.objects.issue(event, "benchmark")[1],
                cookie=new_cookie(),
                takes_batches=True,
                make_rooms=lambda rooms: _make_sessions(event, rooms),
                end_rooms=_end_sessions,
                count_waiting=lambda: cursors.measure_backlog()[0],
                analyze=_analyze,
            )
        finally:
            connection.close()


def _roots_of(up: Product) -> dict[str, list[int]]:
    named = {part: part for part in ("web", "worker", "telling", "beat")}
    parts = named | {"PostgreSQL": "postmaster", "Redis": "redis"}
    roots = {role: [up.find(part)[0].pid] for role, part in parts.items()}
    return roots | {WITHOUT_CHILDREN: [up.process.pid]}


def _environment_of(up: Product) -> dict[str, str]:
    """Return the environment of its processes, for more of them."""
    return {**os.environ, **UNLIMITED, **child_environment(up.port)}


def _make_sessions(event: Event, rooms: Sequence[str]) -> None:
    sessions = [Session(id=UUID(room), event=event, title=f"Room {place}") for place, room in enumerate(rooms)]
    Session.objects.bulk_create(sessions, batch_size=ROOMS_A_STATEMENT)


def _end_sessions(rooms: Sequence[str]) -> None:
    """Take rooms out of what the clock looks at, so that the next case has only its own."""
    over = {"status": Session.Status.ENDED, "ended_at": now(), "settled_at": now(), "is_condensed": True}
    for some in in_parts(rooms, ROOMS_A_STATEMENT):
        Session.objects.filter(id__in=some).update(**over)


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@contextlib.contextmanager
def obvious(data_dir: Path) -> Iterator[Stack]:
    """Run the obvious build with the product's own commands, on servers of its own."""
    servers = Servers(data_dir)
    servers.start()
    try:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.obvious.settings",
            "DATABASE_URL": database_url(data_dir),
            "REDIS_URL": redis_url(data_dir),
        }
        with Programs(data_dir, environment) as programs, psycopg.connect(database_url(data_dir)) as database:
            database.autocommit = True
            programs.run("django migrate --run-syncdb --verbosity 0")
            key = secrets.token_urlsafe()
            database.execute("INSERT INTO obvious_key (secret) VALUES (%s)", [key])
            port = free_port()
            worker = programs.start("worker", OBVIOUS_WORKER)
            web = programs.start("web", PROGRAMS["web"].replace("conductor", "benchmarks.obvious"), port)
            programs.await_port(web, port)
            roots = {"web": [web.process.pid], "worker": [worker.process.pid]}
            for child in servers.children.all:
                roots[{"postgres": "PostgreSQL", "redis": "Redis"}[child.name]] = [child.process.pid]

            def make_rooms(rooms: Sequence[str]) -> None:
                database.cursor().executemany("INSERT INTO obvious_session (id) VALUES (%s)", [[r] for r in rooms])

            def count_waiting() -> int:
                found = database.execute("SELECT count(*) FROM obvious_row WHERE anomaly_score IS NULL").fetchone()
                return int(found[0]) if found else 0

            yield Stack(
                "obvious build", port, roots, key=key, make_rooms=make_rooms, count_waiting=count_waiting,
                analyze=lambda: database.execute("ANALYZE"),
            )  # fmt: skip
    finally:
        servers.stop()


@contextlib.contextmanager
def echo(data_dir: Path) -> Iterator[Stack]:
    """Run an application that reads a body and answers 202, under the product's server."""
    with Programs(data_dir, os.environ) as programs:
        port = free_port()
        web = programs.start("web", PROGRAMS["web"].replace("conductor.asgi", "benchmarks.echo"), port)
        programs.await_port(web, port)
        yield Stack("echo", port, {"web": [web.process.pid]})


@contextlib.contextmanager
def broadcaster(data_dir: Path, frame_bytes: int) -> Iterator[Stack]:
    """Run a server that sends a frame of this size to all who are connected, at each POST."""
    with Programs(data_dir, os.environ) as programs:
        port, post_port = free_port(), free_port()
        web = programs.start("web", f"benchmarks.broadcast {{host}} {{port}} {post_port} {frame_bytes}", port)
        programs.await_port(web, port)
        yield Stack("websockets.broadcast", port, {"web": [web.process.pid]}, post_ports=[post_port])


class Programs:
    """Python processes of one stack, with their logs in its data folder; all end with it."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str]):
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        folder = data_dir / "log"
        folder.mkdir(parents=True, exist_ok=True)
        self._children = Children(folder)

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        self._children.stop()

    def start(self, name: str, command: str, port: int = 0) -> Child:
        """Start a module by one of the product's own command lines."""
        arguments = [sys.executable, "-m", *command.format(host=HOST, port=port).split()]
        return self._children.start(name, arguments, env=self._environment, cwd=settings.BASE_DIR)

    def run(self, command: str) -> None:
        """Return when a command has done its work. Raises RuntimeError, with what it said, where it fails."""
        child = self.start("setup", command)
        if child.process.wait() != 0:
            raise RuntimeError(child.last_words())
        self._children.bury(child)

    @staticmethod
    def await_port(child: Child, port: int) -> None:
        """Return when it listens. Raises RuntimeError, with what it said, where it does not."""

        def listens() -> bool:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                return True
            return child.has_ended

        if wait_for(listens, START_SECONDS) is None or child.has_ended:
            raise RuntimeError(f"{child.name} does not start:\n{child.last_words()}")
