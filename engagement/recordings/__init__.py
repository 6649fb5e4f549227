"""Recordings of live sessions: a reader for each format, and the writer of JSON Lines."""

from engagement.recordings.date_order import DateOrder
from engagement.recordings.reader import FORMATS, open_recording, open_recordings
from engagement.recordings.recording import BadRecording, Hints, Recording, UnknownColumns

__all__ = [
    "FORMATS", "BadRecording", "DateOrder", "Hints", "Recording", "UnknownColumns", "open_recording", "open_recordings",
]  # fmt: skip
