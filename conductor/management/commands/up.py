"""Start everything on this machine: the embedded servers, web, worker, senders, beat, and the demo."""

import json
import os
import signal
import socket
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NoReturn

import psycopg
import redis
from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from django.utils.timezone import now

from conductor.local.apart import do_apart
from conductor.local.children import Child, Children, die_with_parent
from conductor.local.demo import Stages, open_demo_sessions, prepare_demo
from conductor.local.embedded import CannotStart, Servers, answers_ping
from conductor.local.private_files import write_private
from conductor.local.pulse import Pulse, find_stuck, pulse_folder
from conductor.local.rest_client import CannotReach, Refused
from conductor.local.supervisor import Probe, Program, Supervisor
from conductor.outages import first_line

HOST = "127.0.0.1"
READY_SECONDS = 60
PROBE_SECONDS = 3
# docker-compose.yml runs the same commands; a test compares them.
PROGRAMS = {
    "web": "daphne -b {host} -p {port} conductor.asgi:application",
    "worker": "celery -A conductor worker --concurrency 2 --without-mingle --without-gossip --loglevel INFO",
    "telling": "celery -A conductor.telling worker --queues telling --hostname telling@%h --pool threads"
    " --concurrency 16 --without-mingle --without-gossip --loglevel INFO",
    "beat": "celery -A conductor.clock beat --loglevel INFO",
}


INTRODUCTION = """
Engagement Conductor is up. A recorded webinar plays: a quarter of a minute after you open its page attention falls.

  Page      {url}/sessions/{session_id}/
  Audience  {audience_url}
            (each tab that opens it is a visitor of {url}/sessions/{audience_id}/)
  Login     {username}
  Password  {password}
  API key   {api_key}  (until the next start)
  API       {url}/api/v1/docs
  Admin     {url}/admin/
  Logs      {data_dir}/log
  Stop      Ctrl-C; the data stays in {data_dir}
"""


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []  # made apart, as they load all there is

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=port_argument, default=settings.PORT, help="default: PORT, else 8000")
        parser.add_argument("--no-demo", action="store_true", help="no demo event, login or recording")
        parser.add_argument(
            "--stop-with-parent", action="store_true", help="stop when the process that ran this command dies"
        )

    def handle(self, *, port: int, no_demo: bool, stop_with_parent: bool, **_: object) -> None:
        catch_stop_signals(interrupt)
        if stop_with_parent:
            die_with_parent(by=signal.SIGTERM)
        servers = Servers(
            settings.DATA_DIR,
            postgres=not os.environ.get("DATABASE_URL"),
            redis=not os.environ.get("REDIS_URL"),
        )
        try:
            do_apart(self.check)
            require_free_port(port)
            servers.start()  # from here on the data folder is ours alone
            self.run_on(servers, port, with_demo=not no_demo)
        except CannotStart as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.say("Stopped.")

    def run_on(self, servers: Servers, port: int, *, with_demo: bool) -> NoReturn:
        programs = Children(servers.children.log_folder)
        notes = settings.DATA_DIR / "demo.json"
        try:
            notes.unlink(missing_ok=True)  # of a run that was killed
            self.say("Preparing the database and the static files.")
            do_apart(prepare)
            supervisor = supervise(servers, programs, port, self.say)
            await_readiness(port, supervisor)
            supervisor.look()  # who has answered once is missed soon
            if with_demo:
                note, stages = do_apart(partial(make_demo, port))
                write_private(notes, json.dumps(note, indent=2) + "\n")
                # It finds the address and the key in demo.json. It is decoration: however it ends, all else goes on.
                start(programs, "demo", "manage.py", "play_demo", stages.webinar_id, stages.calm_id, port=port)
                audience = {"audience_id": stages.audience_id, "audience_url": stages.audience_url}
                self.say(INTRODUCTION.format(**note, **audience, data_dir=settings.DATA_DIR))
            else:
                self.say(f"Up at http://{HOST}:{port}/. For a login: manage.py createsuperuser. Ctrl-C stops.")
            while True:
                supervisor.step(time.monotonic())
                time.sleep(0.2)
        except KeyboardInterrupt:
            self.say("\nStopping.")
            raise
        finally:
            catch_stop_signals(signal.SIG_IGN)  # what is left takes seconds and must be done
            notes.unlink(missing_ok=True)
            programs.stop()
            servers.stop()

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()  # so that a pipe or a file shows it at once, too


def catch_stop_signals(handler: Callable[[int, object], object] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, handler)


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def port_argument(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65_536:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a number from 1 to 65535")


def require_free_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} cannot be used: {error.strerror}. "
                f"Choose another: --port {port + 1}, or make run PORT={port + 1}."
            ) from error


def prepare() -> None:
    """Bring the database and the static files to where this release has them."""
    require_reachable_servers()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def require_reachable_servers() -> None:
    """Ask both servers for a sign of life, so that a wrong address is one sentence and not five tracebacks."""
    try:
        psycopg.connect(**{**connection.get_connection_params(), "connect_timeout": 5}).close()
    except psycopg.OperationalError as error:
        raise CommandError(f"PostgreSQL: {first_line(error)}. Check DATABASE_URL.") from error
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5) as client:
            client.ping()
    except redis.RedisError as error:
        raise CommandError(f"Redis: {first_line(error)}. Check REDIS_URL.") from error


def supervise(servers: Servers, programs: Children, port: int, say: Callable[[str], object]) -> Supervisor:
    """Start web, worker, senders and beat, and watch over them and over the servers, which run already."""
    supervisor = Supervisor(say)
    probes = {"postgres": Probe(postgres_answers), "redis": Probe(redis_answers)}
    running = {child.name: child for child in servers.children.all}
    for name, start_server in servers.programs.items():
        supervisor.add(Program(name, servers.children, start_server, probes[name], running[name]))
    for name, command in PROGRAMS.items():
        arguments = ["-m", *command.format(host=HOST, port=port).split()]
        launch = partial(start if name == "web" else start_alive, programs, name, *arguments, port=port)
        finds = Probe(partial(web_answers, port)) if name == "web" else partial(find_stuck_ones, name)
        supervisor.add(Program(name, programs, launch, finds))
    return supervisor


def find_stuck_ones(name: str, child: Child) -> list[int]:
    return find_stuck(pulse_folder(settings.DATA_DIR), name, time.time())


def web_answers(port: int) -> bool:
    return ask("/healthz", port, PROBE_SECONDS)[0] == 200


def postgres_answers() -> bool:
    try:
        with psycopg.connect(**connection.get_connection_params() | {"connect_timeout": PROBE_SECONDS}) as fresh:
            return fresh.execute("SELECT 1").fetchone() is not None
    except psycopg.Error:
        return False


def redis_answers() -> bool:
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=PROBE_SECONDS, socket_timeout=PROBE_SECONDS
        ) as client:
            return answers_ping(client)
    except redis.RedisError:
        return False


def child_environment(port: int) -> dict[str, str]:
    """Return the environment of the programs: ours, with what we know better said outright."""
    return {
        "CONDUCTOR_PLAIN_HTTP": "1",  # there is no proxy that speaks TLS before us
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "conductor.settings",
        "CONDUCTOR_DATA_DIR": str(settings.DATA_DIR),
        "DATABASE_URL": settings.DATABASE_URL,
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "ALLOWED_HOSTS": ",".join(dict.fromkeys([*settings.ALLOWED_HOSTS, HOST, "localhost"])),
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }


def start(programs: Children, name: str, *arguments: str | Path, port: int) -> Child:
    """Start a Python process of the product."""
    environment = child_environment(port)
    return programs.start(name, [sys.executable, *arguments], env=environment, cwd=settings.BASE_DIR)


def start_alive(programs: Children, name: str, *arguments: str | Path, port: int) -> Child:
    """Start a process that gives signs of life; the first is given for it, so that it is missed if it never does."""
    child = start(programs, name, *arguments, port=port)
    with suppress(OSError):  # on a full disk it goes without
        Pulse(pulse_folder(settings.DATA_DIR), name, child.process.pid).beat()
    return child


def await_readiness(port: int, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + READY_SECONDS
    status, answer = ask("/readyz", port)
    while status != 200:
        supervisor.step(time.monotonic())
        if time.monotonic() > deadline:
            raise CommandError(f"Not ready after {READY_SECONDS} s: {answer} The logs are in {settings.DATA_DIR}/log.")
        time.sleep(0.2)
        status, answer = ask("/readyz", port)


def ask(path: str, port: int, seconds: float = 10) -> tuple[int, str]:
    """Return the status and the text of an address of ours; 0, and why, where nobody answers."""
    client = HTTPConnection(HOST, port, timeout=seconds)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, HTTPException) as error:
        return 0, f"{error}."
    finally:
        client.close()


def make_demo(port: int) -> tuple[dict[str, str], Stages]:
    """Make what the demo needs; return what one has to know of it, and its sessions."""
    url = f"http://{HOST}:{port}"
    try:
        demo = prepare_demo(settings.DATA_DIR, now())
        stages = open_demo_sessions(demo, url, now())
    except (CannotReach, Refused) as error:
        raise CommandError(str(error)) from error
    note = {
        "url": url,
        "username": demo.username,
        "password": demo.password,
        "api_key": demo.api_key,
        "event_id": str(demo.event_id),
        "session_id": stages.webinar_id,
    }
    return note, stages
