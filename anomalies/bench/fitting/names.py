"""Learn by what a fall gets its last name: logistic regression over falls whose names are known. Pure."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from anomalies.bench.corpus import LabelledSession
from anomalies.bench.evaluation import ECHO
from anomalies.bench.fitting.folds import Fold, Group
from anomalies.detector.arrays import Floats
from anomalies.detector.baseline import has_activity
from anomalies.detector.classifier import Fall, describe_fall
from anomalies.detector.config import DetectorConfig, with_numbers
from anomalies.detector.explanation import News
from anomalies.detector.incidents import step
from anomalies.detector.prior import shipped
from anomalies.detector.state import AnomalyType, new_states

FALLS = (AnomalyType.SUDDEN_DROP, AnomalyType.GRADUAL_DECLINE)
SUDDEN, GRADUAL = (kind.name for kind in FALLS)
RIDGE = 3.0  # falls that say nothing, so that no weight grows without bounds
NEWTON_STEPS = 30


def gather_falls(folds: Sequence[Fold], config: DetectorConfig) -> tuple[Floats, Floats]:
    """Return what is seen of each fall at the second look, (falls, figures), and whether it is a decline, 0 or 1."""
    seen = [each for fold in folds for group in fold.groups.values() for each in _look_again(group, config)]
    figures = np.array([fall for fall, _ in seen]).reshape(-1, len(Fall._fields))
    return figures, np.array([float(name == GRADUAL) for _, name in seen])


def with_names(config: DetectorConfig, falls: Floats, are_declines: Floats) -> DetectorConfig:
    """Return the config with the weights by which these falls are told apart."""
    constant, weights = regress(falls, are_declines)
    named = dict(zip(Fall._fields, weights.tolist(), strict=True)) | {"constant": constant}
    return with_numbers(config, {f"second_look.{name}": weight for name, weight in named.items()})


def named_rightly(config: DetectorConfig, falls: Floats, are_declines: Floats) -> float:
    """Return the share of falls that get their own name, either kind counting the same; NaN where there is but one."""
    look = config.second_look
    odds = look.constant + falls @ np.array([getattr(look, name) for name in Fall._fields])
    is_right = (odds >= 0) == (are_declines == 1)
    if len(set(are_declines)) < 2:
        return math.nan
    return float(np.mean([is_right[are_declines == kind].mean() for kind in (0, 1)]))


def regress(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Return the constant and the weights (figures) of the log odds that y is 1, by Newton's method.

    Both classes count the same, and a ridge keeps the weights of the standardized figures small.
    """
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    design = np.column_stack([np.ones(len(x)), (x - mean) / deviation])
    share = y.mean()
    worth = np.where(y == 1, 0.5 / share, 0.5 / (1 - share))
    ridge = np.diag([0.0, *[RIDGE] * x.shape[1]])
    weights = np.zeros(design.shape[1])
    for _ in range(NEWTON_STEPS):
        odds = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (worth * (odds - y)) + ridge @ weights
        curve = design.T @ (design * (worth * odds * (1 - odds))[:, None]) + ridge
        weights -= np.linalg.solve(curve, slope)
    of_figures = weights[1:] / deviation
    return float(weights[0] - of_figures @ mean), of_figures


def _look_again(group: Group, config: DetectorConfig) -> Iterator[tuple[Fall, str]]:
    """Yield what is seen of each fall that goes on when it is looked at again, and its name by the labels."""
    states, tuning, news = new_states(len(group.sessions), config.noise).records, config.record[0], News.zeros(1)
    looked_at: set[tuple[int, float]] = set()
    for place, row in zip(group.whose.tolist(), group.rows.array, strict=True):
        state = states[place]
        step(state, row, group.plans, place, shipped().quiet, tuning, news.array[0])
        opened_at, age = float(state.opened_at), row.t - state.opened_at
        if not state.is_open or state.anomaly_type not in FALLS or (place, opened_at) in looked_at:
            continue
        if config.second_look.after_seconds <= age <= config.opening.correction_seconds:
            looked_at.add((place, opened_at))
            name = _name_at(group.sessions[place], datetime.fromtimestamp(opened_at, UTC))
            if name in (SUDDEN, GRADUAL) and has_activity(state, tuning.baseline):
                yield describe_fall(state, tuning), name


def _name_at(session: LabelledSession, at: datetime) -> str | None:
    """Return the type of the labelled incident at a moment, of several the one that began last."""
    labels = [label for label in session.labels if label.type and label.start <= at <= label.end + ECHO]
    return max(labels, key=lambda label: label.start).type if labels else None
