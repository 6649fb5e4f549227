"""What is measured, by name: the loads, and the order in which the stacks are taken through them."""

from dataclasses import replace

from benchmarks.client.plan import Watching
from benchmarks.measure import Case

STREAM = Watching("/ws/sessions/{room}/stream/", rooms=20, has_moments=True)
ONE_ROOM, MANY = "/sessions/{room}/signals", "/signals"

# What a conference platform is: each room sends a row every five seconds.
CROWD = Case(
    "crowd", "single rows of {rooms} rooms, {sockets} streams", ONE_ROOM, rate=2_000, rooms=10_000, filling=12,
    seconds=15, watching=replace(STREAM, rooms=100),
)  # fmt: skip
CASES = {
    case.name: case
    for case in (
        Case("single", "single rows of {rooms} rooms", ONE_ROOM, rate=60, rooms=100),
        CROWD,
        Case(
            "batch100", "batches of {items} rows, one of a room, {rooms} rooms", MANY, rate=2_000, rooms=2_000,
            rooms_a_request=100, filling=12,
        ),
        Case(
            "batch1000", "batches of {items} rows, ten of a room, {rooms} rooms", MANY, rate=2_000, rooms=2_000,
            rooms_a_request=100, items_a_room=10, filling=12,
        ),
        # Nobody waits for a recording, so that it may be judged long after.
        Case(
            "backfill", "backfill, {items} rows of one room a request", ONE_ROOM, rate=2_000, rooms=1,
            items_a_room=1_000, warm_seconds=0, filling=0, most_lag_seconds=60,
        ),
        Case(
            "events", "batches of {items} raw events, one of a room, {rooms} rooms", "/events", rate=2_000, rooms=2_000,
            rooms_a_request=100, filling=12,
        ),
        Case("frame", "single rows of {rooms} rooms, {sockets} streams", ONE_ROOM, rate=10, rooms=100, watching=STREAM),
        Case(
            "screens", "single rows of {rooms} rooms, {sockets} dashboards", ONE_ROOM, rate=40, rooms=200,
            watching=Watching("/ws/sessions/{room}/", rooms=200),
        ),
        Case(
            "dashboards", "{sockets} dashboards of one room", ONE_ROOM, rate=1, rooms=1, warm_seconds=0, rounds=5,
            watching=Watching("/ws/sessions/{room}/", rooms=1, each=1_000),
        ),
    )
}  # fmt: skip
LONG_CASES = {
    case.name: case
    for case in (
        Case(
            f"rooms{rooms}", "a row each 5 s of {rooms} rooms, {items} a request", MANY, rate=rooms / 5, rooms=rooms,
            rooms_a_request=1_000, seconds=30, filling=12,
        )
        for rooms in (2_000, 10_000, 25_000)
    )
}  # fmt: skip
# Single rows that some look at, at rising rates, with so many web processes and as many workers.
SPREAD = Case(
    "processes", "{rooms} rooms, {sockets} streams", ONE_ROOM, rate=0, rooms=2_000, watching=STREAM, filling=12,
    seconds=10, warm_seconds=3,
)  # fmt: skip
SPREAD_PROCESSES, SPREAD_RATES = (1, 2, 4), (400, 1_000, 1_500, 2_000, 2_500)
# Rates of single rows, one after the other until a stack is full.
CURVE_RATES = (5, 10, 20, 40, 60, 80, 100, 150, 200, 400, 700, 1_000, 1_500, 2_000)
CURVE_SECONDS, CURVE_WARM_SECONDS = 5.0, 1.5
