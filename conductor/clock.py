"""The Celery application of beat: it sends tasks by their names, and loads neither them nor an app of Django's.

So it is half as large as what it wakes.
"""

import os
import time
from logging.config import dictConfig
from typing import Any

from celery import Celery
from celery.beat import Scheduler
from celery.signals import setup_logging
from django.conf import settings

from conductor.local.pulse import Pulse, pulse_folder

JUMP_SECONDS = 1.0

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conductor.settings")
# Celery's own care for Django would load all of it.
app = Celery("clock", fixups=[], set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")


@setup_logging.connect
def log_as_all_do(**_: object) -> None:
    """Log as Django has its processes log, which is not begun here."""
    dictConfig(settings.LOGGING)


class Clock(Scheduler):
    """Celery's scheduler, with signs of life. A tick every 5 s needs no file that remembers the last one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._pulse = Pulse(pulse_folder(settings.DATA_DIR), "beat")
        self._began_at = _began_at()
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        self._pulse.beat()
        if abs(_began_at() - self._began_at) > JUMP_SECONDS:
            self._begin_anew()
        return super().tick(*args, **kwargs)

    def adjust(self, n: float, drift: float = 0.0) -> float:
        """Return how long to sleep until something is due: all of it, as Celery's 10 ms less are spent awake."""
        return n + drift if n and n > 0 else n

    def _begin_anew(self) -> None:
        """Count from now: whose wall clock was set back would wait until it has come to where it was."""
        self._began_at = _began_at()
        for entry in self.schedule.values():
            entry.last_run_at = entry.default_now()
        self._heap = None  # made again by the next tick


def _began_at() -> float:
    """Return what the wall clock would have said when the monotonic one began; it moves when a clock is set."""
    return time.time() - time.monotonic()
