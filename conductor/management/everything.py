"""Run everything on this machine, and watch over it: what `manage.py up` becomes when all is checked.

Knows no Django, which would be 40 MB for as long as all runs: what needs it is done apart. Its environment says all
that the settings do.
"""

import json
import os
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from conductor.local.apart import STOP_SIGNALS, do_apart
from conductor.local.asking import ask_postgres, ask_redis, ask_web
from conductor.local.children import Child, Children, die_with_parent
from conductor.local.embedded import CannotStart, Servers
from conductor.local.private_files import write_private
from conductor.local.pulse import Pulse, find_stuck, pulse_folder
from conductor.local.supervisor import Probe, Program, Supervisor

HOST = "127.0.0.1"
READY_SECONDS = 60
PROBE_SECONDS = 3
TREE = Path(__file__).resolve().parents[2]
# docker-compose.yml runs the same commands; a test compares them.
PROGRAMS = {
    "web": "daphne -b {host} -p {port} conductor.asgi:application",
    "worker": "conductor.program worker --concurrency 2",
    "telling": "conductor.program telling --concurrency 16",
    "beat": "conductor.program beat",
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


def main() -> int:
    catch_stop_signals(interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # those that came while we became this
        run(read_arguments())
    except CannotStart as error:
        print(f"CommandError: {error}", file=sys.stderr)  # noqa: T201 - as of any other command
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
    return 0


def read_arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--no-demo", action="store_true")
    parser.add_argument("--stop-with-parent", action="store_true")
    parser.add_argument("--servers", nargs="*", default=[], help="those that we run ourselves: postgres, redis")
    return parser.parse_args()


def run(given: Namespace) -> NoReturn:
    """Start everything, and go on until somebody says stop."""
    if given.stop_with_parent:
        die_with_parent(by=signal.SIGTERM)
    data_dir = Path(os.environ["CONDUCTOR_DATA_DIR"])
    servers = Servers(data_dir, postgres="postgres" in given.servers, redis="redis" in given.servers)
    servers.start()  # from here on the data folder is ours alone
    programs = Children(servers.children.log_folder)
    notes = data_dir / "demo.json"
    try:
        notes.unlink(missing_ok=True)  # of a run that was killed
        say("Preparing the database and the static files.")
        do_apart(prepare)
        supervisor = supervise(servers, programs, given.port)
        await_readiness(given.port, supervisor, data_dir)
        supervisor.look()  # who has answered once is missed soon
        if given.no_demo:
            say(f"Up at http://{HOST}:{given.port}/. For a login: manage.py createsuperuser. Ctrl-C stops.")
        else:
            play_demo(programs, given.port, data_dir, notes)
        while True:
            supervisor.step(time.monotonic())
            time.sleep(0.2)
    except KeyboardInterrupt:
        say("\nStopping.")
        raise
    finally:
        catch_stop_signals(signal.SIG_IGN)  # what is left takes seconds and must be done
        notes.unlink(missing_ok=True)
        programs.stop()
        servers.stop()


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - so that a pipe or a file shows it at once, too


def catch_stop_signals(handler: Callable[[int, object], object] | signal.Handlers) -> None:
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, handler)


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def prepare() -> None:
    from conductor.management import ground  # here and below, as only a copy of us that ends loads Django

    ground.prepare()


def make_demo(port: int) -> tuple[dict[str, str], dict[str, str]]:
    from conductor.management import ground

    return ground.make_demo(f"http://{HOST}:{port}")


def play_demo(programs: Children, port: int, data_dir: Path, notes: Path) -> None:
    """Make the demo, tell a person of it, and have it played."""
    note, stages = do_apart(partial(make_demo, port))
    write_private(notes, json.dumps(note, indent=2) + "\n")
    # It finds the address and the key in demo.json. It is decoration: however it ends, all else goes on.
    start(programs, "demo", "manage.py", "play_demo", note["session_id"], stages["calm_id"])
    say(INTRODUCTION.format(**note, **stages, data_dir=data_dir))


def supervise(servers: Servers, programs: Children, port: int) -> Supervisor:
    """Start web, worker, senders and beat, and watch over them and over the servers, which run already."""
    supervisor = Supervisor(say)
    ask_database = partial(ask_postgres, servers.sockets, "conductor", "SELECT 1", PROBE_SECONDS)
    probes = {
        "postgres": Probe(partial(answers, ask_database)),
        "redis": Probe(partial(answers, partial(ask_redis, servers.sockets, PROBE_SECONDS))),
    }
    running = {child.name: child for child in servers.children.all}
    for name, start_server in servers.programs.items():
        supervisor.add(Program(name, servers.children, start_server, probes[name], running[name]))
    pulses = pulse_folder(servers.data_dir)
    for name, command in PROGRAMS.items():
        arguments = ["-m", *command.format(host=HOST, port=port).split()]
        if name == "web":
            launch, finds = partial(start, programs, name, *arguments), Probe(partial(web_answers, port))
            supervisor.add(Program(name, programs, launch, finds))
        else:
            launch = partial(start_alive, pulses, programs, name, *arguments)
            supervisor.add(Program(name, programs, launch, partial(find_stuck_ones, pulses, name)))
    return supervisor


def find_stuck_ones(pulses: Path, name: str, child: Child) -> Iterable[int]:
    return find_stuck(pulses, name, time.time())


def web_answers(port: int) -> bool:
    return ask_web(HOST, port, "/healthz", PROBE_SECONDS)[0] == 200


def answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except OSError:
        return False
    return True


def start(programs: Children, name: str, *arguments: str | Path) -> Child:
    """Start a Python process of the product, with our environment."""
    return programs.start(name, [sys.executable, *arguments], cwd=TREE)


def start_alive(pulses: Path, programs: Children, name: str, *arguments: str | Path) -> Child:
    """Start a process that gives signs of life; the first is given for it, so that it is missed if it never does."""
    child = start(programs, name, *arguments)
    with suppress(OSError):  # on a full disk it goes without
        Pulse(pulses, name, child.process.pid).beat()
    return child


def await_readiness(port: int, supervisor: Supervisor, data_dir: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    status, answer = ask_web(HOST, port, "/readyz", seconds=10)
    while status != 200:
        supervisor.step(time.monotonic())
        if time.monotonic() > deadline:
            raise CannotStart(f"Not ready after {READY_SECONDS} s: {answer} The logs are in {data_dir}/log.")
        time.sleep(0.2)
        status, answer = ask_web(HOST, port, "/readyz", seconds=10)


if __name__ == "__main__":
    sys.exit(main())
