"""What is told of an incident: that it opened, worsened, changed its type or ended, and why. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from anomalies.detector.config import Closing, DetectorConfig
from anomalies.detector.explanation import Finding, News, explain
from anomalies.detector.rows import Rows
from anomalies.detector.state import AnomalyType, States

SCORE_DIGITS = 6


class Step(StrEnum):
    OPENED = "opened"
    WORSENED = "worsened"
    RETYPED = "retyped"
    CORRECTED = "corrected"  # what was told already has another name
    RESOLVED = "resolved"


class Reason(StrEnum):
    RECOVERED = "the audience came back"
    STAYING = "those who stayed are staying"
    SETTLED = "the room has settled at this level"
    BREAK = "a planned break began"
    ENDED = "the session was planned to end"


@dataclass(frozen=True, slots=True)
class Change:
    """One step in an incident's life, at the moment of the row that led to it.

    `finding` says what was seen; it is None at the end, where `reason` says why it ended.
    """

    at: datetime
    step: Step
    anomaly_type: str
    severity: str
    anomaly_score: float
    finding: Finding | None = None
    reason: str | None = None


def tell(state: States, row: Rows, news: News, config: DetectorConfig) -> Iterator[Change]:
    """Yield what a session's newest row has changed, which is in its state already."""
    steps = (
        (news.opens, Step.OPENED),
        (news.retypes, Step.RETYPED),
        (news.corrects, Step.CORRECTED),
        (news.worsens & ~news.retypes, Step.WORSENED),
    )
    for is_so, step in steps:
        if is_so:
            yield _change(state, row, news, step, finding=explain(state, row, news, config.findings))
    if news.resolves:
        yield _change(state, row, news, Step.RESOLVED, reason=_reason(state, news, config.closing))


def _reason(state: States, news: News, closing: Closing) -> Reason:
    if news.is_over:
        return Reason.ENDED
    if not news.may_open:
        return Reason.BREAK
    if news.score >= closing.calm_below:
        return Reason.SETTLED
    return Reason.STAYING if state.anomaly_type == AnomalyType.MASS_EXIT else Reason.RECOVERED


def _change(
    state: States, row: Rows, news: News, step: Step, finding: Finding | None = None, reason: Reason | None = None
) -> Change:
    return Change(
        at=datetime.fromtimestamp(float(row.t), UTC),
        step=step,
        anomaly_type=AnomalyType(int(state.anomaly_type)).name,
        severity="CRITICAL" if state.is_critical else "WARNING",
        anomaly_score=round(float(news.told), SCORE_DIGITS),
        finding=finding,
        reason=None if reason is None else str(reason),
    )
