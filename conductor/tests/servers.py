"""A pytest plugin, loaded before the settings are: the suite brings its own PostgreSQL and Redis."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from conductor.local import embedded


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    data_dir = Path(tempfile.mkdtemp(prefix="conductor-test-"))
    data_dir.chmod(0o711)
    (data_dir / "static").mkdir()  # servestatic warns of a folder that is not there, and a warning is an error here
    os.environ["CONDUCTOR_DATA_DIR"] = str(data_dir)
    os.environ["CONDUCTOR_PLAIN_HTTP"] = "1"
    for name in ("DATABASE_URL", "REDIS_URL", "DEBUG", "SECRET_KEY"):
        os.environ.pop(name, None)
    servers = embedded.Servers(data_dir)
    servers.start()
    atexit.register(shutil.rmtree, data_dir, ignore_errors=True)
    atexit.register(servers.stop)


def pytest_configure() -> None:
    import hypothesis
    from django.conf import settings

    hypothesis.settings.register_profile("any machine", deadline=None)  # how long an example takes is no property
    hypothesis.settings.load_profile("any machine")
    # Between two tests the tables are emptied under the worker's hands. Of two transactions that wait for each
    # other PostgreSQL ends the one that has waited longer than its own timeout: never ours, so always the worker's.
    settings.DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c deadlock_timeout=60s"


@pytest.fixture(autouse=True)
def plain_static_names(settings) -> None:
    """Pages rendered in this process name static files plainly: hashed names exist only after collectstatic."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
