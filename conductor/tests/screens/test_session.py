from datetime import timedelta

import pytest

from anomalies.detector.outlook import Outlook
from anomalies.models import Anomaly
from conductor.screens.session import live_context, render_live
from conductor.tests import stage
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def outlook(monkeypatch):
    """What the detector expects; the tests of the detector are elsewhere."""

    def expect(**fields) -> None:
        monkeypatch.setattr("anomalies.watch.outlook", lambda session_id: Outlook(**fields))

    expect()
    return expect


def context(session: Session) -> dict:
    session.refresh_from_db()
    return live_context(session, stage.NOW)


@pytest.mark.parametrize("rows", [1, 24, 400])
def test_context_costs_four_queries_however_many_rows(event, rows, django_assert_num_queries):
    session = stage.live_session(event, rows=rows)
    stage.incident(session)
    session = Session.objects.select_related("event").get()
    with django_assert_num_queries(4):
        render_live(live_context(session, stage.NOW))


def test_context_is_of_the_newest_row(session, outlook):
    shown = context(session)
    assert shown["newest"].timestamp == stage.START + timedelta(seconds=115)
    assert (shown["audience"], shown["elapsed"]) == (50, timedelta(seconds=115))
    assert shown["score"].value == pytest.approx(shown["newest"].engagement_score)


def test_elapsed_counts_from_the_planned_start(session, outlook):
    session.starts_at = stage.START - timedelta(minutes=5)
    session.save()
    assert context(session)["elapsed"] == timedelta(minutes=5, seconds=115)


def test_late_row_is_neither_newest_nor_on_the_line(session, outlook):
    EngagementRow.objects.filter(timestamp=session.judged_until).update(late=True)
    shown = context(session)
    assert shown["newest"].timestamp == stage.START + timedelta(seconds=110)
    assert len(shown["chart"].late) == 0  # it lies after the newest row that counts


def test_parts_sum_to_the_score(session, outlook):
    record_rows(session.id, [stage.reading(24, user_leave_rate=0.4)], stage.NOW)
    shown = context(session)
    assert sum(part["value"] for part in shown["parts"]) == pytest.approx(shown["score"].value)
    *gained, leaves = shown["parts"]
    assert leaves["takes_off"]
    assert leaves["x"] == pytest.approx(100 * shown["score"].value, abs=0.02)
    assert leaves["x"] + leaves["width"] == pytest.approx(sum(part["width"] for part in gained), abs=0.05)


@pytest.mark.parametrize(("chats", "way"), [(12.0, "steady"), (0.0, "down"), (30.0, "up")])
def test_trend_is_of_the_last_minute(session, outlook, chats, way):
    record_rows(session.id, [stage.reading(24, chat_msgs_per_min=chats)], stage.NOW)
    assert context(session)["trend"]["way"] == way


def test_young_session_has_no_trend(event, outlook):
    assert context(stage.live_session(event, rows=4))["trend"] is None


def test_banner_of_a_session_without_rows_waits(event, outlook):
    session = Session.objects.create(event=event, title="Soon")
    assert context(session)["banner"]["kind"] == "waiting"
    assert f"/api/v1/sessions/{session.id}/signals" in render_live(context(session))


def test_banner_says_how_long_learning_takes(session, outlook):
    outlook(learning_seconds_left=40)
    Session.objects.update(detector_state="INSUFFICIENT_DATA")
    assert "Getting to know this room: 40 s to go" in render_live(context(session))


def test_banner_of_an_ended_session_is_calm(session, outlook):
    Session.objects.update(status="ended", ended_at=stage.NOW)
    assert context(session)["banner"]["kind"] == "ended"


def test_banner_shows_the_worst_open_incident(session, outlook):
    critical = stage.incident(session, "CRITICAL", seconds=10)
    stage.incident(session, "WARNING", seconds=20)
    stage.incident(session, "CRITICAL", seconds=30, resolved_at=stage.NOW, status=Anomaly.Status.RESOLVED)
    stage.incident(session, "CRITICAL", seconds=40, status=Anomaly.Status.DISMISSED)
    assert context(session)["banner"]["incident"] == critical


def test_open_incident_comes_before_a_doubt(session, outlook):
    stage.incident(session)
    Session.objects.update(detector_state="UNKNOWN", heard_at=stage.NOW - timedelta(seconds=65))
    page = render_live(context(session))
    assert 'data-kind="open"' in page
    assert "No data for 1 min 5 s: nobody knows how it goes on." in page


@pytest.mark.parametrize(("ago", "heard", "kind"), [(5, 0, "resolved"), (15, 0, "calm"), (5, 30, "calm")])
def test_banner_says_for_ten_seconds_that_an_incident_is_over(session, outlook, ago, heard, kind):
    resolved_at = session.judged_until - timedelta(seconds=ago)
    stage.incident(session, seconds=0, status=Anomaly.Status.RESOLVED, resolved_at=resolved_at)
    Session.objects.update(heard_at=stage.NOW - timedelta(seconds=heard))
    assert context(session)["banner"]["kind"] == kind


def test_chart_has_band_incidents_and_breaks(session, outlook):
    outlook(band=((stage.START, 0.4, 0.7),), expected=0.6)
    Session.objects.update(breaks=[{"starts_at": "2026-03-02T09:00:30Z", "ends_at": "2026-03-02T09:01:00Z"}])
    stage.incident(session)
    stage.incident(session, seconds=90, status=Anomaly.Status.DISMISSED)
    chart = context(session)["chart"]
    assert chart.band
    assert (len(chart.incidents), len(chart.breaks)) == (1, 1)


def cards(session: Session) -> dict:
    return {card.name: card for card in context(session)["cards"]}


def test_cards_compare_with_what_is_usual(session, outlook):
    outlook(usual={"chat_msgs_per_min": 16.0, "active_share": 0.8})
    chat, share = cards(session)["chat_msgs_per_min"], cards(session)["active_share"]
    assert (chat.value, chat.usual, chat.change) == (12.0, 16.0, -0.25)
    assert (share.value, share.change, share.detail) == (0.8, 0.0, "40 of 50")


def test_cards_say_what_is_not_measured(event, outlook):
    session = Session.objects.create(event=event, title="Chat only")
    record_rows(session.id, [stage.reading(0, poll_participation=None, reactions_per_min=None)], stage.NOW)
    assert cards(session)["poll_participation"].value is None
    assert render_live(context(session)).count("not measured") == 2


def test_leaves_get_a_card_when_somebody_left(session, outlook):
    assert "user_leave_rate" not in cards(session)
    record_rows(session.id, [stage.reading(24, user_leave_rate=0.1)], stage.NOW)
    assert cards(session)["user_leave_rate"].value == 0.1


def test_card_of_a_signal_that_moved_is_marked_while_the_incident_is_open(session, outlook):
    anomaly = stage.incident(session)
    assert [name for name, card in cards(session).items() if card.has_moved] == ["chat_msgs_per_min"]
    anomaly.dismiss(stage.organizer(), stage.NOW)
    assert not any(card.has_moved for card in cards(session).values())
