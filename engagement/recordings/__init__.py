"""Recordings of live sessions: a reader for each format, and the writer of JSON Lines."""

from engagement.recordings.reader import open_recording, open_recordings
from engagement.recordings.recording import BadRecording, Recording

__all__ = ["BadRecording", "Recording", "open_recording", "open_recordings"]
