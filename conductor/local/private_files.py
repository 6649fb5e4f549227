"""Files that only their owner can read, written whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path


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


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return draft
