"""The Celery application of the obvious build."""

from celery import Celery

app = Celery("obvious")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["benchmarks.obvious"])
