"""The Celery application, and the signs of life of its processes; its tasks are in `conductor.tasks`."""

import os

from celery import Celery
from celery.signals import heartbeat_sent, task_prerun, worker_init, worker_process_init
from django.conf import settings
from django.db import close_old_connections

from conductor.broker import keep_connections
from conductor.local.children import die_with_parent
from conductor.local.pulse import Pulse, pulse_folder

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conductor.settings")
app = Celery("conductor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["conductor"])
# A pool process keeps its connection to the database from task to task: to open one costs more than a sweep does.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000


def _pulse(name: str) -> Pulse:
    return Pulse(pulse_folder(settings.DATA_DIR), name)


@worker_init.connect
def live_with_the_heart(**_: object) -> None:
    """The worker's main process is well while its event loop gets to send heartbeats."""
    pulse = _pulse("worker")
    pulse.beat()
    heartbeat_sent.connect(lambda **_: pulse.beat(), weak=False)


@worker_process_init.connect
def start_pool_process(**_: object) -> None:
    """A pool process whose worker was killed would otherwise wait for tasks for ever, and for the database too."""
    die_with_parent()
    _pulse("worker").beat_while(lambda: True)  # what is frozen does not get to it
    keep_connections()
    task_prerun.connect(lambda **_: close_old_connections(), weak=False)  # or see that it still works
