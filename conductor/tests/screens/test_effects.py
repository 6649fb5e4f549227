"""What helped in an event, as its incidents tell."""

from datetime import timedelta

import pytest

from anomalies.models import Actor, Anomaly
from anomalies.remedies import LEAST_CASES, LONG
from conductor.screens.effects import read_effects
from conductor.screens.facts import read_facts
from conductor.screens.session import render_session, show_session
from conductor.tests import stage
from engagement.models import Event, Session

MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.django_db


def over(
    session: Session, number: int, minutes: int, tried_after: int | None = None, reason: str = "the audience came back"
):
    """Return an incident that lasted so many minutes, in which something was tried after some of them."""
    anomaly = stage.incident(session, seconds=number)
    if tried_after is not None:
        anomaly.tell_tried("poll", Actor("mara"), anomaly.timestamp + tried_after * MINUTE)
    Anomaly.objects.filter(id=anomaly.id).update(
        resolved_at=anomaly.timestamp + minutes * MINUTE,
        status="resolved",
        metadata={"history": [{"change": "resolved", "reason": reason}]},
    )
    return anomaly


@pytest.fixture
def experienced(session) -> Session:
    """A session of whose event many incidents tell that a poll helps."""
    for number in range(LEAST_CASES):
        over(session, number, 9)
        over(session, 20 + number, 4, tried_after=2)
    return session


def test_effect_is_that_of_the_incidents_of_the_event(experienced):
    over(stage.live_session(Event.objects.create(name="Another")), 0, 1, tried_after=0)

    (effect,) = read_effects([experienced.event_id])[experienced.event_id]

    assert (effect.tried, effect.cases, effect.left_alone) == ("poll", LEAST_CASES, LEAST_CASES)
    assert (effect.median_after, effect.median_alone, effect.helped) == (2 * MINUTE, 7 * MINUTE, True)


def test_what_settled_or_was_a_false_alarm_is_no_recovery(session):
    over(session, 0, 4, tried_after=1, reason="the room has settled at this level")
    over(session, 1, 4, tried_after=1).dismiss(Actor("mara"), stage.NOW)

    (effect,) = read_effects([session.event_id])[session.event_id]

    assert (effect.cases, effect.median_after) == (1, LONG)


def test_what_was_undone_was_not_tried(session):
    anomaly = stage.incident(session)
    anomaly.tell_tried("poll", Actor("mara"), stage.NOW)
    anomaly.undo(Actor("mara"), stage.NOW)
    Anomaly.objects.update(resolved_at=stage.NOW, status="resolved")

    assert read_effects([session.event_id]) == {session.event_id: []}


def test_banner_says_what_helped_before(experienced):
    anomaly = stage.incident(experienced, seconds=100)
    words = "In this event a poll helped: people were back after 2 min (5 times), without it after 7 min (5 times)."

    assert words in render_session(show_session(experienced, stage.NOW))

    anomaly.dismiss(Actor("mara"), stage.NOW)
    assert words not in render_session(show_session(experienced, stage.NOW))


def test_banner_says_where_too_few_incidents_tell(session):
    stage.incident(session).tell_tried("poll", Actor("mara"), stage.NOW)

    page = render_session(show_session(session, stage.NOW))

    assert "mara opened a poll" in page
    assert "Too few incidents in this event to say whether that helps" in page


def test_effects_are_read_only_where_an_incident_goes_on(experienced):
    assert read_facts(experienced).effects == ()
