from datetime import timedelta

import pytest

from anomalies.tests.rooms import START
from conductor.screens.rows import Row, read_rows_since
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Event, Session
from engagement.readings import MEASURED, SIGNALS, Reading, SignalKind


def test_row_shows_all_that_is_measured():
    assert set(MEASURED) <= set(Row._fields)
    assert set(Row._fields) <= {field.attname for field in EngagementRow._meta.concrete_fields}


@pytest.mark.django_db
def test_row_gives_the_reading_that_was_recorded():
    session = Session.objects.create(event=Event.objects.create(name="Conference"), title="Keynote")
    people = {signal.name for signal in SIGNALS if signal.kind is SignalKind.PEOPLE}
    known = {name: place if name in people else place / 100 for place, name in enumerate(MEASURED)}
    readings = [Reading(START, chat_msgs_per_min=1.0), Reading(START + timedelta(seconds=5), **known)]
    record_rows(session.id, readings, START)

    found = read_rows_since({session.id: START}, 10)

    assert [row.reading for row in found[session.id]] == readings
