"""Recordings of live sessions and labelled corpora: readers and writers, one module for each format."""

from engagement.recordings.reader import open_recording, open_recordings
from engagement.recordings.recording import BadRecording, Recording

__all__ = ["BadRecording", "Recording", "open_recording", "open_recordings"]
