"""A pytest plugin, loaded before the settings are: a PostgreSQL and a Redis that start when the first test needs them.

A test needs them if it uses the database or bears the mark `servers`; no other test can reach them. Their addresses
follow from the data folder, so the settings know them from the beginning. Each process of pytest-xdist has its own.
"""

import os
import shutil
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

# The pure core and its tests know no Django: a run of nothing else does not wait for it.
PURE = (
    "anomalies/bench", "anomalies/detector", "anomalies/tests/bench", "anomalies/tests/detector",
    "engagement/limits", "engagement/moments", "engagement/readings", "engagement/recordings", "engagement/room",
    "engagement/scoring", "engagement/windows", "engagement/wording",
    "engagement/tests/recordings", "engagement/tests/test_moments", "engagement/tests/test_readings",
    "engagement/tests/test_scoring", "engagement/tests/test_windows",
)  # fmt: skip
NOT_ASKED_FOR = "This test reaches for PostgreSQL or Redis and does not say so: mark it `servers`."


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    data_dir = Path(tempfile.mkdtemp(prefix="conductor-test-"))
    early_config.add_cleanup(lambda: shutil.rmtree(data_dir, ignore_errors=True))
    data_dir.chmod(0o711)
    (data_dir / "static").mkdir()  # servestatic warns of a folder that is not there, and a warning is an error here
    os.environ["CONDUCTOR_DATA_DIR"] = str(data_dir)
    os.environ["CONDUCTOR_PLAIN_HTTP"] = "1"
    for name in ("DATABASE_URL", "REDIS_URL", "DEBUG", "SECRET_KEY"):
        os.environ.pop(name, None)
    paths = early_config.known_args_namespace.file_or_dir
    if not (paths and all(path.startswith(PURE) for path in paths)):
        os.environ["DJANGO_SETTINGS_MODULE"] = "conductor.settings"


def pytest_configure() -> None:
    import hypothesis

    hypothesis.settings.register_profile("any machine", deadline=None)  # how long an example takes is no property
    hypothesis.settings.load_profile("any machine")
    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        return
    from django.conf import settings

    # Between two tests the tables are emptied under the worker's hands. Of two transactions that wait for each
    # other PostgreSQL ends the one that has waited longer than its own timeout: never ours, so always the worker's.
    settings.DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c deadlock_timeout=60s"
    # Pages rendered in this process name static files plainly: hashed names exist only after collectstatic.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

    keep_content_types()


def keep_content_types() -> None:
    """Between two tests every table is emptied, but not this one: processes that run on remember its ids."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    flush = DatabaseOperations.sql_flush

    def flush_others(self: object, style: object, tables: list[str], **options: bool) -> list[str]:
        return flush(self, style, [table for table in tables if table != "django_content_type"], **options)

    DatabaseOperations.sql_flush = flush_others


def pytest_itemcollected(item: pytest.Item) -> None:
    fixtures = {"django_db_setup", "live_server"}.intersection(getattr(item, "fixturenames", ()))
    if fixtures or item.get_closest_marker("django_db"):
        item.add_marker("servers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Those without servers first: they are quicker, and find no server by luck. And of a module those last that start
    # our programs, which run on until it ends: their clock is today's, and ends what others have happen in March.
    items.sort(key=lambda item: (needs_servers(item), "stack" in getattr(item, "fixturenames", ())))
    if config.getoption("dist", "no") != "no":
        # Of several processes none is left alone at the end with a file of browsers, or of programs that are started.
        cost: Counter[Path] = Counter()
        for item in items:
            is_long = item.get_closest_marker("browser") or not item.get_closest_marker("django_db")
            cost[item.path] += 20 if needs_servers(item) and is_long else 1 + needs_servers(item)
        items.sort(key=lambda item: -cost[item.path])


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes test: one more than there are processors, as tests wait a third of their time."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if needs_servers(item):
        start_servers(item.config)


def needs_servers(item: pytest.Item) -> bool:
    return item.get_closest_marker("servers") is not None


@cache
def start_servers(config: pytest.Config) -> None:
    """Start PostgreSQL and Redis, once; they stop when pytest ends."""
    from conductor.local import embedded

    servers = embedded.Servers(Path(os.environ["CONDUCTOR_DATA_DIR"]))
    servers.start()
    config.add_cleanup(servers.stop)


@pytest.fixture(autouse=True)
def no_servers_by_luck(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test that did not ask for the servers fail with that sentence, also where another test has started them."""
    if needs_servers(request.node) or "redis" not in sys.modules:
        return
    import psycopg
    import redis.asyncio

    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail(NOT_ASKED_FOR)

    monkeypatch.setattr(psycopg, "connect", refuse)
    for pool in (redis.ConnectionPool, redis.asyncio.ConnectionPool):
        monkeypatch.setattr(pool, "get_connection", refuse)
