"""What everything stands on before it runs: a database and static files of this release, and the demo."""

import django
import psycopg
import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.timezone import now

from conductor.local.embedded import CannotStart
from conductor.local.rest_client import CannotReach, Refused
from conductor.outages import first_line


def prepare() -> None:
    """Bring the database and the static files to where this release has them. Raises `CannotStart`."""
    django.setup()
    require_reachable_servers()
    try:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
    except CommandError as error:
        raise CannotStart(str(error)) from error


def require_reachable_servers() -> None:
    """Ask both servers for a sign of life, so that a wrong address is one sentence and not five tracebacks."""
    try:
        psycopg.connect(**{**connection.get_connection_params(), "connect_timeout": 5}).close()
    except psycopg.OperationalError as error:
        raise CannotStart(f"PostgreSQL: {first_line(error)}. Check DATABASE_URL.") from error
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5) as client:
            client.ping()
    except redis.RedisError as error:
        raise CannotStart(f"Redis: {first_line(error)}. Check REDIS_URL.") from error


def make_demo(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Make what the demo needs; return what one has to know of it, and of its sessions. Raises `CannotStart`."""
    django.setup()
    from conductor.local.demo import open_demo_sessions, prepare_demo  # here, as its models need what was set up

    try:
        demo = prepare_demo(settings.DATA_DIR, now())
        stages = open_demo_sessions(demo, url, now())
    except (CannotReach, Refused) as error:
        raise CannotStart(str(error)) from error
    note = {
        "url": url,
        "username": demo.username,
        "password": demo.password,
        "api_key": demo.api_key,
        "event_id": str(demo.event_id),
        "session_id": stages.webinar_id,
    }
    return note, {
        "calm_id": stages.calm_id, "audience_id": stages.audience_id, "audience_url": stages.audience_url
    }  # fmt: skip
