"""The demo: its organizer, event and keys are always usable, and its story is the same whenever somebody looks."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.http import HttpRequest

from anomalies.detector.replay import judge_sessions
from anomalies.detector.timetables import Timetable
from conductor.local.demo import CALM, WEBINAR, prepare_demo
from conductor.local.demo.captions import FRESH_SECONDS, caption_file, drop_caption, read_caption, write_caption
from conductor.local.demo.player import KNOWN_ROWS, PlayedRoom, Player
from conductor.local.demo.story import (
    AGAIN_SECONDS,
    CAPTIONS,
    KNOWN_SECONDS,
    LOOKED_SECONDS,
    Playhead,
    calm_place,
    caption_of,
)
from conductor.tests import stage
from engagement.models import ApiKey, Event
from engagement.readings import Reading
from engagement.recordings import open_recording
from engagement.scoring import score_in_order

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
FALL_SECONDS = 12 * 60
EXIT_SECONDS = 18 * 60 + 30


@pytest.mark.django_db
def test_demo_is_made_once_with_a_new_key_each_time(tmp_path):
    first = prepare_demo(tmp_path, NOW)
    second = prepare_demo(tmp_path, NOW)

    assert (second.event_id, second.password) == (first.event_id, first.password)
    assert Event.objects.get().organizers.get().username == "demo"
    assert ApiKey.objects.get(revoked_at=None).sha256 == ApiKey.digest(second.api_key)
    assert ApiKey.objects.get(revoked_at=NOW).sha256 == ApiKey.digest(first.api_key)


@pytest.mark.django_db
def test_demo_login_works_after_somebody_changed_it(tmp_path):
    prepare_demo(tmp_path, NOW)
    user = get_user_model().objects.get(username="demo")
    user.set_password("something else")
    user.is_active = False
    user.save()

    demo = prepare_demo(tmp_path, NOW)

    assert authenticate(HttpRequest(), username=demo.username, password=demo.password).is_superuser


@pytest.mark.django_db
def test_demo_leaves_other_events_and_keys_alone(tmp_path):
    other = Event.objects.create(name="Demo event")
    key, _ = ApiKey.objects.issue(other, "manage.py up")

    demo = prepare_demo(tmp_path, NOW)

    assert demo.event_id != other.id
    key.refresh_from_db()
    assert key.revoked_at is None


# What plays


def rows_of(show) -> list[Reading]:
    return list(open_recording(show.recording, show.title).rows)


def played(looks_after: int | None, steps: int) -> list[int]:
    """Return the places of the webinar's rows where somebody looks after so many steps."""
    head = Playhead(len(rows_of(WEBINAR)))
    known = list(range(KNOWN_ROWS))
    return known + [head.step(is_watched=looks_after is not None and step >= looks_after) for step in range(steps)]


def second_of(place: int) -> int:
    return 5 * (place + 1)


Told = list[tuple[int, str, list[str], int | None]]


def judged(rooms: dict[str, list[Reading]]) -> dict[str, Told]:
    """Return of each incident in rows of every five seconds: when, its type, its severities, and when it was over."""

    def stamped(rows: list[Reading]) -> list[Reading]:
        return [replace(row, timestamp=NOW + timedelta(seconds=5 * place)) for place, row in enumerate(rows)]

    def step_of(at: datetime) -> int:
        return round((at - NOW).total_seconds()) // 5

    found = judge_sessions({name: (score_in_order(stamped(rows)), Timetable()) for name, rows in rooms.items()})
    return {
        name: [
            (
                step_of(incident.timestamp),
                incident.anomaly_type,
                list(dict.fromkeys([incident.severity, *(change.severity for change in incident.changes)])),
                None if incident.resolved_at is None else step_of(incident.resolved_at),
            )
            for incident in incidents
        ]
        for name, incidents in found.items()
    }


def test_attention_falls_a_quarter_of_a_minute_after_somebody_looks():
    places = played(looks_after=4, steps=12)[KNOWN_ROWS:]

    assert [second_of(place) for place in places[:5]] == [605, 610, 615, 620, LOOKED_SECONDS]
    assert second_of(places[4 + 3]) == FALL_SECONDS


def test_attention_falls_after_two_minutes_where_nobody_looks():
    seconds = [second_of(place) for place in played(looks_after=None, steps=24)]

    assert seconds == list(range(5, FALL_SECONDS + 1, 5))


def test_who_looks_again_changes_nothing():
    head = Playhead(len(rows_of(WEBINAR)))
    looks = [step % 3 == 0 for step in range(20)]
    assert [head.step(is_watched=each) for each in looks] == list(
        range(LOOKED_SECONDS // 5 - 1, LOOKED_SECONDS // 5 + 19)
    )


def test_it_begins_anew_for_ever():
    length = len(rows_of(WEBINAR))
    places = played(looks_after=0, steps=2 * length)
    ends = [number for number, place in enumerate(places) if place == length - 1]

    assert len(ends) == 3
    assert {second_of(places[number + 1]) for number in ends} == {AGAIN_SECONDS + 5}


@pytest.mark.slow
def test_story_is_told_the_same_whenever_somebody_looks():
    """An amber fall and a red exit, twice in two rounds, and nothing where the recording was cut."""
    webinar = rows_of(WEBINAR)
    steps = 2 * (len(webinar) - AGAIN_SECONDS // 5)
    places = {str(looks_after): played(looks_after, steps) for looks_after in (None, *range(24))}

    found = judged({name: [webinar[place] for place in those] for name, those in places.items()})

    for name, told in found.items():
        seconds = [second_of(place) for place in places[name]]
        assert [(kind, severities) for _, kind, severities, _ in told[:4]] == [
            ("SUDDEN_DROP", ["WARNING"]), ("MASS_EXIT", ["WARNING", "CRITICAL"]),
        ] * 2, name  # fmt: skip
        assert {kind for _, kind, _, _ in told[4:]} <= {"SUDDEN_DROP"}, name
        for opened, kind, _, resolved in told[:4]:
            began = FALL_SECONDS if kind == "SUDDEN_DROP" else EXIT_SECONDS
            assert 5 <= seconds[opened] - began <= 20, name
            assert resolved is not None
            assert seconds[resolved] - began <= 220, name


@pytest.mark.slow
def test_calm_room_stays_calm_for_hours():
    calm = rows_of(CALM)
    assert judged({"calm": [calm[calm_place(step, len(calm))] for step in range(2_200)]}) == {"calm": []}


def test_captions_are_in_order_and_short():
    seconds = [since for since, _ in CAPTIONS]
    assert seconds == sorted(set(seconds))
    assert seconds[0] == 0
    assert {caption_of(place) for place in range(len(rows_of(WEBINAR)))} == {text for _, text in CAPTIONS}
    assert max(len(text) for _, text in CAPTIONS) < 110
    assert caption_of(KNOWN_SECONDS // 5) == CAPTIONS[0][1]
    assert caption_of(LOOKED_SECONDS // 5 - 1) == CAPTIONS[1][1]


class Posted:
    """A client that keeps what it is told to post."""

    def __init__(self) -> None:
        self.bodies: list[list[dict[str, object]]] = []

    def post(self, path: str, body: list[dict[str, object]]) -> None:
        assert path == "/signals"
        self.bodies.append(body)


def test_player_posts_a_row_of_both_rooms_at_the_moments_it_is_given(tmp_path):
    client = Posted()
    player = Player(
        client, PlayedRoom("webinar", rows_of(WEBINAR)), PlayedRoom("calm", rows_of(CALM)), data_dir=tmp_path
    )

    player.begin(NOW)
    player.step(NOW + timedelta(seconds=5), is_watched=False)
    player.step(NOW + timedelta(seconds=10), is_watched=True)

    known, first, second = client.bodies
    of_webinar = [row for row in known if row["session_id"] == "webinar"]
    assert len(known) == 2 * len(of_webinar) == 2 * KNOWN_ROWS
    assert of_webinar[-1]["timestamp"] == "2026-03-02T09:00:00.000Z"
    assert of_webinar[0]["timestamp"] == "2026-03-02T08:50:05.000Z"
    assert [(row["session_id"], row["timestamp"]) for row in (*first, *second)] == [
        ("webinar", "2026-03-02T09:00:05.000Z"), ("calm", "2026-03-02T09:00:05.000Z"),
        ("webinar", "2026-03-02T09:00:10.000Z"), ("calm", "2026-03-02T09:00:10.000Z"),
    ]  # fmt: skip
    said = json.loads(caption_file(tmp_path).read_text())
    assert said == {"session_id": "webinar", "text": CAPTIONS[1][1]}


# What the page says


@pytest.mark.django_db
def test_caption_stands_on_the_demo_session_alone_and_only_while_it_plays(client, event, organizer, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    shown, other = stage.live_session(event, "Webinar"), stage.live_session(event, "Other")

    def page_of(session) -> str:
        return client.get(f"/sessions/{session.id}/").content.decode()

    before = page_of(shown)
    write_caption(tmp_path, str(shown.id), "Watch <this>.")
    assert "Watch &lt;this&gt;." in page_of(shown)
    assert "demo-caption" not in page_of(other)
    assert caption_file(tmp_path).stat().st_mode & 0o777 == 0o600
    os.utime(caption_file(tmp_path), (0, 0))
    assert "demo-caption" not in page_of(shown)
    drop_caption(tmp_path)
    assert "demo-caption" not in before
    assert "demo-caption" not in page_of(shown)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"session_id": "a"}'])
def test_a_caption_that_cannot_be_read_is_none(tmp_path, text):
    caption_file(tmp_path).write_text(text)
    assert read_caption(tmp_path, "a", os.stat(caption_file(tmp_path)).st_mtime + FRESH_SECONDS) == ""
