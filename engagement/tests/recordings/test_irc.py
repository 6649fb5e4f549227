from datetime import UTC, datetime

import pytest

from engagement.recordings import BadRecording, open_recording

TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)
HEXCHAT = """**** BEGIN LOGGING AT Wed Mar  4 09:59:00 2026

Mar 04 09:59:30 *\tNow talking on #room
Mar 04 10:00:00 <guest_one>\thello
Mar 04 10:00:05 <@guest_two>\thi
Mar 04 10:00:06 *\tguest_three (~g@example.org) has joined
**** ENDING LOGGING AT Wed Mar  4 10:00:10 2026
"""
WEECHAT = """2026-03-04 09:59:30\t-->\tguest_three (~g@example.org) has joined #room
2026-03-04 10:00:00\tguest_one\thello
2026-03-04 10:00:05\t@guest_two\thi
2026-03-04 10:00:06\t<--\tguest_three (~g@example.org) has quit (Quit: bye)
"""
IRSSI = """--- Log opened Wed Mar 04 09:58:00 2026
09:59 -!- guest_three [~g@example.org] has joined #room
10:00:00 < guest_one> hello
10:00:05 <@guest_two> hi
--- Log closed Wed Mar 04 10:10:00 2026
"""
CHATTY = """# Log started: 2026-03-04 10:59:00 +0100
[11:00:00] <guest_one> hello
[11:00:05] <%+guest_two> hi
# Log closed: 2026-03-04 11:10:00 +0100
"""
MIRC = """Session Start: Wed Mar 04 09:59:00 2026
[10:00:00] <guest_one> hello
[10:00:05] * guest_two waves
"""
MIRC_IN_COLOURS = """Session Start: Wed Mar 04 09:59:00 2026
Session Ident: #room
\x0303[09:59:01] * Now talking in #room
\x0303[09:59:02] * irc.example.org sets mode: +nt
\x0303[09:59:03] * guest_three (~g@example.org) has joined #room
\x0303[09:59:04] * Joins: guest_four (~h@example.org)
\x0301,00[10:00:00] <@\x02guest_one\x02> hello
\x0306[10:00:05] * guest_two waves
\x0303[10:00:06] * guest_four is now known as guest_five
Session Close: Wed Mar 04 10:10:00 2026
"""
TEXTUAL = """[2026-03-04T10:59:30+0100] guest_three (~g@example.org) joined the channel
[2026-03-04T11:00:00+0100] <guest_one> hello
[2026-03-04T11:00:05+0100] • guest_two: waves
[2026-03-04T11:00:06+0100] guest_three (~g@example.org) left IRC (Quit: bye)
[2026-03-04T11:00:07+0100] guest_four (~h@example.org) left IRC (Quit: bye)
[2026-03-04T11:00:08+0100] guest_five changed the topic to hello: you
[2026-03-04T11:00:09+0100] guest_five is now known as guest_six
"""
BOTBOT = """2026-03-04T09:58:00 * guest_three joined the channel
2026-03-04T09:59:00 * guest_three has quit
2026-03-04T09:59:10 * guest_four left #room
2026-03-04T10:00:00 <guest_one> hello
2026-03-04T10:00:05 <guest_two> hi
"""


@pytest.mark.parametrize("log", [HEXCHAT, WEECHAT, IRSSI, CHATTY, MIRC, MIRC_IN_COLOURS, TEXTUAL, BOTBOT])
def test_the_log_of_a_client_is_read(log):
    recording = open_recording(log.encode(), "room.log")
    told = [(event.type, (event.timestamp - TEN).total_seconds(), event.user) for event in recording.events]
    assert told == [("chat", 0, "u1"), ("chat", 5, "u2")]
    assert recording.format == "IRC log"


def test_a_day_that_changes_is_the_next_one():
    log = (
        "--- Log opened Tue Mar 03 23:50:00 2026\n23:59:00 <a> x\n--- Day changed Wed Mar 04 2026\n00:01:00 <b> y\n"
        "10:00:00 <a> z\n"
    )
    assert open_recording(log.encode()).events[-1].timestamp == TEN


def test_a_log_without_a_year_needs_one():
    log = b"Mar 04 10:00:00 <guest_one>\thello\nMar 04 10:00:05 <guest_two>\thi\n"
    assert open_recording(log, starts_at=TEN).events[0].timestamp == TEN
    with pytest.raises(BadRecording, match="line 1: tells no year: give the planned start"):
        open_recording(log)


def test_a_room_in_which_people_only_come_and_go_is_known_and_says_so():
    log = "".join(f"2026-03-04T10:00:{second:02d} * guest has quit\n" for second in range(40))
    with pytest.raises(BadRecording, match=r"is empty: nothing in it can be used .40 lines of who came and went"):
        open_recording(log.encode())


def test_what_somebody_says_of_who_left_is_said():
    log = b"2026-03-04T10:00:00 <guest_one> guest_two has left\n2026-03-04T10:00:05 <guest_one> has quit smoking\n"
    assert len(open_recording(log).events) == 2
