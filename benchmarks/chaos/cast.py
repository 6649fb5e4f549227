"""Who takes part in a scenario, and how its books are closed."""

import time
import uuid

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client as Browser

from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.load import Load
from benchmarks.chaos.product import Product
from benchmarks.chaos.undisturbed import JUDGED_SECONDS, await_judgement, compare
from engagement.models import ApiKey, Event, Session


def new_key(event_name: str) -> str:
    """Make an event and return a key of it."""
    try:
        return ApiKey.objects.issue(Event.objects.create(name=event_name), "chaos")[1]
    finally:
        connection.close()  # what is killed next is the server


def new_cookie() -> str:
    """Make an administrator and return the cookie of one who is logged in."""
    try:
        browser = Browser()
        browser.force_login(User.objects.create_superuser(f"chaos-{uuid.uuid4().hex[:8]}"), MODEL_BACKEND)
        return f"sessionid={browser.cookies['sessionid'].value}"
    finally:
        connection.close()


MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


def close_the_books(product: Product, load: Load, outcome: Outcome) -> None:
    """Stop the load, wait until all is well again, and compare what is stored with an undisturbed run."""
    started = time.monotonic()
    load.stop(is_hopeless=lambda: not product.is_up)
    if not product.is_up:
        outcome.broken.append("up ended: " + " / ".join(text for _, text in product.said[-12:]))
        outcome.figures |= load.tell()
        return
    outcome.figures["load ends after, s"] = round(time.monotonic() - started, 1)
    outcome.promise(product.await_ready(), "the product is not ready two minutes after the last fault")
    outcome.figures["ready after, s"] = round(time.monotonic() - started, 1)
    connection.close()
    unjudged, seconds = await_judgement(load.told)
    outcome.figures |= load.tell() | {"judged after, s": round(seconds, 1)}
    outcome.broken += load.failures
    outcome.broken += [
        f"session {told.session_id} is not judged, and for {JUDGED_SECONDS:.0f} s nothing was" for told in unjudged
    ]
    compare([told for told in load.told if told not in unjudged], outcome)
    stored = Session.objects.count()
    outcome.promise(stored >= len(load.told), f"{len(load.told)} sessions were made, and {stored} are there")
    connection.close()
