import re
from datetime import timedelta

import pytest

from anomalies.detector.outlook import Outlook
from anomalies.models import Actor, Anomaly
from conductor.screens.cards import SignalCard
from conductor.screens.session import Range, SessionScreen, render_chart, render_session, show_page, show_session
from conductor.tests import stage, sweeping
from engagement import condense
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def outlook(monkeypatch):
    """What the detector expects; the tests of the detector are elsewhere."""

    def expect(**fields) -> None:
        monkeypatch.setattr("anomalies.watch.NOTHING_EXPECTED", Outlook(**fields))

    expect()
    return expect


def shown(session: Session) -> SessionScreen:
    session.refresh_from_db()
    return show_session(session, stage.NOW)


@pytest.mark.parametrize("rows", [1, 24, 400])
def test_screen_costs_as_many_queries_however_many_rows(event, rows, django_assert_num_queries):
    session = stage.live_session(event, rows=rows)
    stage.incident(session)
    session = Session.objects.select_related("event").get()
    with django_assert_num_queries(8):  # five, what people did, and what helped in this event
        render_session(show_session(session, stage.NOW))


def test_screen_is_of_the_newest_row(session, outlook):
    screen = shown(session)
    assert screen.newest.timestamp == stage.START + timedelta(seconds=115)
    assert (screen.audience, screen.elapsed) == (50, timedelta(seconds=115))
    assert screen.score.value == pytest.approx(screen.newest.engagement_score)


def test_elapsed_counts_from_the_planned_start(session, outlook):
    session.starts_at = stage.START - timedelta(minutes=5)
    session.save()
    assert shown(session).elapsed == timedelta(minutes=5, seconds=115)


def test_late_row_is_neither_newest_nor_on_the_line(session, outlook):
    EngagementRow.objects.filter(timestamp=session.judged_until).update(late=True)
    screen = shown(session)
    assert screen.newest.timestamp == stage.START + timedelta(seconds=110)
    assert len(screen.chart.late) == 0  # it lies after the newest row that counts


def test_session_without_rows_says_where_to_post_them(event, outlook):
    session = Session.objects.create(event=event, title="Soon")
    screen = shown(session)
    assert (screen.newest, screen.score, screen.chart, screen.parts) == (None, None, None, [])
    assert f"/api/v1/sessions/{session.id}/signals" in render_session(screen)


def test_learning_room_says_how_long_it_takes(session, outlook):
    outlook(learning_seconds_left=40)
    Session.objects.update(detector_state="INSUFFICIENT_DATA")
    assert "Getting to know this room: 40 s to go" in render_session(shown(session))


def test_open_incident_comes_before_a_doubt(session, outlook):
    stage.incident(session)
    Session.objects.update(detector_state="UNKNOWN", heard_at=stage.NOW - timedelta(seconds=65))
    page = render_session(shown(session))
    assert 'data-kind="open"' in page
    assert "No data for 1 min 5 s: nobody knows how it goes on." in page


def test_chart_has_band_incidents_and_breaks(session, outlook):
    outlook(band=((stage.START, 0.4, 0.7),), expected=0.6)
    Session.objects.update(breaks=[{"starts_at": "2026-03-02T09:00:30Z", "ends_at": "2026-03-02T09:01:00Z"}])
    stage.incident(session)
    stage.incident(session, seconds=90, status=Anomaly.Status.DISMISSED)
    chart = shown(session).chart
    assert chart.band
    assert [block.key.status for block in chart.incidents] == ["open", "dismissed"]
    assert len(chart.breaks) == 1


def test_chart_has_the_people_of_the_rows_that_count(session, outlook):
    EngagementRow.objects.filter(timestamp__gte=stage.START + timedelta(seconds=60)).update(total_users=20)
    EngagementRow.objects.filter(timestamp=stage.START + timedelta(seconds=90)).update(total_users=999, late=True)
    people = shown(session).chart.people
    assert (people.most, people.newest) == (50, 20)
    assert people.area.endswith("v30H300V50")


def test_chart_of_a_room_that_nobody_counts_is_the_score_alone(session, outlook):
    EngagementRow.objects.update(total_users=None, active_users=None)
    screen = shown(session)
    assert screen.chart.people is None
    assert "chart-people" not in render_session(screen)


def test_table_says_what_the_chart_shows_minute_by_minute(session, outlook):
    outlook(band=((stage.START, 0.4, 0.7),))
    anomaly = stage.incident(session)
    EngagementRow.objects.filter(timestamp__gte=stage.START + timedelta(seconds=90)).update(total_users=20)
    score = shown(session).newest.engagement_score
    second, first = show_page(session, stage.NOW).lines
    assert (first.at, first.people, first.incidents) == (stage.START, 50, ())
    assert (second.at, second.people, second.incidents) == (stage.START + timedelta(minutes=1), 20, (anomaly,))
    assert first.score == second.score == pytest.approx(score)
    assert second.expected == (stage.START, 0.4, 0.7)


def test_page_costs_as_many_queries_as_its_screen(session, outlook, django_assert_num_queries):
    session = Session.objects.select_related("event").get()
    with django_assert_num_queries(5):
        show_page(session, stage.NOW)


def chart_of(session: Session, wanted: str) -> tuple[str, ...]:
    """Return the range, and from when until when the chart is."""
    found = render_chart(Session.objects.select_related("event").get(id=session.id), stage.NOW, Range(wanted))
    return tuple(re.search(rf'data-{name}="([^"]+)"', found)[1] for name in ("range", "since", "until"))


def test_chart_of_a_live_room_is_as_long_as_is_wanted(event, outlook):
    session = stage.live_session(event, rows=701)
    assert chart_of(session, "5min") == ("5min", "2026-03-02T09:53:20Z", "2026-03-02T09:58:20Z")
    assert chart_of(session, "30min") == ("30min", "2026-03-02T09:28:20Z", "2026-03-02T09:58:20Z")
    assert chart_of(session, "whole") == ("whole", "2026-03-02T09:00:00Z", "2026-03-02T09:58:20Z")


def test_whole_of_a_room_that_goes_on_for_hours_comes_from_its_buckets(event, outlook):
    session = Session.objects.create(event=event, title="Long", status="live")
    EngagementRow.objects.bulk_create(
        EngagementRow(
            session=session,
            timestamp=stage.START + timedelta(seconds=5 * place),
            received_at=stage.NOW,
            engagement_score=0.5,
            total_users=50 if place < 1_000 else 20,
        )
        for place in range(2_881)
    )
    Session.objects.update(judged_until=stage.START + timedelta(seconds=5 * 2_880))
    while condense.step(60):
        pass
    assert session.buckets.exists()
    wanted = render_chart(Session.objects.select_related("event").get(), stage.NOW, Range.WHOLE)
    assert 'data-since="2026-03-02T09:00:00Z" data-until="2026-03-02T13:00:00Z"' in wanted
    assert re.search('class="chart-people" d="([^"]+)"', wanted)[1] == "M0 50v-50h4980v10h30v20H14400V50"


def test_chart_of_a_session_that_has_ended_is_whole_whatever_is_wanted(event, outlook):
    session = stage.live_session(event, rows=701)
    Session.objects.update(status="ended", ended_at=stage.NOW)
    assert chart_of(session, "5min") == ("whole", "2026-03-02T09:00:00Z", "2026-03-02T09:58:20Z")


def test_range_that_there_is_not_is_none():
    assert [Range.read(text) for text in ("whole", "1h", "", None)] == [Range.WHOLE, None, None, None]


def cards(session: Session) -> dict[str, SignalCard]:
    return {card.name: card for card in shown(session).cards}


def test_cards_compare_with_what_the_detector_expects(session, outlook):
    outlook(usual={"chat_msgs_per_min": 16.0, "active_share": 0.8})
    chat, share = cards(session)["chat_msgs_per_min"], cards(session)["active_share"]
    assert (chat.value, chat.usual, chat.change) == (12.0, 16.0, -0.25)
    assert (share.value, share.change, share.detail) == (0.8, 0.0, "40 of 50")


def test_cards_say_what_is_not_measured(event, outlook):
    session = Session.objects.create(event=event, title="Chat only")
    record_rows(session.id, [stage.reading(0, poll_participation=None, reactions_per_min=None)], stage.NOW)
    assert cards(session)["poll_participation"].value is None
    assert render_session(shown(session)).count("not measured") == 2


def test_card_of_a_signal_that_moved_is_marked_while_the_incident_is_open(session, outlook):
    anomaly = stage.incident(session)
    assert [name for name, card in cards(session).items() if card.has_moved] == ["chat_msgs_per_min"]
    anomaly.dismiss(Actor.of(stage.organizer()), stage.NOW)
    assert not any(card.has_moved for card in cards(session).values())


def polled_session(event, polled: range, **fields) -> Session:
    """Return a session of 400 rows, some of which tell of a poll with half of the audience in it."""
    session = Session.objects.create(event=event, title="Polled", **fields)
    rows = [stage.reading(place, poll_participation=0.5 if place in polled else None) for place in range(400)]
    record_rows(session.id, rows, stage.NOW)
    sweeping.begin_anew()
    sweeping.sweep_all(stage.NOW)
    session.refresh_from_db()
    return session


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("polled", [range(396, 400), range(380, 400), range(380, 396), range(100, 400)])
def test_score_and_its_parts_are_those_that_polls_before_make_it(event, polled):
    screen = show_session(polled_session(event, polled), stage.NOW)
    assert screen.score.value == pytest.approx(screen.newest.engagement_score, abs=1e-12)
    assert sum(part.value for part in screen.parts) == pytest.approx(screen.newest.engagement_score, abs=1e-12)
    assert "poll_participation" in screen.score.parts


@pytest.mark.django_db(transaction=True)
def test_polls_are_drawn_in_every_range_and_told_in_the_table(event):
    session = polled_session(event, range(60, 72))
    half_hour, whole = (render_chart(session, stage.NOW, wanted) for wanted in (Range.HALF_HOUR, Range.WHOLE))
    for drawn in (half_hour, whole):
        assert drawn.count('class="chart-poll"') == 1
        assert 'data-what="poll, 50 % took part"' in drawn
        assert drawn.count('class="chart-poll-end"') == 2
        assert 'Poll<tspan class="chart-name"> 50 %</tspan>' in drawn
    assert [len(line.polls) for line in reversed(show_page(session, stage.NOW).lines)][:5] == [0, 0, 1, 1, 0]


def test_chart_says_how_many_there_are_now_only_where_that_is_fewer_than_its_scale(session, outlook):
    drawn = render_chart(session, stage.NOW, Range.HALF_HOUR)
    assert '<tspan class="chart-figure">50</tspan> <tspan class="chart-name">people</tspan>' in drawn
    assert drawn.count('<tspan class="chart-figure">50</tspan>') == 1
    session.rows.filter(timestamp=session.judged_until).update(total_users=41)
    assert '<tspan class="chart-figure">41</tspan> now' in render_chart(session, stage.NOW, Range.HALF_HOUR)
    session.status = "ended"
    assert '<tspan class="chart-figure">41</tspan> at the end' in render_chart(session, stage.NOW, Range.HALF_HOUR)


def test_line_says_how_long_a_session_has_gone_on_or_lasted(session, outlook):
    assert "<span>1 min 55 s in</span>" in render_session(shown(session))
    Session.objects.update(status="ended", ended_at=stage.NOW)
    page = render_session(shown(session))
    assert "<span>lasted 1 min 55 s</span>" in page
    assert re.search(r"ended <time [^>]*data-day", page)
