import json
from datetime import UTC, datetime, timedelta

import pytest

from anomalies.bench.corpus import Label, LabelledSession
from anomalies.bench.evaluation import PLANNED, evaluate, known_activity, score_session
from anomalies.bench.tally import Tally
from anomalies.detector.changes import Change, Step
from anomalies.detector.replay import Incident
from anomalies.detector.timetables import Timetable
from engagement.readings import Reading

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


def session(*labels: Label, audience: int = 50, **planned) -> LabelledSession:
    """Return an hour, with these labels."""
    return LabelledSession("s", [Reading(at(3600), total_users=50)], list(labels), NINE, audience=audience, **planned)


def drop(start: float = 1000, end: float = 1100, incident_type: str = "SUDDEN_DROP") -> Label:
    return Label(incident_type, at(start), at(end))


def quiet(start: float, end: float, why: str) -> Label:
    return Label(None, at(start), at(end), why)


def incident(second: float, *changes: tuple[float, str], incident_type: str = "SUDDEN_DROP") -> Incident:
    """Return an incident that opens then and is retyped at each of the changes."""
    return Incident(
        at(second),
        incident_type,
        "WARNING",
        0.7,
        changes=[Change(at(moment), Step.RETYPED, kind, "CRITICAL", 0.9) for moment, kind in changes],
    )


def whys(tally: Tally) -> list[str]:
    return [alarm.why for alarm in tally.false_alarms]


@pytest.mark.parametrize(("second", "found"), [(999, False), (1000, True), (1100, True), (1160, True), (1160.1, False)])
def test_an_alert_is_credited_from_the_start_to_a_minute_after_the_end(second, found):
    tally = score_session(session(drop()), [incident(second)])
    assert (tally.found, len(tally.false_alarms)) == (1 - (not found), 1 - found)
    assert tally.delays == ([second - 1000] if found else [])


def test_an_alert_goes_to_its_own_type_first_then_to_the_latest():
    older, newer = drop(1000, 1200, "GRADUAL_DECLINE"), drop(1100, 1300, "MASS_EXIT")
    same_type = score_session(session(older, newer), [incident(1150, incident_type="GRADUAL_DECLINE")])
    assert [detection.alerts for detection in same_type.detections] == [1, 0]
    other_type = score_session(session(older, newer), [incident(1150, incident_type="SUDDEN_DROP")])
    assert [detection.alerts for detection in other_type.detections] == [0, 1]
    assert [detection.is_typed for detection in other_type.detections] == [False, False]


def test_the_delay_is_that_of_the_first_alert_and_a_retyping_may_name_it_rightly():
    tally = score_session(session(drop()), [incident(1020, (1050, "SUDDEN_DROP"), incident_type="LOW_ENGAGEMENT")])
    assert (tally.delays, tally.typed, tally.storm) == ([20], 1.0, 2.0)


def test_worsening_and_resolving_are_no_alerts():
    worse = Change(at(1030), Step.WORSENED, "SUDDEN_DROP", "CRITICAL", 0.9)
    over = Change(at(2000), Step.RESOLVED, "SUDDEN_DROP", "CRITICAL", 0.1, reason="the audience came back")
    opened = incident(1020)
    opened.changes += [worse, over]
    tally = score_session(session(drop()), [opened])
    assert (tally.storm, tally.false_alarms) == (1.0, [])


def test_a_false_alarm_is_set_down_to_what_went_on():
    labels = [drop(), quiet(500, 900, "listening"), quiet(600, 605, "glitch")]
    tally = score_session(session(*labels), [incident(second) for second in (100, 550, 604, 1200, 2000)])
    assert whys(tally) == [
        "nothing in particular",
        "listening",
        "glitch",
        "aftermath of an incident",
        "nothing in particular",
    ]
    assert tally.false_alarms_per_hour == 5


def test_alarms_in_breaks_and_after_the_end_are_counted_apart():
    planned = session(ends_at=at(3000), breaks=((at(1000), at(1300)),))
    tally = score_session(planned, [incident(second) for second in (1001, 1360, 1361, 2999, 3000)])
    assert [alarm.why for alarm in tally.planned] == ["planned break", "planned break", "planned end"]
    assert whys(tally) == ["nothing in particular"] * 2
    labelled = score_session(session(quiet(1000, 1300, PLANNED[0])), [incident(1100)])
    assert (whys(labelled), len(labelled.planned)) == ([], 1)


def test_figures_of_a_known_case():
    labels = [drop(100 * n, 100 * n + 30) for n in range(1, 5)]
    alerts = [incident(110), incident(225), incident(340, incident_type="MASS_EXIT"), incident(1000), incident(2000)]
    figures = score_session(session(*labels), alerts).figures()
    assert figures == {
        "sessions": 1,
        "hours": 1.0,
        "incidents": 4,
        "found": 3,
        "recall": 0.75,
        "typed": 0.5,
        "precision": 0.6,
        "median_delay_seconds": 25.0,
        "p95_delay_seconds": 38.5,
        "within_10_seconds": 0.25,
        "within_30_seconds": 0.5,
        "false_alarms": 2,
        "false_alarms_per_hour": 2.0,
        "planned_alarms": 0,
        "alerts_per_incident": 1.0,
        "critical": 0.0,
        "critical_at_first": 0.0,
        "critical_of_large_losses": None,
        "critical_of_other_losses": None,
        "critical_false_alarms": 0.0,
        "severity_to_loss": None,
        "score_to_loss": None,
    }


def emptying(*losses: float) -> LabelledSession:
    """Return an hour in which every ten minutes such a share of a hundred active people turns away for two."""
    starts = [600 * (place + 1) for place in range(len(losses))]

    def active(second: float) -> int:
        lost = [loss for start, loss in zip(starts, losses, strict=True) if start <= second <= start + 120]
        return round(100 * (1 - sum(lost)))

    rows = [Reading(at(second), active_users=active(second), total_users=200) for second in range(5, 3601, 5)]
    return LabelledSession("s", rows, [drop(start, start + 120) for start in starts], NINE, audience=200)


def told(second: float, score: float, severity: str = "WARNING", *later: tuple[float, str]) -> Incident:
    """Return an incident that is told with this score and severity, then with those that came later."""
    changes = [
        Change(at(second + 5 * place), Step.WORSENED, "SUDDEN_DROP", worse, higher)
        for place, (higher, worse) in enumerate(later, 1)
    ]
    over = Change(at(second + 300), Step.RESOLVED, "SUDDEN_DROP", severity, 1.0, reason="the audience came back")
    return Incident(at(second), "SUDDEN_DROP", severity, score, changes=[*changes, over])


def test_severity_is_held_against_what_was_lost():
    """The end of an incident tells no score of it, and its severity is the highest that it had."""
    alerts = [
        told(610, 0.65),
        told(1210, 0.7, "WARNING", (0.9, "CRITICAL")),
        told(1810, 0.62),
        told(2410, 0.82, "CRITICAL"),
        told(3200, 0.81, "CRITICAL"),
    ]
    tally = score_session(emptying(0.3, 0.8, 0.2, 0.6), alerts)
    assert [detection.loss for detection in tally.detections] == pytest.approx([0.3, 0.8, 0.2, 0.6])
    assert [detection.score for detection in tally.detections] == [0.65, 0.9, 0.62, 0.82]
    assert (tally.critical, tally.critical_at_first, tally.false_critical) == (0.5, 0.25, 1.0)
    assert (tally.critical_of_losses(is_large=True), tally.critical_of_losses(is_large=False)) == (1.0, 0.0)
    assert tally.score_correlation == tally.severity_correlation == pytest.approx(1.0)


def test_names_are_the_last_that_were_told():
    labels = [drop(), drop(2000, 2100, "GRADUAL_DECLINE"), drop(3000, 3100, "MASS_EXIT")]
    alerts = [incident(1020, (1050, "LOW_ENGAGEMENT")), incident(2020, incident_type="GRADUAL_DECLINE")]
    evaluation = evaluate([session(*labels)], lambda batch: dict.fromkeys(batch, alerts))
    assert evaluation.names == {
        "MASS_EXIT": {"missed": 1},
        "LOW_ENGAGEMENT": {},
        "SUDDEN_DROP": {"LOW_ENGAGEMENT": 1},
        "GRADUAL_DECLINE": {"GRADUAL_DECLINE": 1},
    }


def test_nothing_to_say_is_none_and_not_zero():
    figures = score_session(session(), []).figures()
    assert [figures[name] for name in ("recall", "typed", "precision", "median_delay_seconds")] == [None] * 4
    assert figures["false_alarms_per_hour"] == 0


def test_evaluate_judges_every_session_with_its_timetable_and_sums_up():
    sessions = [
        LabelledSession(f"s{n}", [Reading(at(3600), total_users=9)], [drop()], NINE, at(3000), audience=audience)
        for n, audience in enumerate([9] * 11 + [4000])
    ]
    batches, done = [], []

    def judge(batch):
        assert all(timetable == Timetable(NINE, at(3000)) for _, timetable in batch.values())
        batches.append(list(batch))
        return {name: [incident(1010), incident(2000, incident_type="MASS_EXIT")] for name in batch}

    evaluation = evaluate(sessions, judge, done.append)
    assert [name for batch in batches for name in batch] == [session.name for session in sessions]
    assert sum(done) == evaluation.total.sessions == 12
    assert {name: tally.sessions for name, tally in evaluation.by_room.items() if tally.sessions} == {
        "up to 12": 11,
        "over 500": 1,
    }
    assert (evaluation.total.recall, len(evaluation.total.false_alarms)) == (1.0, 12)
    assert {name: len(tally.false_alarms) for name, tally in evaluation.by_type.items()} == {
        "MASS_EXIT": 12,
        "LOW_ENGAGEMENT": 0,
        "SUDDEN_DROP": 0,
        "GRADUAL_DECLINE": 0,
    }
    figures = json.loads(json.dumps(evaluation.figures()))
    assert figures["false_alarms_by_reason"] == {"nothing in particular": 12}


def test_every_other_session_is_a_half():
    sessions = [LabelledSession(f"s{n}", [Reading(at(3600), total_users=9)], [drop()], NINE) for n in range(3)]
    halves = evaluate(sessions, lambda batch: {name: [incident(1010)] * (name == "s1") for name in batch}).by_half
    assert [(tally.sessions, tally.recall) for tally in halves.values()] == [(2, 0.0), (1, 1.0)]


@pytest.mark.parametrize(
    ("emits", "people", "known"),
    [
        ("actors", (3, 9), "actors"),
        ("", (3, 9), "activity"),
        ("", (9, 9), "connections"),
        ("", (None, 9), "connections"),
        ("", (None, None), "chat"),
    ],
)
def test_what_is_known_of_activity_is_what_the_corpus_says_or_the_rows_show(emits, people, known):
    rows = [Reading(at(second), 1.0, None, *people) for second in (5, 10)]
    assert known_activity(LabelledSession("s", rows, [], NINE, emits=emits)) == known


def test_the_timetable_is_the_sessions_own():
    planned = session(ends_at=at(3000), breaks=((at(1000), at(1300)),))
    assert planned.timetable == Timetable(NINE, at(3000), ((at(1000), at(1300)),))
