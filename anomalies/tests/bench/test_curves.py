from xml.etree import ElementTree

import pytest

from anomalies.bench.corpus import Label, LabelledSession
from anomalies.bench.curves import Curve, Point, draw_curves, our_curve, with_warning_from
from anomalies.detector.config import BY_SENSITIVITY, DEFAULT
from anomalies.tests.rooms import START, at_minute, healthy_room, silence

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("warning_from", [0.2, 0.4, 0.6, 0.9])
def test_thresholds_stay_in_order_around_the_one_that_is_moved(warning_from):
    config = with_warning_from(warning_from)
    opening = config.opening
    assert config.closing.calm_below < opening.warning_from == warning_from <= opening.critical_from


@pytest.mark.slow
def test_our_curve_goes_through_the_detector_as_it_is_and_every_sensitivity():
    assert with_warning_from(DEFAULT.opening.warning_from) == DEFAULT
    rows = silence(healthy_room(minutes=20), at_minute(12))
    label = Label("SUDDEN_DROP", at_minute(12), at_minute(16))
    heard = []
    curve = our_curve([LabelledSession("s", rows, [label], START)], heard.append)
    assert {point.name for point in curve.points} == {*BY_SENSITIVITY, ""}
    assert [point.threshold for point in curve.points] == sorted((p.threshold for p in curve.points), reverse=True)
    assert len(heard) == len(curve.points)
    assert {point.recall for point in curve.points if point.name == "normal"} == {1.0}


def test_the_drawing_shows_each_curve_by_name_and_the_points_to_choose():
    ours = Curve("ours", (Point(0.9, 0.0, 0.5), Point(0.6, 0.05, 0.95, "normal")), is_ours=True)
    other = Curve("k < 3", (Point(3, 6.0, 0.75, "as usual"), Point(2, 1000.0, 0.95)))
    drawing = ElementTree.fromstring(draw_curves([ours, other], "Two & more"))
    texts = [text.text for text in drawing.iter(f"{SVG}text")]
    assert {"Two & more", "ours", "k < 3", "normal"} <= set(texts)
    width, height = (float(drawing.attrib[side]) for side in ("width", "height"))
    dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in drawing.iter(f"{SVG}circle")]
    assert len(dots) == 2
    assert all(0 < x < width and 0 < y < height for x, y in dots)
    names = sorted(float(t.attrib["y"]) for t in drawing.iter(f"{SVG}text") if t.text in ("ours", "k < 3"))
    assert names[1] - names[0] >= 12  # their ends are at the same height; the names do not lie on each other
