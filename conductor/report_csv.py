"""The report of a session as one table, for a spreadsheet."""

from collections.abc import Iterable, Iterator

from anomalies.models import Anomaly
from conductor.report import Report
from conductor.spreadsheet import Cell, write_table
from engagement.course import Move, Reached
from engagement.moments import write_known_moment, write_moment
from engagement.readings import MEASURED

COLUMNS = ("section", "at", "what", "value", "note", "engagement_score", *MEASURED)


def write_csv(report: Report) -> str:
    """Return the report as CSV: figures, moves, incidents with what people did, and every minute's means."""
    return write_table(COLUMNS, _lines(report))


def _lines(report: Report) -> Iterator[list[Cell]]:
    session, course = report.session, report.course
    yield ["session", write_known_moment(report.began_at), session.title, str(session.id), session.status]
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
        yield ["minute", write_known_moment(mean["bucket"]), None, None, None, *means]


def _reached(what: str, reached: Reached | None) -> list[Cell]:
    return ["figure", None, what] if reached is None else ["figure", write_moment(reached.at), what, reached.value]


def _moves(way: str, moves: Iterable[Move]) -> Iterator[list[Cell]]:
    for move in moves:
        yield ["move", write_known_moment(move.at), way, move.change, f"from {move.before:.2f} to {move.after:.2f}"]


def _incident(incident: Anomaly) -> Iterator[list[Cell]]:
    what = f"{incident.get_anomaly_type_display()}, {incident.severity}"
    yield ["incident", write_known_moment(incident.timestamp), what, incident.deviation, incident.description]
    yield ["incident ended", write_known_moment(incident.resolved_at), what, None, incident.get_review_display()]
    for action in incident.actions.all():
        told = " ".join(filter(None, (action.tried, action.note, "(undone)" if action.undone_at else "")))
        yield ["action", write_known_moment(action.at), action.action, action.by, told]
