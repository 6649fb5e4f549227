"""What the banner says of facts; nothing here needs a database."""

from datetime import timedelta

import pytest

from anomalies.detector.outlook import Outlook
from anomalies.models import Anomaly, AnomalyAction
from conductor.screens.banners import Banner, BannerKind, Remainder, show_banner
from conductor.screens.doubts import Doubt, DoubtKind
from conductor.screens.facts import SessionFacts
from conductor.tests.stage import NOW, START
from engagement.models import EngagementRow, Session
from engagement.moments import write_moment

NEWEST_AT = START + timedelta(minutes=2)
SILENT = Doubt(DoubtKind.SILENT, timedelta(seconds=65))
BREAK = {"starts_at": "2026-03-02T09:01:00Z", "ends_at": "2026-03-02T09:05:00Z"}


def facts(*incidents: Anomaly, rows: int = 1, learning_seconds_left: int = 0, **fields) -> SessionFacts:
    """Return what is known of a room in which all is well, but for what is given."""
    session = Session(**{"status": "live", "detector_state": "WATCHING", "heard_at": NOW, **fields})
    newest = EngagementRow(timestamp=NEWEST_AT, engagement_score=0.31)
    return SessionFacts(session, START, [newest] * rows, incidents, Outlook(learning_seconds_left))


def incident(**fields) -> Anomaly:
    found = Anomaly(timestamp=START, severity="CRITICAL", expected_engagement=0.62, **fields)
    return with_actions(found)


def with_actions(found: Anomaly, *actions: AnomalyAction) -> Anomaly:
    """Return an incident as it is read with what people did."""
    found._prefetched_objects_cache = {"actions": list(actions)}
    return found


def resolved(ago: int) -> Anomaly:
    """Return an incident that ended so many seconds before the newest row."""
    return incident(status=Anomaly.Status.RESOLVED, resolved_at=NEWEST_AT - timedelta(seconds=ago))


def test_room_as_it_usually_is_is_calm():
    assert show_banner(facts(), None, NOW) == Banner(BannerKind.CALM)


def test_session_without_rows_waits():
    assert show_banner(facts(rows=0), None, NOW) == Banner(BannerKind.WAITING)


def test_ended_session_says_so_and_no_more():
    assert show_banner(facts(resolved(5), status="ended"), None, NOW) == Banner(BannerKind.ENDED)


def test_open_incident_comes_before_everything_else():
    anomaly = incident()
    found = facts(anomaly, resolved(5), status="ended", detector_state="UNKNOWN", breaks=[BREAK])
    assert show_banner(found, SILENT, NOW) == Banner(BannerKind.OPEN, anomaly, fall=0.5)


def test_everything_that_goes_on_beside_an_open_incident_is_told_with_it():
    dismissed = incident(status=Anomaly.Status.DISMISSED)
    warnings = [incident(), incident()]
    for warning in warnings:
        warning.severity = "WARNING"
    worst = incident()
    banner = show_banner(facts(dismissed, *warnings, worst, resolved(5)), None, NOW)
    assert (banner.incident, banner.others) == (worst, (*warnings, dismissed))


@pytest.mark.parametrize("expected", [None, 0.0, 0.31, 0.2])
def test_score_that_is_not_below_what_is_expected_is_no_fall(expected):
    anomaly = incident()
    anomaly.expected_engagement = expected
    assert show_banner(facts(anomaly), None, NOW) == Banner(BannerKind.OPEN, anomaly)


@pytest.mark.parametrize(
    ("ago", "heard", "kind"), [(5, 0, BannerKind.RESOLVED), (15, 0, BannerKind.CALM), (5, 30, BannerKind.CALM)]
)
def test_for_ten_seconds_it_says_that_an_incident_is_over(ago, heard, kind):
    over = resolved(ago)
    banner = show_banner(facts(over, heard_at=NOW - timedelta(seconds=heard)), None, NOW)
    assert banner == Banner(kind, over if kind == BannerKind.RESOLVED else None)


@pytest.mark.parametrize(
    ("doubt", "kind"), [(SILENT, BannerKind.SILENT), (Doubt(DoubtKind.UNTRUE), BannerKind.DOUBTFUL)]
)
def test_doubt_comes_before_a_break(doubt, kind):
    assert show_banner(facts(breaks=[BREAK]), doubt, NOW) == Banner(kind)


def test_break_says_until_when():
    until = START + timedelta(minutes=5)
    banner = show_banner(facts(breaks=[BREAK], detector_state="INSUFFICIENT_DATA"), None, NOW)
    assert banner == Banner(BannerKind.BREAK, break_until=until)


def test_learning_says_how_long_it_takes():
    found = facts(detector_state="INSUFFICIENT_DATA", learning_seconds_left=40)
    assert show_banner(found, None, NOW) == Banner(BannerKind.LEARNING, learning_seconds_left=40)


def settled(reason: str = "those who stayed are staying", **fields) -> Anomaly:
    """Return an exit that ended a minute before the newest row, for this reason."""
    history = [{"change": "opened"}, {"change": "resolved", "reason": reason}]
    return Anomaly(
        **{
            "timestamp": START + timedelta(seconds=30),
            "severity": "CRITICAL",
            "anomaly_type": "MASS_EXIT",
            "status": Anomaly.Status.RESOLVED,
            "resolved_at": NEWEST_AT - timedelta(seconds=60),
            "metadata": {"history": history},
            **fields,
        }
    )


def with_people(*counts: int | None, incidents=(), band=()) -> SessionFacts:
    """Return facts with a row every 30 s from the start, each with so many people."""
    rows = [
        EngagementRow(timestamp=START + timedelta(seconds=30 * place), engagement_score=0.5, total_users=count)
        for place, count in enumerate(counts)
    ]
    session = Session(status="live", detector_state="WATCHING", heard_at=NOW)
    return SessionFacts(session, START, rows, incidents, Outlook(band=band))


def test_who_has_not_come_back_is_told_after_an_exit():
    exit = settled()
    banner = show_banner(with_people(320, 250, 128, 128, 128, incidents=[exit]), None, NOW)
    assert (banner.kind, banner.remainder) == (BannerKind.CALM, Remainder(exit, exit.resolved_at, 192))


@pytest.mark.parametrize(
    "counts", [(None, None, None, None, None), (320, 300, 320, 330, 330)], ids=["unknown", "all are back"]
)
def test_nobody_is_missed_where_nobody_is_known_to_be(counts):
    remainder = show_banner(with_people(*counts, incidents=[settled()]), None, NOW).remainder
    assert remainder is not None
    assert remainder.people_gone is None


@pytest.mark.parametrize(
    "over",
    [
        settled("the audience came back"),
        settled(status=Anomaly.Status.DISMISSED),
        settled(resolved_at=NEWEST_AT - timedelta(minutes=21)),
    ],
    ids=["came back", "false alarm", "long ago"],
)
def test_nothing_remains_of_what_was_nothing_or_is_over(over):
    assert show_banner(with_people(320, 250, 128, 128, 128, incidents=[over]), None, NOW).remainder is None


def test_room_below_its_band_is_not_called_usual():
    bands = {False: (0.4, 0.6), True: (0.55, 0.7)}
    for is_below, (low, high) in bands.items():
        found = with_people(50, 50, band=((START - timedelta(minutes=1), 0.9, 1.0), (START, low, high)))
        assert show_banner(found, None, NOW).is_below == is_below


def test_dismissed_incident_that_goes_on_is_named():
    dismissed = settled(status=Anomaly.Status.DISMISSED, resolved_at=None)
    assert show_banner(with_people(50, 50, incidents=[dismissed]), None, NOW).dismissed == dismissed


def attended(history: tuple[dict, ...] = (), **fields) -> Anomaly:
    fields = {"status": "acknowledged", "acknowledged_at": NEWEST_AT, "acknowledged_by": "mara"} | fields
    return incident(metadata={"history": [{"at": write_moment(START), "change": "opened"}, *history]}, **fields)


def at(seconds: int, change: str) -> dict:
    return {"at": write_moment(NEWEST_AT + timedelta(seconds=seconds)), "change": change}


def test_banner_is_quiet_while_somebody_is_on_it_until_it_gets_worse():
    assert not show_banner(facts(incident()), None, NOW).is_quiet
    assert show_banner(facts(attended()), None, NOW).is_quiet
    assert show_banner(facts(attended((at(-5, "worsened"),))), None, NOW).is_quiet
    assert show_banner(facts(attended((at(5, "corrected"),))), None, NOW).is_quiet
    assert not show_banner(facts(attended((at(5, "worsened"),))), None, NOW).is_quiet
    assert not show_banner(facts(attended((at(5, "retyped"),))), None, NOW).is_quiet


def test_banner_is_quiet_for_as_long_as_somebody_asked():
    snoozed = incident(snoozed_until=NOW + timedelta(seconds=5))
    assert show_banner(facts(snoozed), None, NOW).is_quiet
    assert not show_banner(facts(snoozed), None, NOW + timedelta(seconds=5)).is_quiet


def test_incident_that_nobody_is_on_comes_before_a_worse_one_that_somebody_is_on():
    mild = incident(status=Anomaly.Status.OPEN)
    mild.severity = "WARNING"
    banner = show_banner(facts(attended(), mild), None, NOW)
    assert (banner.incident, banner.is_quiet, len(banner.others)) == (mild, False, 1)


def test_what_was_tried_is_told_with_the_score_of_then():
    early = AnomalyAction(by="mara", action="tried", tried="question", at=START)
    tried = AnomalyAction(by="mara", action="tried", tried="poll", at=NEWEST_AT + timedelta(seconds=2))
    undone = AnomalyAction(by="mara", action="tried", tried="break", at=NEWEST_AT, undone_at=NOW)
    banner = show_banner(facts(with_actions(incident(), early, tried, undone)), None, NOW)
    assert [(each.action, each.score_then) for each in banner.attempts] == [(early, None), (tried, 0.31)]
