from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from conductor.screens.charts import Span
from conductor.screens.minutes import MOST_LINES, tabulate

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_no_rows_are_no_lines():
    assert tabulate([]) == []


def test_line_has_the_mean_score_and_the_last_count_of_its_minute():
    scores = [(at(0), 0.25), (at(30), 0.75), (at(60), None), (at(200), 0.5)]
    people = [(at(0), 116.0), (at(30), 65.0), (at(60), None), (at(200), None)]
    lines = tabulate(scores, people=people)
    assert [(line.at, line.score, line.people) for line in lines] == [
        (at(180), 0.5, None), (at(60), None, None), (at(0), 0.5, 65),
    ]  # fmt: skip


def test_what_is_expected_is_the_newest_step_of_it():
    band = [(at(-30), 0.3, 0.5), (at(60), 0.4, 0.6)]
    lines = tabulate([(at(0), 0.5), (at(60), 0.5), (at(120), 0.5)], band=band)
    assert [line.expected for line in lines] == [band[1], band[1], band[0]]
    assert tabulate([(at(0), 0.5)], band=band[1:])[0].expected is None


def test_incidents_and_breaks_stand_in_every_minute_they_touch():
    scores = [(at(60 * minute), 0.5) for minute in range(5)]
    spans = [Span(at(70), at(130), "ended"), Span(at(200), None, "goes on")]
    lines = tabulate(scores, incidents=spans, breaks=[Span(at(0), at(59))])
    assert [(line.incidents, line.is_break) for line in lines] == [
        (("goes on",), False), (("goes on",), False), (("ended",), False), (("ended",), False), ((), True),
    ]  # fmt: skip


@given(st.integers(0, 60 * 24 * 100))
def test_long_sessions_have_a_bounded_number_of_lines(minutes):
    scores = [(at(60 * minutes * place / 1_000), 0.5) for place in range(1_001)]
    assert 1 <= len(tabulate(scores)) <= MOST_LINES + 1


def test_polls_stand_in_every_minute_in_which_they_were_open():
    scores = [(at(60 * minute), 0.5) for minute in range(4)]
    lines = tabulate(scores, polls=[Span(at(70), at(130), "poll"), Span(at(125), None, "open")])
    assert [line.polls for line in lines] == [("open",), ("poll", "open"), ("poll",), ()]
