"""`python -m conductor.program NAME` is a program of Celery's: the worker, who tells people, or the clock.

As `celery -A ... worker` and `beat`, without what only their command line needs: a shell, colours, a dozen commands.
"""

import logging
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from celery import Celery

from conductor.local.pulse import BEAT_SECONDS


def main() -> int:
    given = read_arguments()
    return PROGRAMS[given.name](given)


def read_arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m conductor.program", description="Run a program of Celery's.")
    parser.add_argument("name", choices=PROGRAMS)
    parser.add_argument("--concurrency", type=int, default=2, help="how many tasks at once: processes, or threads")
    parser.add_argument("--hostname", help="its own name, where several run on one machine: NAME@HOST")
    return parser.parse_args()


def run_worker(given: Namespace) -> int:
    from conductor.celery import app  # here and below, as none loads what only another needs

    return _work(app, given)


def run_telling(given: Namespace) -> int:
    from conductor.telling.celery import QUEUE, app

    # Its heart beats for whoever looks for what is stuck, and nobody calls that in less than forty seconds.
    return _work(app, given, queues=[QUEUE], pool="threads", heartbeat_interval=BEAT_SECONDS)


def run_clock(given: Namespace) -> int:
    from conductor.clock import app

    app.Beat(loglevel="INFO").run()
    return 0


def _work(app: Celery, given: Namespace, **options: Any) -> int:
    from celery.utils.nodenames import gethostname

    name = "celery" if given.name == "worker" else given.name
    worker = app.Worker(
        hostname=given.hostname or f"{name}@{gethostname()}",
        concurrency=given.concurrency,
        loglevel=logging.INFO,
        optimization="default",
        without_mingle=True,
        without_gossip=True,
        **options,
    )
    worker.start()
    return int(worker.exitcode or 0)


PROGRAMS = {"worker": run_worker, "telling": run_telling, "beat": run_clock}


if __name__ == "__main__":
    sys.exit(main())
