"""Do something in a process of its own: what it loads, and the memory that it took, goes with it. Knows no Django."""

import signal
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from conductor.local.children import die_with_parent

T = TypeVar("T")
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def do_apart(work: Callable[[], T]) -> T:
    """Return what the work returns, done by a copy of this process that dies with it, and raise what it raises.

    Call it from the main thread, with no connection open: the copy would share it.
    """
    family = get_context("fork")
    receiver, sender = family.Pipe(duplex=False)
    child = family.Process(target=_do, args=(work, sender))
    # What Python calls around a fork swallows exceptions, so a Ctrl-C that came there would be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    child.start()
    sender.close()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        found, error = receiver.recv()
    except EOFError:
        child.join()
        raise RuntimeError(f"It was ended with exit status {child.exitcode}.") from None
    finally:
        child.kill()
        child.join()
        receiver.close()
    if error is not None:
        raise error
    return found  # type: ignore[no-any-return]


def _do(work: "Callable[[], object]", sender: "Connection[object, object]") -> None:
    die_with_parent()
    for number in STOP_SIGNALS:  # a terminal stops all; who waits for us says so
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    try:
        sender.send((work(), None))
    except Exception as error:
        error.add_note(traceback.format_exc())
        sender.send((None, error))
