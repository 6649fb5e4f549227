"""A heartbeat out: somebody elsewhere is called while all is well, and tells people when the calls stay away."""

import logging
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

import redis
from celery.exceptions import SoftTimeLimitExceeded

from conductor import carrier, health

WAIT_SECONDS = 5.0
STATE = "conductor:heartbeat"  # how the last call went, for all workers: nothing, or what was wrong

log = logging.getLogger(__name__)


def send(url: str) -> None:
    """Call the address unless something is missing; a call that fails is told when it begins, changes and ends."""
    if not url or health.find_missing():
        return
    wrong = _call(url)
    where = urlsplit(url).hostname  # what comes after it is a secret
    if wrong == _swap_state(wrong):
        return
    if wrong:
        log.warning("The heartbeat does not reach %s: %s.", where, wrong)
    else:
        log.info("The heartbeat reaches %s.", where)


def _call(url: str) -> str:
    """Return what went wrong, in words; empty where nothing did."""
    request = Request(url, headers={"User-Agent": "engagement-conductor"})  # noqa: S310  checks.py knows the schemes
    try:
        with _opener().open(request, timeout=WAIT_SECONDS):
            return ""
    except HTTPError as error:
        with error:
            return f"it answers {error.code}"
    except (TimeoutError, SoftTimeLimitExceeded):
        return "it does not answer in time"
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return "it does not answer in time"
        return str(reason) or type(reason).__name__


def _opener() -> OpenerDirector:
    """Return what opens http and https and nothing else, and takes a redirect for the error that it is here."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler,
        HTTPHandler,
        HTTPSHandler,
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
        UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _swap_state(wrong: str) -> str:
    """Remember how it went; return how it went before. Where nobody remembers, it is as it was."""
    try:
        with carrier.reach() as client:
            before = client.set(STATE, wrong, get=True)
    except redis.RedisError:
        return wrong
    return before.decode() if isinstance(before, bytes) else ""
