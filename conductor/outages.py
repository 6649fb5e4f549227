"""What a database that does not do its work is told as: what is wrong with it, in a sentence."""

import sys

import psycopg
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error
from psycopg import errors
from psycopg_pool import PoolTimeout

COME_BACK = {"Retry-After": "5"}  # seconds

BUSY = (
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.TooManyConnections,
)
FULL = (errors.DiskFull, errors.OutOfMemory)


def describe_outage(error: BaseException) -> str:
    """Return what keeps the database from its work; `error` is Django's, or psycopg's own.

    >>> describe_outage(errors.DiskFull())
    'The database has no room left'
    """
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(cause, FULL):
        return "The database has no room left"
    if isinstance(cause, BUSY):
        return "The database is too busy"
    if isinstance(cause, PoolTimeout):
        return "The database cannot be reached or is too busy"
    return "The database cannot be reached"


def first_line(error: Exception) -> str:
    """Return what a server says, without where and why, and without the full stop."""
    return str(error).strip().split("\n")[0].rstrip(".")


def broken_page(request: HttpRequest) -> HttpResponse:
    """Answer where something broke: 503 if it was the database, 500 if it was us."""
    error = sys.exc_info()[1]
    if not isinstance(error, (OperationalError, InterfaceError)):
        return server_error(request)
    page = render_to_string("503.html", {"outage": describe_outage(error)})
    return HttpResponse(page, status=503, headers=COME_BACK)
