"""What the runs come to: the table says what was measured, and never a cost where a stack was full."""

import doctest
from argparse import Namespace
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks import figures, plot
from benchmarks.cases import CASES
from benchmarks.client import drive, http
from benchmarks.client.plan import Told
from benchmarks.figures import write_table
from benchmarks.floor import Floor
from benchmarks.measure import Run
from benchmarks.report import ECHO, OBVIOUS, PRODUCT, Results, compose, doubts
from benchmarks.run import choose

SINGLE = CASES["single"]
ASKED = {"case": "", "rate": None, "rooms": None, "seconds": None, "clients": None, "long": False}


def run(stack=PRODUCT, case=SINGLE, **told) -> Run:
    fields = {"statuses": {"202": 600}, "accepted": 600, "sending_seconds": 10.0, "latencies": [0.02] * 600}
    return Run(case, stack, Told(**{**fields, **told}), {"web": 3.0, "PostgreSQL": 1.5}, seconds=10.1)


@pytest.mark.parametrize("module", [figures, plot, drive, http], ids=lambda module: module.__name__)
def test_examples_hold(module):
    found = doctest.testmod(module)
    assert found.attempted > 0 == found.failed


def test_cost_is_the_cpu_of_all_over_what_was_accepted():
    assert (run().cpu_of(), run().cpu_of("web")) == (7500.0, 5000.0)


@pytest.mark.parametrize(
    "told", [{"statuses": {"202": 599, "503": 1}}, {"unanswered": 1}, {"unseen": 1}, {"sending_seconds": 2.0}]
)
def test_who_does_not_keep_up_is_full_and_has_no_cost(told):
    results = Results()
    results.add_between(run(**told), Floor(20.0, 1.0, 4.0))
    table = write_table(compose(results))

    assert "full at 59 rows/s" in table
    assert "POST" not in table


def test_row_that_is_not_judged_is_no_row_that_was_carried():
    full = replace(run(), waiting=300, seconds=60.0)
    assert (full.keeps_up, full.carried) == (False, 5.0)


def test_figures_stand_beside_their_baselines():
    results = Results(floors=[Floor(10.0, 1.0, 4.0)])
    results.add_between(run(), Floor(30.0, 1.0, 4.0))
    results.add(run(ECHO, latencies=[0.002] * 600))
    results.add(run(OBVIOUS))
    found = {(figure.name, figure.baseline_name): figure.ratio for figure in compose(results)}

    assert found["single rows of 100 rooms, 60/s: CPU a row", "River + COPY"] == pytest.approx(300)
    assert found["  the same", OBVIOUS] == pytest.approx(1)
    assert found["  of it web", ECHO] == pytest.approx(2 / 3)
    assert found["  POST p99", ECHO] == pytest.approx(10)


def test_floor_is_said_with_its_spread():
    results = Results(floors=[Floor(10.0, 1.0, 4.0)])
    for river in (30.0, 12.0):
        results.add_between(run(), Floor(river, 1.0, 4.0))
    [floor] = [figure for figure in compose(results) if figure.name.startswith("the floor")]
    assert (floor.name, floor.cost) == ("the floor: CPU a row, the middle of 3, 15.0 to 35.0 µs", 17.0)


def test_row_of_a_crowd_stands_beside_what_the_obvious_build_needs_at_its_most():
    slow = replace(SINGLE, rate=20)
    results = Results(curves={OBVIOUS: [run(OBVIOUS, slow), run(OBVIOUS), run(OBVIOUS, unanswered=1)]})
    results.add(run(case=CASES["crowd"]))
    found = {(figure.name, figure.baseline_name): figure.ratio for figure in compose(results)}
    assert found["  the same, beside 60/s", OBVIOUS] == pytest.approx(1)


def test_client_that_was_late_itself_is_told():
    results = Results()
    results.add(run(sent_late=[0.001] * 600))
    assert doubts(results) == []
    results.add(run(sent_late=[0.001] * 580 + [0.5] * 20))
    [doubt] = doubts(results)
    assert "up to 500 ms late" in doubt
    assert doubt.endswith("product single 60/s.")


def test_what_is_carried_is_the_highest_rate_that_was_kept_up_with():
    slow = replace(SINGLE, rate=20)
    results = Results(curves={PRODUCT: [run(case=slow), run()], OBVIOUS: [run(case=slow), run(unanswered=1)]})
    carried, cost, *_ = compose(results)

    assert (carried.cost, carried.baseline) == (60, 20)
    assert (cost.name, cost.ratio) == ("  CPU a row at 20/s", 1.0)


def test_plot_has_a_line_for_each_stack_that_ends_where_it_is_full():
    slow = replace(SINGLE, rate=20)
    drawn = plot.draw({PRODUCT: [run(case=slow), run()], OBVIOUS: [run(case=slow), run(unanswered=1)]})
    lines = ElementTree.fromstring(drawn).findall("{http://www.w3.org/2000/svg}polyline")

    assert [len(line.get("points").split()) for line in lines] == [2, 1, 2, 1]


def test_choice_is_a_case_as_it_was_asked_for():
    chosen = choose(Namespace(**ASKED | {"case": "single", "rate": 200.0, "rooms": 10, "seconds": 3.0}))
    assert chosen.cases == (replace(SINGLE, rate=200.0, rooms=10, seconds=3.0),)
    assert (chosen.others, "curve" in chosen) == ({"floor"}, False)


def test_choice_of_fewer_rooms_is_smaller_requests():
    [case] = choose(Namespace(**ASKED | {"case": "batch100", "rooms": 30})).cases
    assert (case.rooms, case.rooms_a_request) == (30, 30)


def test_choice_of_nothing_is_everything_and_of_what_is_unknown_the_names():
    assert {case.name for case in choose(Namespace(**ASKED)).cases} == set(CASES)
    with pytest.raises(SystemExit, match="single, crowd, batch100"):
        choose(Namespace(**ASKED | {"case": "list"}))


def test_more_processes_stand_beside_one_of_each():
    few, many, seen = replace(SINGLE, rate=100), replace(SINGLE, rate=200), {"frames": [0.05] * 600}
    alone = [run(case=few, **seen), run(case=many, unanswered=1)]
    results = Results(spread={1: alone, 2: [run(case=few, **seen), run(case=many, **seen)]})

    figures = {figure.name: figure for figure in compose(results)}
    assert figures["2 of web and worker each: single rows that are carried"].ratio == 2
    assert figures["  CPU a row at 100/s"].cost == 7500.0
    assert figures["  POST to frame p99 at 100/s"].ratio == 1


def test_what_takes_long_is_measured_by_name_only():
    assert "processes" not in choose(Namespace(**ASKED))
    assert "processes" in choose(Namespace(**ASKED | {"case": "processes"}))
