from xml.etree import ElementTree

import pytest

from anomalies.bench import pictures
from anomalies.bench.corpus import Label, LabelledSession
from anomalies.bench.curves import Curve, Point
from anomalies.bench.evaluation import Evaluation, ScoredSession, evaluate
from anomalies.bench.tally import Detection, Tally
from anomalies.tests.rooms import START, at_minute, healthy_room, silence

SVG = "{http://www.w3.org/2000/svg}"
PROMISED = {"calm": 60.0, "normal": 30.0, "sensitive": 7.0}


def found(kind, delay, last_name=None, score=0.7, loss=0.3, is_critical=False):
    return Detection(kind, delay, True, 1, last_name=last_name, is_critical=is_critical, score=score, loss=loss)


def evaluation_of(*detections):
    return Evaluation([ScoredSession("room", "activity", Tally(1, 1.0, list(detections)))])


def texts_of(drawing):
    return [text.text for text in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def widths_of(drawing, look):
    return [
        float(r.attrib["width"])
        for r in ElementTree.fromstring(drawing).iter(f"{SVG}rect")
        if r.attrib["class"] == look
    ]


def test_delays_rise_to_the_share_that_was_found():
    detections = [
        found("MASS_EXIT", 5.0),
        found("MASS_EXIT", 5.0),
        found("SUDDEN_DROP", 60.0),
        found("SUDDEN_DROP", None),
    ]
    drawing = ElementTree.fromstring(pictures.draw_delays(evaluation_of(*detections), "Rooms & more"))
    paths = [path.attrib["d"] for path in drawing.iter(f"{SVG}path") if "line" in path.attrib["class"]]
    exits, drops, everything = paths
    assert exits == "M56 404H64.9V76H590"
    assert drops == "M56 404H162.8V240H590"
    assert everything == "M56 404H64.9V240H162.8V158H590"
    assert {"Rooms & more", "mass exit", "sudden drop", "all"} <= {text.text for text in drawing.iter(f"{SVG}text")}


def test_severity_is_drawn_by_what_was_lost():
    tally = evaluation_of(
        found("MASS_EXIT", 5.0, score=0.6, loss=0.0),
        found("MASS_EXIT", 5.0, score=1.0, loss=1.0, is_critical=True),
        found("MASS_EXIT", None),
        found("MASS_EXIT", 9.0, loss=None),
    ).total
    drawing = ElementTree.fromstring(pictures.draw_severity(tally, "Rooms"))
    spots = [(s.attrib["cx"], s.attrib["cy"], s.attrib["class"]) for s in drawing.iter(f"{SVG}circle")]
    assert spots == [("56.0", "404", "spot"), ("590.0", "76", "spot ours")]
    assert any("rank correlation 1.00" in (text.text or "") for text in drawing.iter(f"{SVG}text"))


def test_names_fill_their_field_by_how_often_they_were_told():
    drawing = pictures.draw_names(
        evaluation_of(
            found("SUDDEN_DROP", 5.0, "SUDDEN_DROP"),
            found("SUDDEN_DROP", 5.0, "SUDDEN_DROP"),
            found("SUDDEN_DROP", 5.0, "GRADUAL_DECLINE"),
            found("SUDDEN_DROP", None),
        ),
        "Rooms",
    )
    whole = widths_of(drawing, "field")[0]
    assert max(widths_of(drawing, "right")) == pytest.approx(whole / 2, abs=0.1)
    assert sorted(widths_of(drawing, "wrong"))[-2:] == [pytest.approx(whole / 4, abs=0.1)] * 2
    assert texts_of(drawing).count("2") == 1


def test_promise_is_drawn_beside_what_was_measured_on_each_corpus():
    points = (Point(0.7, 1 / 60, 0.8, "calm", (0.0, 0.02)), Point(0.6, 1 / 30, 0.9, "normal", (0.1, 0.01)))
    curves = [Curve("activity", (*points, Point(0.55, 0.1, 0.9, "sensitive", (0.1, 0.1))), is_ours=True)]
    drawing = ElementTree.fromstring(pictures.draw_promise(curves, PROMISED, "Rooms"))
    bars = [float(bar.attrib["x1"]) for bar in drawing.iter(f"{SVG}line") if bar.attrib["class"] == "promise"]
    dots = [float(dot.attrib["cx"]) for dot in drawing.iter(f"{SVG}circle")]
    assert dots[:2] == bars[:2]
    assert dots[2] > bars[2], "one in ten hours is better than one in seven"
    lines = [
        (float(a.attrib["x1"]), float(a.attrib["x2"]))
        for a in drawing.iter(f"{SVG}line")
        if "line" in a.attrib["class"]
    ]
    assert all(low <= dot <= high for (low, high), dot in zip(lines, dots, strict=True))


@pytest.mark.slow
def test_pictures_of_the_same_corpus_are_the_same_bytes():
    rows = silence(healthy_room(minutes=20), at_minute(12))

    def draw():
        evaluation = evaluate([LabelledSession("s", rows, [Label("SUDDEN_DROP", at_minute(12), at_minute(16))], START)])
        return [
            pictures.draw_delays(evaluation, "One"),
            pictures.draw_severity(evaluation.total, "One"),
            pictures.draw_names(evaluation, "One"),
        ]

    first = draw()
    assert first == draw()
    assert all("prefers-color-scheme: dark" in drawing and "@font-face" not in drawing for drawing in first)
    assert all(len(drawing) < 60_000 for drawing in first)
