from datetime import timedelta

import pytest

from anomalies.bench.small_rooms import COLLAPSES, collapsing_rooms, healthy_rooms, study


def test_healthy_rooms_are_as_long_and_as_small_as_asked_and_hold_no_incident():
    rooms = list(healthy_rooms(8, 1.5, seed=1))
    assert sum((room.ends_at - room.starts_at for room in rooms), timedelta()) >= timedelta(hours=1.5)
    assert {room.audience for room in rooms} == {8}
    assert not any(label.type for room in rooms for label in room.labels)


def test_a_collapse_takes_four_of_five():
    [room] = collapsing_rooms(20, 1, COLLAPSES["80 % leave"], seed=1)
    [label] = [label for label in room.labels if label.type]
    before = [row for row in room.rows if row.timestamp <= label.start][-1]
    after = next(row for row in room.rows if row.timestamp >= label.start + timedelta(seconds=30))
    assert after.total_users <= 0.35 * before.total_users


@pytest.mark.slow
def test_the_study_judges_what_it_simulated():
    heard = []
    room = study(20, 0.5, 1, 1, heard.append)
    assert room.healthy.hours >= 0.5
    assert not room.healthy.detections
    assert {name: len(tally.detections) for name, tally in room.collapses.items()} == dict.fromkeys(COLLAPSES, 1)
    assert sum(heard) == room.healthy.sessions + len(COLLAPSES)
    assert room.figures()["people"] == 20
