"""Celery as we use it: a process loads what it needs."""

import gc
import os
import subprocess
import sys

import pytest
from celery.signals import worker_init

from anomalies.detector.incidents import judge_until_news
from anomalies.detector.prior import FOREST, shipped
from conductor.tasks import prepare_to_judge

RARE = {"openpyxl", "charset_normalizer", "apprise"}  # loaded where the first file or address needs them


@pytest.mark.parametrize(
    ("process", "others"),
    [
        ("conductor.asgi", {"river", "numba", *RARE}),
        ("conductor.tasks, conductor.program", {"river", "numba", "twisted", "ninja", "celery.bin", *RARE}),
        (
            "conductor.telling.tasks, conductor.program",
            {"river", "numba", "numpy", "twisted", "ninja", "celery.bin", *RARE},
        ),
    ],
)
def test_programs_load_what_they_need(process, others):
    """River and numba take more than a second and 150 MB, Twisted and ninja 25 MB."""
    code = f"import sys, django; django.setup(); import {process}; print({others} & {{*sys.modules}})"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "conductor.settings"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_worker_has_its_detector_before_the_first_row():
    vars(FOREST).pop("splits", None)
    vars(shipped()).pop("quiet", None)
    assert prepare_to_judge in {receiver() for _, receiver in worker_init.receivers}
    prepare_to_judge()
    assert gc.get_freeze_count() > 100_000, "what collects garbage leaves it to all processes"
    gc.unfreeze()
    assert "splits" in vars(FOREST)
    assert judge_until_news.signatures
