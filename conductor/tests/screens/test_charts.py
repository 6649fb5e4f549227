import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from conductor.screens.charts import MOST_LANES, SCALE, Chart, Span, draw_chart, draw_spark, hold_counts

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHARES = st.floats(0, 1) | st.none()


def rows(count: int, value: float = 0.5, step: int = 5):
    return [(START + timedelta(seconds=step * place), value) for place in range(count)]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def points(path: str, chart: Chart) -> list[tuple[float, float]]:
    """Return where a path of the chart's goes, in per cent of the plot."""
    x = y = 0
    found = []
    for command, across, down in re.findall(r"([Ml])(-?\d+) ?(-?\d+)", path):
        x, y = (int(across), int(down)) if command == "M" else (x + int(across), y + int(down))
        found.append((100 * x / chart.seconds, 100 * y / SCALE))
    return found


def counts(chart: Chart) -> list[tuple[int, int]]:
    """Return the steps of those who were there: from which second on, and how many."""
    x = y = 0
    found = []
    for command, first, second in re.findall(r"([MhHvV])(-?\d+)(?: (-?\d+))?", chart.people.area):
        if command == "M":
            x, y = int(first), int(second)
        elif command in "hH":
            x = int(first) + (x if command == "h" else 0)
        elif command == "v":
            y += int(first)
            found.append((x, chart.people.most - y))
        else:
            found.append((x, 0))
    return found


def test_no_rows_give_no_chart():
    assert draw_chart([]) is None


def test_chart_shows_the_last_half_hour():
    chart = draw_chart(rows(1000))
    assert chart.until - chart.since == timedelta(minutes=30)
    assert points(chart.line, chart)[0] == (0, 50)
    assert points(chart.line, chart)[-1] == chart.head == (100, 50)


def test_young_session_gets_five_minutes_and_begins_in_the_middle_of_them():
    chart = draw_chart(rows(13))
    assert chart.until - chart.since == timedelta(minutes=5)
    assert points(chart.line, chart)[0] == (80, 50)


def test_full_score_is_at_the_top_and_none_at_the_bottom():
    chart = draw_chart([(START, 0.0), (at(300), 1.0)])
    assert chart.lone == ((0, 100), (100, 0))


def test_gap_over_fifteen_seconds_stays_open():
    joined, torn = [*rows(2), (at(20), 0.5), (at(25), 0.5)], [*rows(2), (at(21), 0.5), (at(26), 0.5)]
    assert draw_chart(joined).line.count("M") == 1
    assert draw_chart(torn).line.count("M") == 2


def test_row_without_a_score_interrupts_the_line_and_the_head():
    measured = rows(6)
    measured[3] = (measured[3][0], None)
    assert draw_chart(measured).line.count("M") == 2
    assert draw_chart([*rows(3), (at(15), None)]).head is None


def test_single_row_between_gaps_is_a_dot():
    chart = draw_chart([*rows(2), (at(60), 0.25), (at(120), 0.5), (at(125), 0.5)])
    assert [y for _, y in chart.lone] == [75]


def test_late_rows_are_marks_and_not_part_of_the_line():
    chart = draw_chart(rows(61), late=[(at(150), 0.1), (at(-4000), 0.1), (at(10), None)])
    assert chart.late == ((50, 90),)
    assert {y for _, y in points(chart.line, chart)} == {50}


def test_band_follows_its_steps_and_is_good_until_the_newest_row():
    chart = draw_chart(rows(61), band=[(START, 0.4, 0.6), (at(60), 0.5, 0.7)])
    assert points(chart.band, chart) == [(0, 40), (20, 30), (100, 30), (100, 50), (20, 50), (0, 60)]
    assert points(chart.band_edges, chart) == [(0, 40), (20, 30), (100, 30), (0, 60), (20, 50), (100, 50)]
    assert (chart.band[-1], chart.band_edges.count("M")) == ("Z", 2)
    assert chart.band_label == (0, 60)


def test_band_begins_where_the_detector_knew_the_room():
    chart = draw_chart(rows(61), band=[(at(150), 0.4, 0.6)])
    assert points(chart.band, chart)[0] == (50, 40)
    assert draw_chart(rows(61)).band == ""


def test_band_before_the_chart_keeps_only_what_is_still_good():
    chart = draw_chart(rows(61), band=[(at(-90), 0.1, 0.2), (at(-60), 0.4, 0.6)])
    assert points(chart.band, chart) == [(0, 40), (100, 40), (100, 60), (0, 60)]


def test_incident_spans_lie_where_they_happened():
    ended, open_ = draw_chart(rows(61), incidents=[Span(at(60), at(120), "a"), Span(at(150), None, "b")]).incidents
    assert (ended.key, ended.x, ended.width, ended.starts_inside) == ("a", 20, 20, True)
    assert (open_.key, open_.x, open_.width) == ("b", 50, 50)


def test_incident_that_began_earlier_has_no_start_line():
    [span] = draw_chart(rows(61), incidents=[Span(at(-600), at(60), "a")]).incidents
    assert (span.x, span.width, span.starts_inside) == (0, 20, False)


def test_incident_outside_the_chart_is_not_drawn():
    assert draw_chart(rows(61), incidents=[Span(at(-60), at(-30)), Span(at(400), None)]).incidents == ()


def test_marks_near_each_other_get_lanes_of_their_own():
    spans = [Span(at(second), None) for second in (60, 62, 64, 200)]
    assert [block.lane for block in draw_chart(rows(61), incidents=spans).incidents] == [0, 1, 2, 0]


def test_mark_near_the_right_edge_is_written_leftward():
    [block] = draw_chart(rows(61), incidents=[Span(at(290), None)]).incidents
    assert block.is_leftward


def test_more_marks_than_there_are_rows_for_them_are_left_out():
    blocks = draw_chart(rows(61), incidents=[Span(at(60 + second), None) for second in range(8)]).incidents
    assert [block.lane for block in blocks] == [*range(MOST_LANES), None, None, None]


def test_mark_of_a_break_and_that_of_an_incident_do_not_meet():
    chart = draw_chart(rows(61), incidents=[Span(at(70), None), Span(at(200), None)], breaks=[Span(at(60), at(120))])
    assert [block.lane for block in (*chart.breaks, *chart.incidents)] == [0, 1, 0]


def test_ticks_are_full_minutes_and_a_phone_labels_fewer():
    ticks = draw_chart(rows(361)).ticks
    assert [tick.at.minute for tick in ticks] == list(range(0, 31, 2))
    assert [tick.at.minute for tick in ticks if not tick.is_minor] == [0, 10, 20, 30]


@given(st.integers(1, 60 * 24 * 30))
def test_there_are_as_many_ticks_as_there_is_room_for(minutes):
    ticks = draw_chart([(START, 0.5), (START + timedelta(minutes=minutes), 0.5)], span=None).ticks
    assert 2 < len(ticks) <= 17
    assert 0 < sum(not tick.is_minor for tick in ticks) <= 6


def test_people_are_steps_from_the_ground():
    chart = draw_chart(rows(61), people=[(at(0), 50.0), (at(5), 50.0), (at(10), 52.0), (at(15), 40.0), (at(20), 41.0)])
    assert counts(chart) == [(0, 50), (10, 52), (15, 40), (20, 41), (20, 0)]
    assert (chart.people.most, chart.people.newest) == (52, 41)


def test_exit_is_as_deep_as_what_was_lost():
    chart = draw_chart(rows(61), people=[(at(5 * place), 116 if place < 30 else 65) for place in range(61)])
    assert counts(chart) == [(0, 116), (150, 65), (300, 0)]


def test_nobody_who_was_counted_is_no_people():
    assert draw_chart(rows(61)).people is None
    assert draw_chart(rows(61), people=[(at(0), None), (at(-900), 12.0)]).people is None


def test_empty_room_is_drawn_as_one():
    chart = draw_chart(rows(61), people=[(at(0), 0.0), (at(300), 0.0)], bridge=timedelta.max)
    assert (chart.people.most, chart.people.newest) == (1, 0)
    assert counts(chart) == [(0, 0), (300, 0)]


def test_people_are_unknown_where_rows_are_missing():
    found = [(at(5 * place), None if place == 40 else 30.0) for place in range(61) if not 10 <= place < 20]
    assert counts(draw_chart(rows(61), people=found)) == [(0, 30), (45, 0), (100, 30), (195, 0), (205, 30), (300, 0)]


def test_count_of_a_row_alone_can_be_seen():
    chart = draw_chart(rows(61), people=[(at(0), 3.0), (at(100), 5.0), (at(300), 7.0)])
    assert counts(chart) == [(0, 3), (1, 0), (99, 5), (100, 0), (299, 7), (300, 0)]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20_000) | st.none()), min_size=2, max_size=60))
def test_every_count_can_be_read_back(steps):
    second, measured = 0, []
    for step, value in steps:
        second += step
        measured.append((at(second), value))
    chart = draw_chart(measured, people=hold_counts(measured), span=None, bridge=timedelta.max)
    known = list(hold_counts(measured))
    if chart.people is None:
        assert all(value is None for _, value in known)
        return
    offset = (chart.since - START).total_seconds()
    drawn = counts(chart)
    last = max(place for place, (_, value) in enumerate(known) if value is not None)
    for place, (moment, value) in enumerate(known[:last]):
        is_alone = value is None or None in (known[max(0, place - 1)][1], known[place + 1][1])
        if not is_alone:
            x = (moment - START).total_seconds() - offset
            assert [count for from_, count in drawn if from_ <= x][-1] == value


def test_levels_are_the_published_ones():
    assert [(level.name, level.y) for level in draw_chart(rows(2)).levels] == [
        ("VERY_HIGH", 20), ("HIGH", 40), ("MODERATE", 60), ("LOW", 80),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 60), SHARES), min_size=1, max_size=60), st.lists(st.integers(-900, 900)))
def test_everything_drawn_lies_in_the_plot(steps, moments):
    second, measured = 0, []
    for step, value in steps:
        second += step
        measured.append((at(second), value))
    band = [(at(moment), 0.2, 0.9) for moment in sorted(set(moments))]
    people = [(moment, None if value is None else round(900 * value)) for moment, value in measured]
    chart = draw_chart(
        measured,
        people=people,
        late=measured,
        band=band,
        incidents=[Span(at(moment), at(moment + 60)) for moment in moments],
    )
    drawn = [*points(chart.line, chart), *points(chart.band, chart), *chart.lone, *chart.late]
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in drawn)
    assert all(block.x >= 0 and block.x + block.width <= 100.001 for block in chart.incidents)
    assert all(0 <= tick.place <= 100 for tick in chart.ticks)
    if chart.people is not None:
        assert all(0 <= x <= chart.seconds and 0 <= y <= chart.people.most for x, y in counts(chart))


@given(st.lists(SHARES, min_size=1, max_size=60))
def test_every_score_is_drawn_once(values):
    chart = draw_chart([(at(5 * place), value) for place, value in enumerate(values)])
    assert len(points(chart.line, chart)) + len(chart.lone) == sum(value is not None for value in values)


def test_spark_has_its_own_scale_unless_told():
    values = [(at(0), 2.0), (at(5), 4.0)]
    assert draw_spark(values) == "M0 50l600-50"
    assert draw_spark(values, top=8.0) == "M0 75l600-25"


def test_spark_of_nothing_but_zeros_lies_at_the_bottom():
    assert draw_spark([(at(0), 0.0), (at(5), 0.0)]) == "M0 100l600 0"


def test_polls_stand_in_a_row_of_their_own_with_their_ends():
    polls = [Span(at(-100), at(30), "before"), Span(at(60), at(120), "one"), Span(at(130), at(200), "near"),
             Span(at(290), None, "open"), Span(at(400), None, "after")]  # fmt: skip
    incidents = [Span(at(60), at(120), "incident")]
    chart = draw_chart(rows(61), polls=polls, incidents=incidents)
    assert [(poll.key, poll.x, poll.end, poll.lane) for poll in chart.polls] == [
        ("before", 0, 10, 0), ("one", 20, 40, 0), ("near", 43.333, 66.667, 0), ("open", 96.667, 100, 0),
    ]  # fmt: skip
    assert [(poll.starts_inside, poll.ends_inside, poll.is_leftward) for poll in chart.polls] == [
        (False, True, False), (True, True, False), (True, True, False), (True, False, True),
    ]  # fmt: skip
    assert [incident.lane for incident in chart.incidents] == [0], "polls take no room from incidents"


def test_a_poll_without_room_for_its_name_is_drawn_without():
    chart = draw_chart(rows(61), polls=[Span(at(second), at(second + 10)) for second in (60, 80, 100, 270, 280)])
    assert [poll.lane for poll in chart.polls] == [0, None, 0, 0, None]
