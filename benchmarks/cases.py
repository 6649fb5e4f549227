"""What is measured, by name: the loads, and the order in which the stacks are taken through them."""

from benchmarks.client.plan import Watching
from benchmarks.measure import Case

STREAM = Watching("/ws/sessions/{room}/stream/", rooms=20, has_moments=True)
ONE_ROOM, MANY = "/sessions/{room}/signals", "/signals"

CASES = {
    case.name: case
    for case in (
        Case("single", "single rows", ONE_ROOM, rate=60, rooms=100),
        Case("batch100", "batches of 100 rows of 100 rooms", MANY, rate=1_000, rooms=100, rooms_a_request=100),
        Case(
            "batch1000", "batches of 1,000 rows of 100 rooms", MANY, rate=2_000, rooms=100, rooms_a_request=100,
            items_a_room=10,
        ),
        # Nobody waits for a recording, so that it may be judged long after.
        Case(
            "backfill", "backfill, 1,000 rows of one room a request", ONE_ROOM, rate=500, rooms=1, items_a_room=1_000,
            warm_seconds=0, filling=0, most_lag_seconds=60,
        ),
        Case("events", "batches of 100 raw events of 100 rooms", "/events", rate=2_000, rooms=100, rooms_a_request=100),
        Case("frame", "single rows, 20 streams", ONE_ROOM, rate=20, rooms=100, watching=STREAM),
        Case(
            "screens", "single rows, 200 dashboards of 200 rooms", ONE_ROOM, rate=40, rooms=200,
            watching=Watching("/ws/sessions/{room}/", rooms=200),
        ),
        Case(
            "dashboards", "dashboards of one room", ONE_ROOM, rate=1, rooms=1, warm_seconds=0, rounds=5,
            watching=Watching("/ws/sessions/{room}/", rooms=1, each=1_000),
        ),
    )
}  # fmt: skip
LONG_CASES = {
    case.name: case
    for case in (
        Case(
            f"rooms{rooms}", f"a row each 5 s of {rooms:,} rooms, 1,000 a request", MANY, rate=rooms / 5, rooms=rooms,
            rooms_a_request=1_000, seconds=30, filling=12,
        )
        for rooms in (2_000, 10_000, 25_000)
    )
}  # fmt: skip
# Rates of single rows, one after the other until a stack is full.
CURVE_RATES = (5, 10, 20, 40, 60, 80, 100, 150, 200, 300, 500, 750, 1_000, 1_500, 2_000)
CURVE_SECONDS, CURVE_WARM_SECONDS = 6.0, 2.0
