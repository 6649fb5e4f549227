"""Where the embedded servers of a data folder listen, and how Celery writes an address.

Knows neither Django nor the servers: the settings ask, and so whatever runs.
"""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

PORT = 5432  # only part of the socket's name; said everywhere, as PGPORT would change it


def socket_folder(data_dir: Path) -> Path:
    """Return the short private folder of the sockets (a socket's path must stay under 108 bytes).

    Not under $TMPDIR: that may be long, and every process has to find the same folder.
    """
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:10]
    return Path("/tmp") / f"conductor-{os.geteuid()}-{digest}"  # noqa: S108 - its owner and mode are checked


def database_url(data_dir: Path, name: str = "conductor") -> str:
    """Return the address of a database of the embedded PostgreSQL."""
    return f"postgresql://postgres@{quote(str(socket_folder(data_dir)), safe='')}:{PORT}/{name}"


def redis_url(data_dir: Path, db: int = 0) -> str:
    """Return the address of a database of the embedded Redis."""
    return f"unix://{socket_folder(data_dir)}/redis.sock?db={db}"


def celery_broker_url(url: str) -> str:
    """Return a Redis address the way Celery writes it; unix sockets have a scheme of their own there."""
    if not url.startswith("unix://"):
        return url
    path, _, query = url.removeprefix("unix://").partition("?")
    return f"redis+socket://{path}?virtual_host={query.removeprefix('db=') or 0}"
