from dataclasses import replace

import pytest

from anomalies.bench.evaluation import evaluate
from anomalies.bench.fitting import climbing
from anomalies.bench.fitting.climbing import climb, judge_folds, worth_of
from anomalies.bench.fitting.folds import play_fold
from anomalies.bench.simulation import simulate
from anomalies.bench.tally import Detection, FalseAlarm, Tally
from anomalies.detector.config import DEFAULT, START, number_of, with_numbers
from anomalies.tests.rooms import START as BEGIN


def tally(delays, alarms, hours=10.0):
    found = [Detection("SUDDEN_DROP", delay, is_typed=True, alerts=1) for delay in delays]
    return Tally(1, hours, found, [FalseAlarm("s", BEGIN, "SUDDEN_DROP", "")] * alarms)


def test_it_is_worth_more_to_find_more_sooner_and_to_be_silent():
    usual = worth_of({"activity": tally([60, None], 0)})
    assert worth_of({"activity": tally([60, 60], 0)}) > usual
    assert worth_of({"activity": tally([20, None], 0)}) > usual
    assert worth_of({"activity": tally([5, None], 0)}) > worth_of({"activity": tally([20, None], 0)})
    assert worth_of({"activity": tally([60, None], 1)}) < usual


def test_too_many_false_alarms_cost_more_each():
    costs = [worth_of({"activity": tally([60], alarms, hours=100)}) for alarms in (0, 5, 10)]
    assert costs[0] - costs[1] == pytest.approx(0.5 * 0.05)
    assert costs[1] - costs[2] == pytest.approx(2.0 * 0.05)


def test_a_fold_is_judged_as_its_sessions_are_one_by_one():
    fold = play_fold("rates", True, 5, {"activity": 3, "actors": 1})
    sessions = [simulate(5, index=index, emits="activity", maker="rates", wide=True) for index in range(3)]
    assert fold.groups["activity"].judge(DEFAULT).figures() == evaluate(sessions).total.figures()
    both = judge_folds([fold, fold], DEFAULT)
    assert both["activity"].sessions == 6
    assert both["actors"].sessions == 2


def test_the_same_folds_give_the_same_numbers(monkeypatch):
    monkeypatch.setattr(climbing, "STEPS", {"fusion.full_evidence": 0.5, "noise.least": 0.3})
    folds = [play_fold("rates", True, 7, {"activity": 2})]
    heard = []
    path = climb(folds, START, 2, heard.append)
    assert path == climb(folds, START, 2)
    assert len(path) == 3
    assert len(heard) == 4
    worths = [worth_of(judge_folds(folds, config)) for config in path]
    assert worths == sorted(worths)


def test_climbing_finds_its_way_back_from_a_bad_number(monkeypatch):
    monkeypatch.setattr(climbing, "STEPS", {"trees.full_rarity": 1.0})
    deaf = with_numbers(START, {"trees.full_rarity": 7.4})
    folds = [play_fold("rates", False, 3, {"activity": 4})]
    path = climb(folds, deaf, 1)
    assert number_of(path[-1], "trees.full_rarity") == 3.7
    assert replace(path[-1], trees=deaf.trees) == deaf
