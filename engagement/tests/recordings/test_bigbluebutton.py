from datetime import UTC, datetime, timedelta

import pytest

from engagement.recordings import BadRecording, open_recording

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
CREATED = 1772442000000  # nine o'clock
SERVER_UP = 30_000_000  # what the server's own clock showed then


def event(second: float, module: str, kind: str, /, *, dated: str = "timestampUTC", **fields: str) -> str:
    """One event as a server writes it: with `timestampUTC` and `date`, with `date` alone, or with neither."""
    milliseconds = round(second * 1000)
    if dated == "timestampUTC":
        fields["timestampUTC"] = str(CREATED + milliseconds)
    if dated:
        fields["date"] = (NINE + timedelta(seconds=second)).isoformat(timespec="milliseconds")
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    return f'<event timestamp="{SERVER_UP + milliseconds}" module="{module}" eventname="{kind}">{inner}</event>'


def join(second: float, user: str, external: str = "", **more: str) -> str:
    return event(
        second,
        "PARTICIPANT",
        "ParticipantJoinEvent",
        userId=user,
        externalUserId=external or user,
        name="Guest",
        **more,
    )


def leave(second: float, user: str, **more: str) -> str:
    return event(second, "PARTICIPANT", "ParticipantLeftEvent", userId=user, **more)


def status(second: float, user: str, kind: str, value: str) -> str:
    return event(second, "PARTICIPANT", "ParticipantStatusChangeEvent", userId=user, status=kind, value=value)


def document(*events: str, meeting_id: str = f"0123abcd-{CREATED}") -> bytes:
    inside = "\n".join(events)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<recording meeting_id="{meeting_id}" bbb_version="2.7.0">
  <meeting id="{meeting_id}" externalId="room" name="Geometry" breakout="false"/>
  <metadata meetingName="Geometry"/>
  {inside}
</recording>""".encode()


def told(content: bytes) -> list[tuple[str, float, str | None]]:
    events = open_recording(content).events
    return [(each.type, (each.timestamp - NINE).total_seconds(), each.user) for each in events]


def test_a_class_is_read():
    chat = "<![CDATA[ Good morning ]]>"
    recording = open_recording(
        document(
            join(0, "w_a", "one@example.org"),
            event(1, "VOICE", "ParticipantJoinedEvent", participant="w_a", muted="false", talking="false"),
            event(1.5, "VOICE", "StartRecordingEvent", filename="room.opus"),
            join(2, "w_b"),
            event(3, "CHAT", "PublicChatEvent", senderId="w_b", sender="Guest Two", message=chat),
            event(4, "WHITEBOARD", "WhiteboardCursorMoveEvent", userId="w_a", xOffset="1"),
            event(5, "POLL", "PollStartedRecordEvent", pollId="x/1", question="Ready?"),
            event(6, "POLL", "UserRespondedToPollRecordEvent", pollId="x/1", userId="w_b", answer="Yes"),
            event(7, "POLL", "PollPublishedRecordEvent", pollId="x/1"),
            event(8, "POLL", "PollStoppedRecordEvent", pollId="x/1"),
            status(9, "w_b", "emojiStatus", "thumbsUp"),
            event(9.5, "VOICE", "ParticipantTalkingEvent", participant="w_a", talking="true"),
            event(10, "VOICE", "ParticipantLeftEvent", participant="w_a"),
            leave(11, "w_b"),
            event(12, "PARTICIPANT", "EndAndKickAllEvent"),
        )
    )
    assert [(e.type, (e.timestamp - NINE).total_seconds(), e.user, e.poll) for e in recording.events] == [
        ("join", 0, "u1", None),
        ("mic_on", 1, "u1", None),
        ("join", 2, "u2", None),
        ("chat", 3, "u2", None),
        ("poll_opened", 5, None, "p1"),
        ("poll_vote", 6, "u2", "p1"),
        ("poll_closed", 8, None, "p1"),
        ("reaction", 9, "u2", None),
        ("talk_started", 9.5, "u1", None),
        ("mic_off", 10, "u1", None),
        ("leave", 11, "u2", None),
    ]
    assert recording.unused == {"voice events": 1, "whiteboard events": 1, "events of other kinds": 1}
    assert (recording.format, recording.people) == ("BigBlueButton events", 2)
    assert recording.ended_at == NINE + timedelta(seconds=12)


@pytest.mark.parametrize("dated", ["timestampUTC", "date", ""])
def test_old_and_new_servers_date_their_events(dated):
    content = document(join(0, "w_a", dated=dated), leave(61.5, "w_a", dated=dated))
    assert told(content) == [("join", 0, "u1"), ("leave", 61.5, "u1")]


def test_events_that_nothing_dates_are_refused():
    with pytest.raises(BadRecording, match="neither the event nor the meeting says when it was"):
        open_recording(document(join(0, "w_a", dated=""), meeting_id="geometry"))


def test_a_person_with_a_new_id_after_a_reload_is_the_same():
    content = document(join(0, "w_a", "x"), leave(60, "w_a"), join(65, "w_b", "x"))
    assert told(content) == [("join", 0, "u1"), ("leave", 60, "u1"), ("join", 65, "u1")]


def test_a_person_leaves_with_the_last_device():
    content = document(join(0, "w_a", "x"), join(5, "w_b", "x"), leave(60, "w_a"), leave(70, "w_b"), leave(80, "w_b"))
    assert told(content) == [("join", 0, "u1"), ("leave", 70, "u1")]
    assert open_recording(content).unused == {"leaves of somebody who was not there": 1}


def test_emojis_are_reactions_and_taking_them_back_is_none():
    content = document(
        status(3, "w_a", "reactionEmoji", "😀"),
        status(4, "w_a", "reactionEmoji", "none"),
        status(5, "w_a", "emojiStatus", "away"),
        status(6, "w_a", "presenter", "true"),
    )
    assert told(content) == [("reaction", 3, "u1")]
    assert open_recording(content).unused == {"changes of status that are no reaction": 3}


def test_hands_go_up_and_down_as_new_and_as_old_servers_tell_it():
    content = document(
        status(1, "w_a", "raiseHand", "true"),
        status(2, "w_a", "raiseHand", "false"),
        status(3, "w_a", "emojiStatus", "raiseHand"),
        status(4, "w_b", "emojiStatus", "none"),
        status(5, "w_a", "presenter", "true"),
        status(6, "w_a", "emojiStatus", "none"),
        status(7, "w_a", "emojiStatus", "raiseHand"),
        status(8, "w_a", "emojiStatus", "applause"),
        status(9, "", "raiseHand", "true"),
    )
    assert told(content) == [
        ("hand_raised", 1, "u1"),
        ("hand_lowered", 2, "u1"),
        ("hand_raised", 3, "u1"),
        ("hand_lowered", 6, "u1"),
        ("hand_raised", 7, "u1"),
        ("reaction", 8, "u1"),
        ("hand_lowered", 8, "u1"),
    ]
    assert open_recording(content).unused == {
        "changes of status that are no reaction": 2,
        "hands, microphones and cameras of nobody": 1,
    }


def voice(second: float, kind: str, **fields: str) -> str:
    return event(second, "VOICE", f"Participant{kind}Event", participant="w_a", bridge="71234", **fields)


def test_who_talks_is_read_with_microphones():
    content = document(
        join(0, "w_a", "x"),
        voice(1, "Joined", callername="Guest", callernumber="Guest", muted="true", talking="false"),
        voice(2, "Muted", muted="false"),
        voice(3, "Talking", talking="true"),
        voice(5.25, "Talking", talking="false"),
        voice(6, "Muted", muted="true"),
        voice(8, "Left"),
        leave(9, "w_a"),
    )
    assert told(content)[1:-1] == [
        ("mic_off", 1, "u1"),
        ("mic_on", 2, "u1"),
        ("talk_started", 3, "u1"),
        ("talk_stopped", 5.25, "u1"),
        ("mic_off", 6, "u1"),
        ("mic_off", 8, "u1"),
    ]
    rows = open_recording(content).readings()
    assert [(row.mics_on, row.talk_share, row.speakers) for row in rows] == [(1, 2 / 60, 1), (0, 2.25 / 60, 1)]


def test_a_camera_is_on_from_a_persons_first_stream_to_their_last():
    def sfu(second: float, kind: str, name: str) -> str:
        path = f"/var/kurento/recordings/0123-{CREATED}/{name}.webm"
        return event(second, "bbb-webrtc-sfu", f"{kind}WebRTCShareEvent", filename=path)

    content = document(
        join(0, "w_a", "x"),
        event(1, "WEBCAM", "StartWebcamShareEvent", stream="640x480-w_a-1772442001"),
        event(2, "WEBCAM", "StopWebcamShareEvent", stream="640x480-w_a-1772442001"),
        sfu(3, "Start", "low-w_a-1"),
        sfu(4, "Start", "low-w_a-2"),
        sfu(5, "Stop", "low-w_a-1"),
        sfu(6, "Stop", "low-w_a-2"),
        sfu(7, "Start", "whose"),
        event(8, "bbb-webrtc-sfu", "StartWebRTCDesktopShareEvent", filename="w_a-1.webm"),
    )
    assert told(content)[1:] == [
        ("camera_on", 1, "u1"),
        ("camera_off", 2, "u1"),
        ("camera_on", 3, "u1"),
        ("camera_off", 6, "u1"),
    ]
    assert open_recording(content).unused == {
        "hands, microphones and cameras of nobody": 1,
        "webcam and screen sharing events": 1,
    }


BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE recording [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>
<recording><event timestamp="1" module="CHAT" eventname="PublicChatEvent"><sender>&d;</sender></event></recording>"""
FILE_READER = b"""<!DOCTYPE recording [<!ENTITY file SYSTEM "file:///etc/passwd">]>
<recording><event timestamp="1" module="CHAT" eventname="PublicChatEvent"><sender>&file;</sender></event></recording>"""


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (BOMB, "declares a document type"),
        (FILE_READER, "declares a document type"),
        (b"<recording>&secret;</recording>", "is not XML"),
        (b"<html><body>Not found</body></html>", "no events.xml of BigBlueButton"),
        (document(join(0, "w_a"))[:-15], "is not XML, or breaks off"),
        (document(join(0, "w_a"), leave(9, "w_a"))[:400], "is not XML, or breaks off"),
        (document(), "nothing in it can be used"),
        (b'<?xml version="1.0" encoding="klingon"?><recording/>', "is not XML"),
        (b"<recording>" + b"<a>" * 1_000_000, "is nested too deeply"),
        (b"<recording><event x='" + b"a" * 3_000_000 + b"'/></recording>", "longer than a megabyte"),
        (document(join(0, "w_a").replace("timestampUTC>1772", "timestampUTC>x")), "an event has no timestamp"),
        (document(join(0, "w_a").replace("timestampUTC>1772", "timestampUTC>9999")), "line 5: the time does not lie"),
    ],
)
def test_what_is_no_such_file_is_refused(content, complaint):
    with pytest.raises(BadRecording, match=complaint):
        open_recording(content, "events.xml")


def test_a_long_text_is_not_kept():
    words = "<![CDATA[" + "word " * 100_000 + "]]>"
    content = document(*(event(n, "CHAT", "PublicChatEvent", senderId="w_a", message=words) for n in range(3)))
    assert told(content) == [("chat", 0, "u1"), ("chat", 1, "u1"), ("chat", 2, "u1")]
