from dataclasses import replace

from anomalies.tests.detector.test_classifier import opening
from anomalies.tests.rooms import at_minute, collapse, healthy_room, silence


def test_finding_holds_the_evidence_of_each_signal():
    finding = opening(silence(healthy_room(6, 15), at_minute(10))).finding
    activity = finding.signals["active_share"]
    assert activity.moved
    assert 0.7 < activity.expected < 0.8
    assert activity.observed < 0.3
    assert activity.change < -0.6
    assert not finding.signals["user_leave_rate"].moved
    assert finding.audience == 100
    assert finding.expected > finding.current
    assert next(iter(finding.signals)) == "active_share", "the signal that moved most comes first"


def test_description_says_what_fell_from_what_to_what():
    assert opening(silence(healthy_room(6, 15), at_minute(10))).finding.description.startswith(
        "The active share fell from 75 % to "
    )
    exit_ = opening(collapse(healthy_room(1, 15), at_minute(10))).finding.description
    assert exit_ == "80 of 100 people left, 80 % of the audience within a minute."


def test_description_of_chat_names_the_rates():
    rows = [
        replace(row, chat_msgs_per_min=1.0) if row.timestamp > at_minute(10) else row
        for row in healthy_room(7, 15, audience=400, chats_per_head=0.2)
    ]
    rows = [replace(row, active_users=None, reactions_per_min=None) for row in rows]
    assert opening(rows).finding.description.startswith("Chat fell from ")
