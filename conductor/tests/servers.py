"""A pytest plugin, loaded before the settings are: the suite brings its own PostgreSQL and Redis."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from conductor import embedded


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


@pytest.fixture(autouse=True)
def plain_static_names(settings) -> None:
    """Pages rendered in this process name static files plainly: hashed names exist only after collectstatic."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
