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
    os.environ["CONDUCTOR_DATA_DIR"] = str(data_dir)
    os.environ["CONDUCTOR_PLAIN_HTTP"] = "1"
    for name in ("DATABASE_URL", "REDIS_URL", "DEBUG", "SECRET_KEY"):
        os.environ.pop(name, None)
    servers = embedded.Servers(data_dir)
    servers.start()
    atexit.register(shutil.rmtree, data_dir, ignore_errors=True)
    atexit.register(servers.stop)
