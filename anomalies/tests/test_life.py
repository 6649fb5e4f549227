"""What people may say of an incident, by any path."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalies.life import Act, Action, InvalidTransition, Standing, difference, move, snooze_until, take_back

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MOVES = [action for action in Action if action != Action.UNDO]


@st.composite
def acts(draw) -> Act:
    at = NOW + timedelta(seconds=draw(st.integers(0, 3600)))
    return Act(
        draw(st.sampled_from(MOVES)), draw(st.sampled_from(["ada", "grace"])), at,
        snoozed_until=at + timedelta(minutes=5), note=draw(st.sampled_from(["", "No sound."])), tried="poll",
    )  # fmt: skip


def walk(path: list[Act], is_resolved: bool) -> list[Standing]:
    """Return every standing on a path; what is refused is passed over."""
    stands = [Standing()]
    for act in path:
        try:
            stands.append(move(stands[-1], act, is_resolved))
        except InvalidTransition:
            continue
    return stands


@given(st.lists(acts(), max_size=8), st.booleans())
def test_taking_everything_back_leads_to_the_beginning(path, is_resolved):
    stands = walk(path, is_resolved)
    standing = stands[-1]
    for before, after in reversed(list(pairwise(stands))):
        standing = take_back(standing, difference(before, after)[0])
        assert standing == before


@given(st.lists(acts(), max_size=8), st.booleans())
def test_status_never_forgets_the_end_nor_a_dismissal(path, is_resolved):
    for standing in walk(path, is_resolved):
        status = standing.status(is_resolved)
        assert (status == "dismissed") == (standing.review == "false_alarm")
        assert not (is_resolved and status in ("open", "acknowledged"))


@given(st.lists(acts(), max_size=6))
def test_what_is_refused_changes_nothing_and_says_why(path):
    standing = walk(path, is_resolved=True)[-1]
    with pytest.raises(InvalidTransition, match=r"resolved|dismissed"):
        move(standing, Act(Action.ACKNOWLEDGE, "ada", NOW), is_resolved=True)


@given(acts(), acts())
def test_difference_names_what_changed_and_nothing_else(first, second):
    before = walk([first], is_resolved=False)[-1]
    after = walk([first, second], is_resolved=False)[-1]
    old, new = difference(before, after)
    assert old.keys() == new.keys() <= {field.name for field in fields(Standing)}
    assert all(old[name] != new[name] for name in old)


def test_dismissing_ends_a_snooze():
    snoozed = Standing(snoozed_until=NOW)
    assert move(snoozed, Act(Action.DISMISS, "ada", NOW), is_resolved=False).snoozed_until is None


def test_snooze_lasts_minutes_or_until_the_next_break():
    hour = timedelta(hours=1)
    breaks = [(NOW - hour, NOW), (NOW + 2 * hour, NOW + 3 * hour), (NOW + hour, NOW + hour * 1.5)]
    assert snooze_until(5, breaks, NOW) == NOW + timedelta(minutes=5)
    assert snooze_until(None, breaks, NOW) == NOW + hour
    assert snooze_until(None, breaks[:1], NOW) is None
