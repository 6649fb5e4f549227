"""What is kept of the judgement, in the real database."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from anomalies import watch
from anomalies.detector import changes
from anomalies.detector.explanation import Finding
from anomalies.detector.state import VERSION
from anomalies.models import Actor, Anomaly, DetectorMemory
from anomalies.tests.rooms import at_minute, collapse, healthy_room, silence
from engagement import cursors
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Event, Session

pytestmark = pytest.mark.django_db

NOW = at_minute(60)


@pytest.fixture
def session():
    return Session.objects.create(event=Event.objects.create(name="Conference"), title="Keynote")


def judge(session, readings):
    record_rows(session.id, readings, NOW)
    with transaction.atomic():
        session.refresh_from_db()
        rows = EngagementRow.objects.for_session(session)
        if session.judged_until is not None:
            rows = rows.filter(timestamp__gt=session.judged_until)
        with cursors.sweeping([session]):
            [found] = watch.judge_new_rows([session], [list(rows)], NOW)
    session.refresh_from_db()
    return found


def test_anomalies_are_stored(session):
    """Anomalies are stored, with what was seen, expected and meant."""
    found = judge(session, collapse(healthy_room(minutes=15), at_minute(10)))
    anomaly = Anomaly.objects.get()
    assert found.detected == [anomaly]
    assert (anomaly.session, anomaly.event) == (session, session.event)
    assert (anomaly.anomaly_type, anomaly.severity, anomaly.status) == ("MASS_EXIT", "CRITICAL", "open")
    row = EngagementRow.objects.get(session=session, timestamp=anomaly.timestamp)
    assert anomaly.signals["total_users"] == row.total_users == 20
    assert anomaly.current_engagement < anomaly.expected_engagement
    expected = 1 - anomaly.current_engagement / anomaly.expected_engagement
    assert anomaly.deviation == pytest.approx(expected, abs=1e-3)
    assert anomaly.description == "80 of 100 people left, 80 % of the audience within a minute."
    assert anomaly.metadata["moved"][0] == "user_leave_rate"
    assert [entry["change"] for entry in anomaly.metadata["history"]] == ["opened"]
    assert 0 <= anomaly.metadata["hst_score"] <= 1
    assert anomaly.metadata["sensitivity"] == "normal"


def test_one_incident_is_one_anomaly_with_a_history(session):
    judge(session, silence(healthy_room(minutes=25), at_minute(10), at_minute(15)))
    anomaly = Anomaly.objects.get()
    assert [entry["change"] for entry in anomaly.metadata["history"]] == ["opened", "corrected", "resolved"]
    assert anomaly.anomaly_type == "LOW_ENGAGEMENT"
    assert anomaly.status == "resolved"
    assert anomaly.resolved_at > at_minute(15)


def test_corrected_type_is_an_update_and_no_new_alert(session):
    rows = silence(healthy_room(minutes=25), at_minute(10), at_minute(15))
    found = [judge(session, rows[:120]), *[judge(session, rows[place : place + 1]) for place in range(120, 144)]]
    opened = [anomaly for each in found for anomaly in each.detected if anomaly.anomaly_type == "SUDDEN_DROP"]
    (corrected,) = [anomaly for each in found for anomaly in each.corrected]
    assert opened[0].id == corrected.id
    assert corrected.anomaly_type == Anomaly.objects.get().anomaly_type == "LOW_ENGAGEMENT"


@pytest.mark.parametrize("size", [1, 7])
def test_sweeps_of_any_size_keep_the_same_anomalies(session, size):
    rows = silence(healthy_room(minutes=18), at_minute(8), at_minute(12))
    whole = Session.objects.create(event=session.event, title="Whole")
    judge(whole, rows)
    for first in range(0, len(rows), size):
        judge(session, rows[first : first + size])

    def kept(of):
        fields = ("timestamp", "anomaly_type", "severity", "metadata", "resolved_at", "description", "status")
        return list(Anomaly.objects.for_session(of).values(*fields))

    assert kept(session) == kept(whole) != []
    assert bytes(session.detector.state) == bytes(whole.detector.state)


def test_state_of_another_version_is_rebuilt_from_the_rows(session):
    rows = collapse(healthy_room(minutes=15), at_minute(10), at_minute(12))
    judge(session, rows[:126])
    before = bytes(DetectorMemory.objects.get().state)
    DetectorMemory.objects.update(version=VERSION + 1, state=b"of another version")
    judge(session, rows[126:127])
    again = Session.objects.create(event=session.event, title="Undisturbed")
    judge(again, rows[:127])
    assert bytes(DetectorMemory.objects.get(session=session).state) == bytes(again.detector.state) != before
    assert Anomaly.objects.for_session(session).count() == 1


def test_review_survives_what_the_detector_writes_later(session, django_user_model):
    rows = silence(healthy_room(minutes=25), at_minute(10), at_minute(15))
    judge(session, rows[:130])
    reviewer = Actor.of(django_user_model.objects.create_user("reviewer"))
    Anomaly.objects.get().annotate("The microphone was off.", reviewer, NOW)
    Anomaly.objects.get().dismiss(reviewer, NOW)
    judge(session, rows[130:])
    anomaly = Anomaly.objects.get()
    assert anomaly.resolved_at is not None
    assert (anomaly.status, anomaly.review) == ("dismissed", "false_alarm")
    assert anomaly.note == "The microphone was off."


def test_snooze_lasts_while_a_name_is_corrected_and_ends_where_it_gets_worse(session):
    rows = silence(healthy_room(minutes=25), at_minute(10), at_minute(15))
    judge(session, rows[:130])
    Anomaly.objects.update(severity="WARNING")
    opened = Anomaly.objects.get()
    opened.snooze(at_minute(90), Actor("mara"), NOW)
    change = changes.Change(at_minute(11), changes.Step.CORRECTED, "LOW_ENGAGEMENT", "WARNING", 0.7, finding())
    watch._worsen(opened, change)
    assert opened.snoozed_until == at_minute(90)
    watch._worsen(opened, replace(change, step=changes.Step.WORSENED, severity="CRITICAL"))
    watch._update([opened])
    kept = Anomaly.objects.get()
    assert (kept.snoozed_until, kept.severity) == (None, "CRITICAL")


def finding() -> Finding:
    return Finding(
        current=0.1, expected=0.7, tree_score=0.9, z_score=4.0, signals={}, description="", advice="", audience=9
    )


def test_detector_state_goes_from_too_early_to_watching(session):
    rows = healthy_room(minutes=3)
    judge(session, rows[:5])
    assert session.detector_state == "INSUFFICIENT_DATA"
    assert watch.read_outlooks([session.id])[session.id].learning_seconds_left == 35
    judge(session, rows[5:])
    assert session.detector_state == "WATCHING"
    assert watch.read_outlooks([session.id])[session.id].learning_seconds_left == 0


def test_rows_that_cannot_be_true_make_the_state_unknown(session):
    judge(session, healthy_room(minutes=10.5, audience=400, chats_per_head=0.2, lost_from=10))
    assert session.detector_state == "UNKNOWN"
    assert not Anomaly.objects.exists()


def test_outlook_tells_what_is_usual(session):
    judge(session, healthy_room(minutes=10))
    outlook = watch.read_outlooks([session.id])[session.id]
    assert outlook.expected == pytest.approx(0.75, abs=0.05)
    assert outlook.usual["active_share"] == pytest.approx(0.75, abs=0.03)
    assert outlook.usual["chat_msgs_per_min"] == pytest.approx(9, rel=0.4)
    assert all(low < high for _, low, high in outlook.band)
    moments = [at for at, _, _ in outlook.band]
    assert moments == sorted(moments)
    assert at_minute(9) < moments[-1] <= at_minute(10)


def test_end_of_a_session_resolves_what_is_open(session):
    judge(session, collapse(healthy_room(minutes=12), at_minute(10)))
    (resolved,) = watch.resolve_at_end(session, at_minute(12))
    assert resolved.status == "resolved"
    assert Anomaly.objects.get().metadata["history"][-1]["reason"] == "the session ended"


def test_sensitivity_of_the_event_decides_how_readily_an_incident_opens(session):
    """The same weak fall is told in a sensitive event and not in a calm one; a collapse is told in both."""
    rooms = {}
    for sensitivity in Event.Sensitivity.values:
        event = Event.objects.create(name=sensitivity, sensitivity=sensitivity)
        for seed in range(8):
            room = Session.objects.create(event=event, title="Room")
            judge(room, slump(healthy_room(seed, 16, audience=150), at_minute(10)))
        rooms[sensitivity] = Anomaly.objects.for_event(event).values("session").distinct().count()
        collapsed = Session.objects.create(event=event, title="Collapse")
        judge(collapsed, collapse(healthy_room(minutes=12), at_minute(10)))
        assert Anomaly.objects.for_session(collapsed).count() == 1
    assert rooms["calm"] < rooms["sensitive"]
    assert rooms["calm"] <= rooms["normal"] <= rooms["sensitive"]


def slump(readings, at):
    """Let everything fall to about three quarters."""
    return [
        replace(
            row,
            chat_msgs_per_min=float(round(row.chat_msgs_per_min * 0.7)),
            reactions_per_min=float(round(row.reactions_per_min * 0.7)),
            active_users=round(row.active_users * 0.74),
        )
        if row.timestamp >= at
        else row
        for row in readings
    ]


def test_what_was_expected_stays_where_it_was_after_an_incident(session):
    """Blocks of an incident are not learnt; those before it must not move into its place."""
    rows = silence(healthy_room(minutes=20), at_minute(10), at_minute(13))
    judge(session, rows[:118])
    before = watch.read_outlooks([session.id])[session.id].band
    judge(session, rows[118:])
    after = watch.read_outlooks([session.id])[session.id].band
    assert Anomaly.objects.for_session(session).exists()
    assert len(before) > 10
    for at, *expected in before:
        half_a_block = timedelta(seconds=15)
        assert [low_high for moved, *low_high in after if abs(moved - at) <= half_a_block] == [expected]
    assert after[-1][0] > at_minute(15)
