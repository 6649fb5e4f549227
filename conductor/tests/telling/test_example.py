"""The receiver in the docs takes what we send."""

import os
import re
import socket
import subprocess
import sys
import textwrap
from datetime import UTC, datetime

import pytest
from django.conf import settings

from conductor.models import Channel
from conductor.telling.webhooks import post_message
from conductor.tests.waiting import wait_until

SECRET = Channel.draw_secret()


@pytest.fixture
def example(tmp_path):
    """The receiver that `docs/integrators.md` shows, as it stands there; its address, and what it prints."""
    page = (settings.BASE_DIR / "docs" / "integrators.md").read_text()
    (block,) = re.findall(r"(?:^    .*\n|^\n)*^    HTTPServer.*\n", page, re.M)
    script, said = tmp_path / "receiver.py", tmp_path / "said"
    script.write_text(textwrap.dedent(block))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(script), str(port)],
            env={**os.environ, "WEBHOOK_SECRET": SECRET}, stdout=out, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    yield f"http://127.0.0.1:{port}/", said
    process.kill()
    process.wait()


def post(url: str, secret: str, key: str, description: str):
    payload = {"type": "anomaly.detected", "timestamp": "2026-03-02T09:00:00Z", "data": {"description": description}}
    return post_message(url, secret, key, payload, datetime.now(UTC), may_be_private=True)


def test_receiver_of_the_docs_takes_ours_once_and_nobody_elses(example):
    url, said = example
    wait_until(lambda: post(url, SECRET, "msg-1", "Chat fell from 14 to 2 a minute.").is_delivered)

    again = post(url, SECRET, "msg-1", "Chat fell from 14 to 2 a minute.")
    forged = post(url, Channel.draw_secret(), "msg-2", "Nothing of the kind.")

    assert (again.status, forged.status) == (204, 401)
    wait_until(lambda: bool(said.read_text()))
    assert said.read_text() == "anomaly.detected Chat fell from 14 to 2 a minute.\n"
