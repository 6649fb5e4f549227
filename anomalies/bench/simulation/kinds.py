"""The kinds of live session that are simulated, as ranges to draw from. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionKind:
    """How sessions of one kind differ. Rates are per head and minute, at the typical audience.

    `log_…` are mean and deviation of a natural logarithm. In larger rooms each person says less:
    `chat_slope` is the power with which the rate per head falls with the audience.
    """

    name: str
    minutes: tuple[float, float]
    log_audience: tuple[float, float]
    audience: tuple[int, int]
    log_chat: tuple[float, float]
    log_reactions: tuple[float, float]
    chat_slope: float
    polls_per_hour: float
    break_chance: float
    questions_chance: float
    weight: float  # how often it is drawn where no kind is asked for


KINDS = {
    kind.name: kind
    for kind in (
        SessionKind("keynote", (30, 60), (6.6, 0.8), (150, 4000), (-2.9, 0.5), (-2.3, 0.45), 0.35, 2.5, 0.0, 0.3, 0.15),
        SessionKind("webinar", (30, 70), (5.5, 0.9), (40, 2000), (-1.9, 0.5), (-2.4, 0.55), 0.30, 2.5, 0.05, 0.5, 0.26),
        SessionKind("panel", (28, 72), (5.3, 0.9), (35, 1200), (-1.9, 0.6), (-2.1, 0.6), 0.40, 2.5, 0.0, 0.5, 0.2),
        SessionKind("workshop", (40, 85), (4.4, 0.7), (18, 250), (-1.0, 0.5), (-1.9, 0.6), 0.25, 4.0, 0.5, 0.15, 0.27),
        SessionKind("meeting", (25, 60), (2.4, 0.4), (5, 20), (-1.1, 0.7), (-1.7, 0.7), 0.25, 1.0, 0.05, 0.0, 0.12),
    )
}
