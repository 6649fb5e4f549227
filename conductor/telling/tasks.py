"""The task of those who send: what is due, one message after the other."""

import time

from django.db import close_old_connections
from django.utils.timezone import now

from conductor.telling import sender, waking
from conductor.telling.celery import app

TURN_SECONDS = 20.0  # then a task ends, so that a worker that stops waits for none of them


@app.task(acks_late=True, ignore_result=True)
def tell() -> None:
    """Send what is due while the time lasts. Who finds something calls the next sender before it waits for anybody."""
    close_old_connections()  # or see that it still works
    waking.answer()
    until = time.monotonic() + TURN_SECONDS
    while sender.send_next(now, waking.call):
        if time.monotonic() > until:
            waking.call()
            return
