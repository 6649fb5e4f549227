"""`python -m benchmarks.chaos.kennel SEED COUNT`: senders that are killed at random moments, so many times.

It says `over` after the last kill; when it is answered a last sender sends all that is left.
"""

import os
import random
import signal
import sys
import threading
import time
from datetime import timedelta

import django

from conductor.local.children import die_with_parent

THREADS = 6
LEASE = timedelta(seconds=2)  # shorter than the product's, so that what was killed is sent again soon
SHORTEST, LONGEST = 0.05, 0.6  # seconds that a sender lives


def main(seed: str, count: str) -> None:
    die_with_parent()
    django.setup()
    from conductor.telling import sender  # noqa: F401  loaded once, or who is parted would be killed while it loads

    chance = random.Random(int(seed))
    for _ in range(int(count)):
        pid = _start()
        time.sleep(chance.uniform(SHORTEST, LONGEST))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    print("over", flush=True)
    sys.stdin.readline()
    os.waitpid(_start(), 0)


def _start() -> int:
    """Part a sender from this process, which has no thread and no connection: a new one would take seconds to begin."""
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        _send_until_nothing_is_left()
        os._exit(0)
    return pid


def _send_until_nothing_is_left() -> None:
    from conductor.telling import rules, sender

    sender.LEASE = LEASE
    rules.RETRY_SECONDS, rules.LONGEST_REST_SECONDS = (0.1,), 0.1
    threads = [threading.Thread(target=_send) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send() -> None:
    from django.utils.timezone import now

    from conductor.models import Message
    from conductor.telling import sender

    while sender.send_next(now) or Message.objects.pending().exists():
        time.sleep(0.005)


if __name__ == "__main__":
    main(*sys.argv[1:])
