"""The JSON shapes that integrators rely on: the same for REST, the stream and the pages."""

from collections.abc import Mapping
from typing import Any

from django.urls import reverse

from anomalies.models import Anomaly, AnomalyAction
from conductor.models import Channel, Message
from conductor.report import Report
from engagement.course import Reached
from engagement.models import BeaconToken, EngagementRow, Erasure, Session
from engagement.moments import write_known_moment, write_moment
from engagement.readings import MEASURED
from engagement.scoring import level

VERDICTS: dict[str, str | None] = {
    Anomaly.Review.UNREVIEWED: None,
    Anomaly.Review.CONFIRMED: "real",
    Anomaly.Review.FALSE_ALARM: "false_alarm",
}


def session_payload(session: Session) -> dict[str, object]:
    return {
        "id": str(session.id),
        "event_id": str(session.event_id),
        "title": session.title,
        "external_id": session.external_id,
        "status": session.status,
        "detector_state": session.detector_state,
        "starts_at": write_known_moment(session.starts_at),
        "ends_at": write_known_moment(session.ends_at),
        "breaks": session.breaks,
        "lateness_seconds": session.lateness_seconds,
        "url": reverse("session", args=[session.id]),
    }


def erasure_payload(erasure: Erasure) -> dict[str, object]:
    return {"id": str(erasure.id), "kind": erasure.kind, "requested_at": write_known_moment(erasure.requested_at)}


def beacon_token_payload(token: BeaconToken) -> dict[str, object]:
    return {
        "id": str(token.id),
        "session_id": str(token.session_id),
        "name": token.name,
        "origins": token.origins,
        "created_at": write_known_moment(token.created_at),
    }


def row_payload(row: EngagementRow) -> dict[str, object]:
    score = row.engagement_score
    return {
        "timestamp": write_moment(row.timestamp),
        "engagement_score": score,
        "level": None if score is None else level(score),
        "late": row.late,
        **{name: getattr(row, name) for name in MEASURED},
    }


def bucket_payload(bucket: Mapping[str, Any]) -> dict[str, object]:
    """Return one of the buckets of `engagement.buckets.read_means`."""
    score = bucket["mean_engagement_score"]
    return {
        "timestamp": write_moment(bucket["bucket"]),
        "engagement_score": score,
        "level": None if score is None else level(score),
        "late": bucket["any_late"],
        **{name: bucket[f"mean_{name}"] for name in MEASURED},
        "rows": bucket["rows"],
    }


def anomaly_payload(anomaly: Anomaly) -> dict[str, object]:
    return {
        "id": str(anomaly.id),
        "session_id": str(anomaly.session_id),
        "event_id": str(anomaly.event_id),
        "timestamp": write_moment(anomaly.timestamp),
        "anomaly_type": anomaly.anomaly_type,
        "severity": anomaly.severity,
        "anomaly_score": anomaly.anomaly_score,
        "current_engagement": anomaly.current_engagement,
        "expected_engagement": anomaly.expected_engagement,
        "deviation": anomaly.deviation,
        "signals": anomaly.signals,
        "metadata": anomaly.metadata,
        "resolved_at": write_known_moment(anomaly.resolved_at),
        "status": anomaly.status,
        "description": anomaly.description,
        "acknowledged_at": write_known_moment(anomaly.acknowledged_at),
        "acknowledged_by": anomaly.acknowledged_by or None,
        "snoozed_until": write_known_moment(anomaly.snoozed_until),
        "verdict": VERDICTS[anomaly.review],
        "actions": [_action_payload(action) for action in anomaly.actions.all()],
    }


def _action_payload(action: AnomalyAction) -> dict[str, object]:
    return {
        "at": write_moment(action.at),
        "by": action.by,
        "action": action.action,
        "note": action.note or None,
        "tried": action.tried or None,
        "is_undone": action.undone_at is not None,
    }


def webhook_payload(channel: Channel) -> dict[str, object]:
    return {
        "id": str(channel.id),
        "event_id": str(channel.event_id),
        "url": channel.target,
        "name": channel.name,
        "types": channel.types,
        "least_severity": channel.least_severity,
        "created_at": write_moment(channel.created_at),
        "paused_at": write_known_moment(channel.paused_at),
        "pause_reason": channel.pause_reason or None,
    }


def delivery_payload(message: Message) -> dict[str, object]:
    return {
        "id": str(message.key),
        "type": message.type,
        "session_id": message.session_id and str(message.session_id),
        "anomaly_id": message.anomaly_id and str(message.anomaly_id),
        "created_at": write_moment(message.created_at),
        "delivered_at": write_known_moment(message.delivered_at),
        "given_up_at": write_known_moment(message.given_up_at),
        "given_up": message.given_up or None,
        "next_attempt_at": write_known_moment(message.next_attempt_at),
        "attempts": [
            {
                "at": write_moment(attempt.at),
                "milliseconds": attempt.milliseconds,
                "status": attempt.status,
                "error": attempt.error or None,
                "answer": attempt.answer or None,
            }
            for attempt in message.tries.all()
        ],
    }


def report_payload(report: Report) -> dict[str, object]:
    course = report.course
    return {
        "session": session_payload(report.session),
        "began_at": write_known_moment(report.began_at),
        "seconds": report.lasted.total_seconds(),
        "minutes": course.minutes,
        "mean_score": course.mean_score,
        "peak": _reached_payload(course.peak),
        "lowest": _reached_payload(course.lowest),
        "mean_people": course.mean_people,
        "most_people": _reached_payload(course.most_people),
        "moves": [
            {"at": write_moment(move.at), "before": move.before, "after": move.after, "change": move.change}
            for move in sorted([*course.ups, *course.downs], key=lambda move: move.at)
        ],
        "incidents": [anomaly_payload(incident) for incident in report.incidents],
        "engagement": [bucket_payload(mean) for mean in report.means],
    }


def _reached_payload(reached: Reached | None) -> dict[str, object] | None:
    return None if reached is None else {"value": reached.value, "at": write_moment(reached.at)}
