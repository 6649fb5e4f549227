"""Start everything on this machine: the embedded servers, web, worker, senders, beat, and the demo."""

import os
import signal
import socket
import sys
from argparse import ArgumentParser, ArgumentTypeError

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from conductor.local.apart import STOP_SIGNALS
from conductor.management.everything import HOST, catch_stop_signals, interrupt


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []  # made below, where a Ctrl-C is expected

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=port_argument, default=settings.PORT, help="default: PORT, else 8000")
        parser.add_argument("--no-demo", action="store_true", help="no demo event, login or recording")
        parser.add_argument(
            "--stop-with-parent", action="store_true", help="stop when the process that ran this command dies"
        )

    def handle(self, *, port: int, no_demo: bool, stop_with_parent: bool, **_: object) -> None:
        catch_stop_signals(interrupt)
        try:
            self.check()
            require_free_port(port)
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
            return
        options = {"--no-demo": no_demo, "--stop-with-parent": stop_with_parent}
        servers = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
        become_everything(
            port,
            *(option for option, is_set in options.items() if is_set),
            "--servers",
            *(name for name, variable in servers.items() if not os.environ.get(variable)),
        )


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


def become_everything(port: int, *options: str) -> None:
    """Have this process go on as what starts and watches all others, without Django."""
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # until they are caught again
    os.chdir(settings.BASE_DIR)
    command = [sys.executable, "-m", "conductor.management.everything", "--port", str(port), *options]
    os.execve(sys.executable, command, child_environment(port))  # noqa: S606 - no shell is wanted


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
