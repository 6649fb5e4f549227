"""Files that only their owner can read, written whole or not at all."""

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write_private(path: Path, text: str) -> None:
    """Put the text in a file of mode 0600; a reader sees the old file or the new one, never a half."""
    _draft(path, text).replace(path)


def kept_secret(path: Path, size: int = 48) -> str:
    """Return the secret that is kept in this file; the first call makes it, of so many random bytes."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = _draft(path, secrets.token_urlsafe(size))
        with contextlib.suppress(FileExistsError):  # another process was first: then its secret holds
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


@contextlib.contextmanager
def new_private_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file of mode 0600 to write to; it has its name when all of it is on the disk, and never before.

    Raises `FileExistsError`: what is there stays.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, "is there already", str(path))
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)  # it is 0600
    draft = Path(name)
    try:
        with open(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return draft
