from datetime import timedelta

from anomalies.tests.rooms import START
from conductor.screens.cards import signal_cards
from engagement.models import EngagementRow


def line(**signals) -> list[EngagementRow]:
    return [EngagementRow(timestamp=START + timedelta(seconds=5 * n), **signals) for n in range(3)]


def card_of(name: str, rows: list[EngagementRow], usual: dict[str, float]):
    return {card.name: card for card in signal_cards(rows, usual, None)}.get(name)


def test_card_says_how_far_a_signal_is_from_what_is_usual():
    card = card_of("chat_msgs_per_min", line(chat_msgs_per_min=3.0), {"chat_msgs_per_min": 12.0})
    assert (card.value, card.usual, card.change) == (3.0, 12.0, -0.75)


def test_fewer_leavers_than_usual_are_no_change_worth_telling():
    rows = [*line(user_leave_rate=0.02), *line(user_leave_rate=0.0)]
    assert card_of("user_leave_rate", rows, {"user_leave_rate": 0.02}).change is None
    assert card_of("user_leave_rate", line(user_leave_rate=0.06), {"user_leave_rate": 0.02}).change > 1.9


def test_leaves_have_a_card_only_where_somebody_left():
    assert card_of("user_leave_rate", line(user_leave_rate=0.0), {"user_leave_rate": 0.02}) is None
    assert card_of("user_leave_rate", line(user_leave_rate=0.1), {}).value == 0.1


def test_optional_signal_has_a_card_only_where_it_was_told_lately():
    assert card_of("hands_raised", line(chat_msgs_per_min=3.0), {}) is None
    rows = line(hands_raised=0)
    card = card_of("hands_raised", rows, {})
    assert (card.value, card.usual, card.change, card.detail, card.has_usual) == (0, None, None, "", False)
    rows[-1].hands_raised = None  # the platform told it, and does not now
    assert card_of("hands_raised", rows, {}).value is None


def test_card_has_a_line_for_what_is_usual_where_somebody_may_learn_it():
    rows = line(chat_msgs_per_min=3.0, hands_raised=1)
    assert card_of("chat_msgs_per_min", rows, {}).has_usual
    assert not card_of("hands_raised", rows, {}).has_usual
    assert card_of("hands_raised", rows, {"hands_raised": 2.0}).has_usual


def test_card_of_the_active_share_says_of_how_many_people_it_is():
    card = card_of("active_share", line(active_users=40, total_users=50), {"active_share": 0.8})
    assert (card.value, card.change, card.detail) == (0.8, 0.0, "40 of 50")


def test_signal_that_is_not_measured_has_no_usual():
    """A platform that never sends reactions had none at first, which is no expectation."""
    card = card_of("reactions_per_min", line(chat_msgs_per_min=3.0), {"reactions_per_min": 0.0})
    assert (card.value, card.usual, card.change) == (None, None, None)
