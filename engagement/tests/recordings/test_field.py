"""Inputs from the field, which are not part of this project, are read rightly; where they are not, nothing is tried."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engagement.recordings import BadRecording, DateOrder, open_recording

FIELD = Path(__file__).parents[4] / "shared" / "field"
pytestmark = pytest.mark.skipif(not FIELD.is_dir(), reason="the inputs from the field are not here")

START = datetime(2026, 3, 4, 10, tzinfo=UTC)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
CHATS = {"chat": 20}
DAY_FIRST = {"date_order": DateOrder.DAY_FIRST}


def visits(count: int) -> dict[str, int]:
    return {"join": count, "leave": count}


# How each is called, what is in it, of how many people, and when it begins.
RIGHT: dict[str, tuple[str, dict[str, int], int, str]] = {
    "bbb-learning-dashboard.json": (
        "BigBlueButton learning dashboard", {**visits(6), "reaction": 6}, 6, "2026-03-04T10:00:00",
    ),
    "bbb-webhooks-mapped.jsonl": ("BigBlueButton webhooks", {**visits(5), "chat": 5}, 5, "2026-03-04T10:00:00"),
    "chat-downloader-2020-author-text.json": ("chat-downloader chat", CHATS, 5, "2026-03-04T10:00:00"),
    "chat-downloader.json": ("chat-downloader chat", CHATS, 5, "2026-03-04T10:00:00"),
    "chat-downloader.jsonl": ("chat-downloader chat", CHATS, 5, "2026-03-04T10:00:00"),
    "chatty.log": ("IRC log", CHATS, 5, "2026-03-04T09:00:00"),
    "discord-export.json": ("Discord export", CHATS, 5, "2026-03-04T10:00:00"),
    "google-meet-attendance.csv": ("Google Meet attendance report", visits(9), 9, "2026-03-04T10:00:00"),
    "irc-hexchat.log": ("IRC log", CHATS, 5, "2026-03-04T10:00:00"),
    "irc-weechat.log": ("IRC log", CHATS, 5, "2026-03-04T10:00:00"),
    "pytchat.json": ("YouTube live chat (pytchat)", CHATS, 5, "2026-03-04T10:00:00"),
    "slack-export-day.json": ("Slack export", CHATS, 5, "2026-03-04T10:00:00"),
    "teams-2020-actions-pt.csv": ("Teams attendance report", {"join": 12, "leave": 4}, 12, "2026-03-04T09:57:51"),
    "teams-2020-actions.csv": ("Teams attendance report", {"join": 12, "leave": 4}, 12, "2026-03-04T09:57:51"),
    "teams-2021-summary.csv": ("Teams attendance report", visits(4), 4, "2026-03-04T19:38:00"),
    "teams-2023-no-comma.csv": ("Teams attendance report", visits(9), 8, "2026-10-21T10:00:00"),
    "teams-2023-uk-day-first.csv": ("Teams attendance report", visits(9), 8, "2026-05-04T10:00:00"),
    "teams-2023-us.csv": ("Teams attendance report", visits(9), 8, "2026-03-04T10:00:00"),
    "twitch-2021-nanoseconds.json": ("Twitch chat", {"chat": 40}, 5, "2026-03-04T10:00:00"),
    "webex-attendees-utf8.csv": ("Webex attendance report", visits(9), 9, "2026-03-04T10:00:00"),
    "webex-attendees.csv": ("Webex attendance report", visits(9), 9, "2026-03-04T10:00:00"),
    "youtube-api-livechatmessages.json": ("YouTube live chat (API)", CHATS, 5, "2026-03-04T10:00:00"),
    "youtube-live.live_chat.json": ("YouTube live chat", CHATS, 5, "2026-03-04T10:00:00"),
    "zoom-chat-cloud-spaces-brackets.txt": ("Zoom chat", CHATS, 5, "2026-03-04T10:00:35"),
    "zoom-chat-cloud-spaces.txt": ("Zoom chat", CHATS, 5, "2026-03-04T10:00:35"),
    "zoom-chat-control.txt": ("Zoom chat", CHATS, 7, "2026-03-04T18:00:00"),
    "zoom-chat-es-old.txt": ("Zoom chat", {"chat": 10}, 5, "2026-03-04T16:20:00"),
    "zoom-chat-es.txt": ("Zoom chat", CHATS, 7, "2026-03-04T18:00:00"),
    "zoom-chat-ja.txt": ("Zoom chat", CHATS, 7, "2026-03-04T18:00:00"),
    "zoom-chat-opens-on-recovery.txt": ("Zoom chat", {"chat": 6}, 2, "2026-03-05T20:12:17"),
    "zoom-chat-ru.txt": ("Zoom chat", CHATS, 7, "2026-03-04T18:00:00"),
    "zoom-chat-two-messages.txt": ("Zoom chat", {"chat": 2}, 2, "2026-03-04T18:05:10"),
    "zoom-participants-control.csv": ("Zoom attendee report", visits(9), 9, "2026-03-04T18:00:00"),
    "zoom-participants-day-first-ambiguous.csv": ("Zoom attendee report", visits(9), 9, "2026-05-04T18:00:00"),
    "zoom-participants-dst-fall-back.csv": ("Zoom attendee report", visits(3), 3, "2025-10-25T23:30:00"),
    "zoom-participants-es.csv": ("Zoom attendee report", visits(9), 9, "2026-03-04T18:00:00"),
    "zoom-participants-ja.csv": ("Zoom attendee report", visits(9), 9, "2026-03-04T18:00:00"),
    "zoom-participants-pt.csv": ("Zoom attendee report", visits(9), 9, "2026-03-04T18:00:00"),
    "zoom-participants-same-name.csv": ("Zoom attendee report", visits(10), 10, "2026-03-04T18:00:00"),
    "zoom-transcript.vtt": ("transcript", {"talk_started": 20, "talk_stopped": 20}, 5, "2026-03-04T10:00:00"),
    "zoom-webinar-2020-first-last.csv": ("Zoom attendee report", visits(8), 8, "2026-03-04T08:07:27"),
}  # fmt: skip
HINTS: dict[str, dict[str, object]] = {
    "teams-2023-uk-day-first.csv": DAY_FIRST,
    "zoom-participants-day-first-ambiguous.csv": DAY_FIRST,
    "zoom-participants-dst-fall-back.csv": {"zone": ZoneInfo("Europe/Berlin")},
    "google-meet-attendance.csv": {"starts_at": START},
    "zoom-transcript.vtt": {"starts_at": START},
}
REFUSED = {
    "zoom-participants-unique-users.csv": "export it again without “Show unique users”",
    "report-saved-by-excel.xlsx": "is a spreadsheet that cannot be read: save it as CSV",
    "zoom-chat-two-meetings-appended.txt": "line 4: the clock runs back by 2:40:00",
}
ENDS = {
    "teams-2021-summary.csv": "2026-03-04T20:07:14",
    "teams-2023-us.csv": "2026-03-04T10:30:00",
    "teams-2023-no-comma.csv": "2026-10-21T10:30:00",
    "webex-attendees.csv": "2026-03-04T10:30:00",
    "zoom-participants-control.csv": "2026-03-04T19:00:00",
    "zoom-participants-es.csv": "2026-03-04T19:00:00",
}


def read(name: str):
    hints = HINTS.get(name, {})
    if name.startswith("zoom-chat") and name not in ("zoom-chat-opens-on-recovery.txt",):
        hints = {"starts_at": START}
    return open_recording(FIELD / name, name, now=NOW, **hints)


def test_every_input_has_its_right_value():
    found = {path.name for path in FIELD.iterdir()} - {"README.txt"}
    assert {name for name in found if not name.startswith("rows-")} == {*RIGHT, *REFUSED}


@pytest.mark.parametrize("name", RIGHT)
def test_an_input_is_read_rightly(name):
    recording = read(name)
    told = Counter(event.type for event in recording.events)
    begins = min(event.timestamp for event in recording.events).isoformat(timespec="seconds")
    assert (recording.format, told, recording.people, begins.removesuffix("+00:00")) == RIGHT[name]


@pytest.mark.parametrize("name", REFUSED)
def test_an_input_that_is_not_read_says_what_to_do(name):
    with pytest.raises(BadRecording, match=REFUSED[name]):
        read(name)


@pytest.mark.parametrize("name", ENDS)
def test_a_meeting_ends_where_it_is_told(name):
    assert read(name).ended_at.isoformat().removesuffix("+00:00") == ENDS[name]


@pytest.mark.parametrize("name", ["zoom-participants-day-first-ambiguous.csv", "teams-2023-uk-day-first.csv"])
def test_an_order_that_nothing_tells_is_doubtful(name):
    assert open_recording(FIELD / name, now=NOW).dates.is_doubtful


def test_a_stay_over_the_hour_that_comes_twice_is_as_long_as_it_was():
    events = read("zoom-participants-dst-fall-back.csv").events
    spans = {user: [each.timestamp for each in events if each.user == user] for user in ("u1", "u2", "u3")}
    assert {user: (left - joined).total_seconds() / 60 for user, (joined, left) in spans.items()} == {
        "u1": 140, "u2": 40, "u3": 179,
    }  # fmt: skip
