from datetime import UTC, datetime

import pytest

from engagement.recordings import BadRecording, open_recording

TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)
ZOOM = """WEBVTT

1
00:00:01.000 --> 00:00:03.000
Guest One: hello

2
00:00:03.500 --> 00:00:05.000
Guest One: and welcome

3
00:00:06.000 --> 00:00:08.000
Guest Two: thank you
"""
TEAMS = """WEBVTT

00:00:01.000 --> 00:00:05.000
<v Guest One>hello and welcome</v>

00:00:06.000 --> 00:00:08.000
<v Guest Two>thank you</v>
"""
SUBRIP = """1
00:00:01,000 --> 00:00:05,000
Guest One: hello

2
00:00:06,000 --> 00:00:08,000
Guest Two: thank you
"""


@pytest.mark.parametrize("written", [ZOOM, TEAMS, SUBRIP, ZOOM.replace("\n", "\r\n")])
def test_a_transcript_says_who_spoke_when(written):
    recording = open_recording(written.encode(), "talk.vtt", starts_at=TEN)
    told = [(event.type, (event.timestamp - TEN).total_seconds(), event.user) for event in recording.events]
    assert told == [
        ("talk_started", 1, "u1"),
        ("talk_stopped", 5, "u1"),
        ("talk_started", 6, "u2"),
        ("talk_stopped", 8, "u2"),
    ]
    assert recording.format == "transcript"
    assert {row.chat_msgs_per_min for row in recording.readings()} == {None}


def test_words_of_nobody_are_counted_and_not_used():
    recording = open_recording((ZOOM + "\n4\n00:00:09.000 --> 00:00:10.000\nand so on\n").encode(), starts_at=TEN)
    assert recording.unused == {"words of nobody": 1}


def test_a_transcript_needs_the_start():
    with pytest.raises(BadRecording, match="counts its times from the start: give the planned start"):
        open_recording(ZOOM.encode())
