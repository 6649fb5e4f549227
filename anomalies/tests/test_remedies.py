"""What can be said of what people tried, and what cannot."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from anomalies.remedies import LEAST_CASES, Case, find_effects

MINUTE = timedelta(minutes=1)
minutes = st.integers(0, 60).map(lambda count: count * MINUTE)
cases = st.lists(st.builds(Case, minutes, st.booleans(), st.sampled_from(["", "poll", "break"]), minutes), max_size=40)


def alone(count: int, lasted: int) -> list[Case]:
    return [Case(lasted * MINUTE, True)] * count


def helped(count: int, lasted: int, after: int, tried: str = "poll") -> list[Case]:
    return [Case(lasted * MINUTE, True, tried, after * MINUTE)] * count


def test_of_few_nothing_is_said():
    (effect,) = find_effects([*alone(20, 9), *helped(LEAST_CASES - 1, 3, 2)])
    assert (effect.cases, effect.is_known, effect.helped) == (LEAST_CASES - 1, False, False)


def test_where_few_were_left_alone_nothing_is_said():
    (effect,) = find_effects([*alone(LEAST_CASES - 1, 9), *helped(20, 3, 2)])
    assert not effect.is_known


def test_who_waits_long_is_not_compared_with_what_was_over_by_then():
    """Most are over after two minutes by themselves: what is tried after six did not make the others so short."""
    (effect,) = find_effects([*alone(50, 2), *alone(5, 7), *helped(5, 9, 6)])
    assert (effect.left_alone, effect.median_alone, effect.median_after) == (5, MINUTE, 3 * MINUTE)
    assert not effect.helped


def test_audience_that_did_not_come_back_is_no_success():
    gone = [Case(3 * MINUTE, False, "poll", 2 * MINUTE)] * 5
    (effect,) = find_effects([*alone(9, 12), *gone])
    assert not effect.helped


def test_what_helped_most_comes_first():
    found = find_effects([*alone(9, 30), *helped(5, 9, 2, "break"), *helped(5, 4, 2), *helped(2, 2, 1, "question")])
    assert [effect.tried for effect in found] == ["poll", "break", "question"]


@given(cases)
def test_counts_are_those_of_the_cases(found):
    effects = {effect.tried: effect for effect in find_effects(found)}
    assert effects.keys() == {case.tried for case in found if case.tried}
    for tried, effect in effects.items():
        assert effect.cases == sum(case.tried == tried for case in found)
        assert effect.left_alone <= sum(not case.tried for case in found)
        assert not effect.helped or effect.is_known


@given(cases)
def test_order_of_cases_does_not_matter(found):
    key = lambda effect: effect.tried  # noqa: E731
    assert sorted(find_effects(found), key=key) == sorted(find_effects(found[::-1]), key=key)
