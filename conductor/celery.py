"""The Celery application; its tasks are in `conductor.tasks`."""

import os

from celery import Celery
from celery.signals import worker_process_init

from conductor.local.children import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conductor.settings")
app = Celery("conductor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["conductor"])


@worker_process_init.connect
def leave_no_orphan(**_: object) -> None:
    """A pool process whose worker was killed would otherwise wait for tasks for ever."""
    die_with_parent()
