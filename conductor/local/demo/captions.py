"""What is said of the demo just now: a small file, written by who plays it and read by its page."""

import json
from contextlib import suppress
from pathlib import Path

from conductor.local.private_files import write_private

FRESH_SECONDS = 30.0  # without a new word for longer nobody plays


def caption_file(data_dir: Path) -> Path:
    return data_dir / "demo_caption.json"


def write_caption(data_dir: Path, session_id: str, text: str) -> None:
    write_private(caption_file(data_dir), json.dumps({"session_id": session_id, "text": text}))


def read_caption(data_dir: Path, session_id: str, now: float) -> str:
    """Return what is said of a session, nothing where it is not the demo's; `now` is in seconds since the epoch."""
    path = caption_file(data_dir)
    with suppress(OSError, ValueError, KeyError, TypeError):
        if now - path.stat().st_mtime <= FRESH_SECONDS:
            said = json.loads(path.read_text())
            return str(said["text"]) if said["session_id"] == session_id else ""
    return ""


def drop_caption(data_dir: Path) -> None:
    caption_file(data_dir).unlink(missing_ok=True)
