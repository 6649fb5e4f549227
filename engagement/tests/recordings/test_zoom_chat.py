from datetime import timedelta

import pytest

from engagement.recordings import BadRecording, open_recording, open_recordings
from engagement.tests.recordings.test_attendance import REPORT, SEVEN_PM, told

SAVED = b"""19:00:05 From Guest One to Everyone:
\tgood evening
\tand to all others: hello
19:00:30\t From  Guest Two  to  Everyone : 19:00 sharp: well done
19:01:00 From Guest One to Guest Two(Direct Message):
\ta secret
19:01:10 From Guest Two to Everyone:
\tReacted to "good evening" with \xf0\x9f\x91\x8d
19:01:12 From Guest Two To Everyone : Removed a \xf0\x9f\x91\x8d reaction from "good evening"
19:01:20 From Guest One to Hosts and panelists:
\tReplying to "good evening"

\tindeed
"""


def test_a_saved_chat_is_read_with_the_planned_start():
    recording = open_recording(SAVED, "chat.txt", starts_at=SEVEN_PM)
    assert told(SAVED, starts_at=SEVEN_PM) == [
        ("chat", 5, "u1"),
        ("chat", 30, "u2"),
        ("reaction", 70, "u2"),
        ("chat", 80, "u1"),
    ]
    assert recording.unused == {"private messages": 1, "reactions that were taken back": 1}
    assert recording.format == "Zoom chat"


def test_a_chat_of_clock_times_needs_a_date():
    with pytest.raises(BadRecording, match="line 1: tells no date: give the planned start"):
        open_recording(SAVED, "chat.txt")


def test_a_chat_with_dates_needs_nothing():
    content = b"2026-03-02 19:00:05 From Guest One to Everyone:\n\thello\n2026-03-02 19:00:09 From A to Everyone:\n\thi"
    assert told(content) == [("chat", 5, "u1"), ("chat", 9, "u2")]


def test_a_chat_goes_on_over_midnight():
    content = b"23:59:50 From Guest One to Everyone: a\n00:00:10 From Guest One to Everyone: b\n"
    late = SEVEN_PM.replace(hour=23)
    assert told(content, starts_at=late) == [("chat", 17_990, "u1"), ("chat", 18_010, "u1")]


def test_the_chat_of_a_cloud_recording_counts_from_the_start():
    content = b"00:00:04\tGuest One:\thello\n00:58:20\tGuest Two:\tbye: all\n"
    assert told(content, starts_at=SEVEN_PM) == [("chat", 4, "u1"), ("chat", 3500, "u2")]


def test_the_report_dates_the_chat_and_names_are_the_same_people():
    chat = b"19:10:00 From Guest One to Everyone: hello\n19:11:00 From Guest Four to Everyone: hello\n"
    both = told(chat, REPORT.encode())
    assert both == told(REPORT.encode(), chat)
    assert [each for each in both if each[0] == "chat"] == [("chat", 600, "u2"), ("chat", 660, "u4")]
    recording = open_recordings([(chat, "chat.txt"), (REPORT.encode(), "report.csv")])
    assert recording.format == "Zoom attendee report and Zoom chat"
    row = next(row for row in recording.readings() if row.timestamp == SEVEN_PM + timedelta(minutes=11))
    assert (row.chat_msgs_per_min, row.total_users) == (1.0, 2)


def chat_of(template: str) -> bytes:
    return "\n".join(template.format(f"19:0{n}:00", f"Guest {n % 2}", n) for n in range(5)).encode()


@pytest.mark.parametrize(
    "template",
    [
        "{0} De  {1}  a  Todos:\n\tmensaje {2}",
        "{0}\t De  {1} : mensaje {2}",
        "{0} De {1} para Todos: mensagem {2}",
        "{0} De {1} à Tous: message {2}",
        "{0} Von {1} an Alle: Nachricht {2}",
        "{0} От  {1}  кому  Все:\n\tсообщение {2}",
        "{0} Від {1} до Всі: повідомлення {2}",
        "{0} 開始 {1} 終了 皆様 : message {2}",
        "{0} 来自 {1} 到 所有人: 消息 {2}",
        "{0}  {1} 對 所有人:\n\t訊息 {2}",  # no word before the name
        "{0} Lähettäjä  {1}  vastaanottaja  Kaikki:\n\tviesti {2}",  # in none of the tables
        "{0} {1}:\tmessage {2}",
        "{0}    [TA] {1}:   message {2}",
    ],
)
def test_a_chat_in_any_language_and_form_is_read(template):
    recording = open_recording(chat_of(template), "chat.txt", starts_at=SEVEN_PM)
    assert [event.type for event in recording.events] == ["chat"] * 5
    assert (recording.format, recording.people, recording.unused) == ("Zoom chat", 2, {})


@pytest.mark.parametrize(
    ("opening", "reaction", "kind"),
    [
        ("De  Guest  a  Todos", 'Reaccionó a "hola" con 👍', "reaction"),
        ("De  Guest  a  Todos", 'Quitó una reacción 👍 de "hola"', None),
        ("De  Guest  a  Todos", 'me gusta "hola" y a todos los demás también les gusta mucho 👍', "chat"),
        ("Von  Guest  an  Alle", 'Hat auf „guten Abend" mit 👍 reagiert', "reaction"),
        ("От  Guest  кому  Все", "Отреагировал(а) на «привет» с помощью ❤️", "reaction"),
        ("開始 Guest 終了 皆様", "「こんばんは」に 👍 でリアクションしました", "reaction"),
        ("De  Guest  a  Todos", 'Reacted to "hola" with 👍', "reaction"),  # translated in part
        ("De  Guest  a  Todos", 'Removed a 👍 reaction from "hola"', None),
        ("De  Guest  a  Todos", '^ eval "hola" 2°', "chat"),
        ("Guest 對 所有人", "以 👍 回應「你好」", "reaction"),
        ("From Guest to Everyone", 'I like "hello" 👍', "chat"),
    ],
)
def test_a_reaction_in_any_language_is_one(opening, reaction, kind):
    content = f"19:00:00 {opening}:\n\t{reaction}\n19:01:00 {opening}:\n\thello\n".encode()
    recording = open_recording(content, starts_at=SEVEN_PM)
    assert [event.type for event in recording.events] == [*([kind] if kind else []), "chat"]
    assert recording.unused == ({} if kind else {"reactions that were taken back": 1})


@pytest.mark.parametrize("to", ["Otro (Mensaje directo)", "Otro(En privado)"])
def test_a_private_message_in_another_language_is_private(to):
    content = f"19:00:00 De  Guest  a  {to}:\n\tsecreto\n19:01:00 De  Guest  a  Todos:\n\thola\n".encode()
    recording = open_recording(content, starts_at=SEVEN_PM)
    assert (len(recording.events), recording.unused) == (1, {"private messages": 1})


def test_who_writes_to_many_in_a_chat_without_a_word_before_the_name_is_one():
    content = (
        "19:00:00  Guest 對 所有人:\n\t你 對 了: 好\n19:01:00  Guest 對 Other(私人訊息):\n\t嗨\n"
        "19:02:00  Guest 對 主持人:\n\t好\n"
    )
    recording = open_recording(content.encode(), starts_at=SEVEN_PM)
    assert (len(recording.events), recording.people, recording.unused) == (2, 1, {"private messages": 1})


def test_a_second_meeting_in_the_file_is_told_of():
    content = b"19:29:30 From A to Everyone: a\n19:45:30 From B to Everyone: b\n17:05:30 From A to Everyone: c\n"
    with pytest.raises(BadRecording, match=r"^chat.txt, line 3: the clock runs back by 2:40:00, so a second meeting"):
        open_recording(content, "chat.txt", starts_at=SEVEN_PM)


def test_the_next_morning_is_no_midnight():
    content = b"21:00:00 From A to Everyone: a\n08:00:00 From B to Everyone: b\n"
    with pytest.raises(BadRecording, match="line 2: the clock runs back"):
        open_recording(content, starts_at=SEVEN_PM)


def test_lines_that_are_a_little_out_of_order_are_one_meeting():
    content = b"19:00:10 From A to Everyone: a\n19:00:05 From B to Everyone: b\n"
    assert told(content, starts_at=SEVEN_PM) == [("chat", 5, "u2"), ("chat", 10, "u1")]


def test_the_name_of_a_cloud_recording_says_when_it_started():
    [event] = open_recording(b"00:00:04\tGuest One:\thello\n", "GMT20260302-190000_Recording.txt").events
    assert event.timestamp == SEVEN_PM + timedelta(seconds=4)
