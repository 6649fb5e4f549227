from datetime import timedelta

import pytest

from conductor.screens.scores import Trend, Way, find_trend, stack_parts
from conductor.tests import stage
from engagement.models import EngagementRow
from engagement.scoring import score


def line(*scores: float | None, step: int = 5) -> list[EngagementRow]:
    return [
        EngagementRow(timestamp=stage.START + timedelta(seconds=step * place), engagement_score=value)
        for place, value in enumerate(scores)
    ]


@pytest.mark.parametrize(("now", "way"), [(0.5, Way.STEADY), (0.52, Way.STEADY), (0.25, Way.DOWN), (0.75, Way.UP)])
def test_trend_is_of_the_last_minute(now, way):
    trend = find_trend(line(0.9, *[0.5] * 12, now))
    assert (trend.change, trend.way) == (now - 0.5, way)


def test_trend_is_against_the_row_that_is_nearest_to_a_minute_ago():
    """Rows of 75, 50 and 25 s ago; what was not measured then is no row to compare with."""
    assert find_trend(line(0.9, 0.8, 0.7, 0.5, step=25)) == Trend(0.5 - 0.8)
    assert find_trend(line(0.9, None, 0.7, 0.5, step=25)) == Trend(0.5 - 0.9)


@pytest.mark.parametrize(
    "rows",
    [line(), line(0.5), line(*[0.5] * 8), line(*[0.5] * 24, None), line(0.5, 0.5, step=90)],
    ids=["none", "one", "young", "unmeasured now", "unmeasured then"],
)
def test_where_an_end_of_the_minute_is_not_known_there_is_no_trend(rows):
    assert find_trend(rows) is None


def test_parts_sum_to_the_score():
    current = score(stage.reading(0, user_leave_rate=0.4))
    *gained, leaves = stack_parts(current)
    assert sum(part.value for part in [*gained, leaves]) == pytest.approx(current.value)
    assert leaves.value < 0
    assert leaves.x == pytest.approx(100 * current.value, abs=0.02)
    assert leaves.x + leaves.width == pytest.approx(sum(part.width for part in gained), abs=0.05)


def test_nobody_who_left_is_no_part():
    assert [part.name for part in stack_parts(score(stage.reading(0)))] == [
        "chat_msgs_per_min", "poll_participation", "active_share", "reactions_per_min",
    ]  # fmt: skip
