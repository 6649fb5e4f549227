"""The Celery application of the program that tells people; what it does is in `conductor.telling.tasks`.

One of its own, so that whoever hangs while being told stops nothing else, and so that it loads no detector.
"""

import os
from typing import Any

import django
from celery import Celery
from celery.signals import heartbeat_sent, import_modules, worker_init
from django.conf import settings

from conductor.broker import keep_connections
from conductor.local.pulse import Pulse, pulse_folder

QUEUE = "telling"

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conductor.settings")
# Celery's own care for Django would, where another application is at work, close its connections after each task.
app = Celery("telling", fixups=[], set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    imports=["conductor.telling.tasks"], task_default_queue=QUEUE, beat_schedule={}, task_time_limit=None
)  # threads know no time limit


@import_modules.connect
def prepare_django(sender: Celery, **_: object) -> None:
    if sender is app:
        django.setup()


@worker_init.connect
def begin(sender: Any, **_: object) -> None:
    """Give signs of life with the heart, and let threads keep their connections to the database."""
    if sender.app is not app:
        return
    pulse = Pulse(pulse_folder(settings.DATA_DIR), QUEUE)
    pulse.beat()
    heartbeat_sent.connect(lambda **_: pulse.beat(), weak=False)
    keep_connections()
