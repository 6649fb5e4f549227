"""The report of a session as one table, for a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from io import StringIO

from anomalies.models import Anomaly
from conductor.report import Report
from engagement.course import Move, Reached
from engagement.moments import write_moment
from engagement.readings import MEASURED

BYTE_ORDER_MARK = "\ufeff"  # without it Excel takes UTF-8 for its own code page
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell begins with that a spreadsheet computes
COLUMNS = ("section", "at", "what", "value", "note", "engagement_score", *MEASURED)

Cell = str | float | None


def write_csv(report: Report) -> str:
    """Return the report as CSV (RFC 4180): figures, moves, incidents with what people did, and every minute's means.

    A cell that somebody else wrote is harmless: what a spreadsheet would take for a formula has an apostrophe before.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for line in _lines(report):
        writer.writerow([harmless(cell) for cell in line])
    return BYTE_ORDER_MARK + text.getvalue()


def _lines(report: Report) -> Iterator[list[Cell]]:
    session, course = report.session, report.course
    yield ["session", _at(report.began_at), session.title, str(session.id), session.status]
    yield ["figure", None, "minutes with a score", course.minutes]
    yield ["figure", None, "mean score", course.mean_score]
    yield _reached("peak score", course.peak)
    yield _reached("lowest score", course.lowest)
    yield _reached("most people", course.most_people)
    yield ["figure", None, "mean people", course.mean_people]
    yield from _moves("up", course.ups)
    yield from _moves("down", course.downs)
    for incident in report.incidents:
        yield from _incident(incident)
    for mean in report.means:
        means = [mean[f"mean_{name}"] for name in ("engagement_score", *MEASURED)]
        yield ["minute", _at(mean["bucket"]), None, None, None, *means]


def _reached(what: str, reached: Reached | None) -> list[Cell]:
    return ["figure", None, what] if reached is None else ["figure", _at(reached.at), what, reached.value]


def _moves(way: str, moves: Iterable[Move]) -> Iterator[list[Cell]]:
    for move in moves:
        yield ["move", _at(move.at), way, move.change, f"from {move.before:.2f} to {move.after:.2f}"]


def _incident(incident: Anomaly) -> Iterator[list[Cell]]:
    what = f"{incident.get_anomaly_type_display()}, {incident.severity}"
    yield ["incident", _at(incident.timestamp), what, incident.deviation, incident.description]
    yield ["incident ended", _at(incident.resolved_at), what, None, incident.get_review_display()]
    for action in incident.actions.all():
        told = " ".join(filter(None, (action.tried, action.note, "(undone)" if action.undone_at else "")))
        yield ["action", _at(action.at), action.action, action.by, told]


def _at(at: datetime | None) -> str | None:
    return None if at is None else write_moment(at)


def harmless(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet computes.

    >>> harmless("=1+1"), harmless("Keynote"), harmless(-0.2)
    ("'=1+1", 'Keynote', -0.2)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
