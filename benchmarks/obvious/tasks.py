"""A task a row: load the session's trees, score and learn, store them, and tell who listens."""

import pickle

from asgiref.sync import async_to_sync
from celery import shared_task
from channels.layers import get_channel_layer
from django.db import transaction
from river.anomaly import HalfSpaceTrees

from anomalies.detector.prior import FOREST
from benchmarks.obvious.models import Row, Session


@shared_task
def judge(row_id: int) -> None:
    with transaction.atomic():
        row = Row.objects.get(id=row_id)
        session = Session.objects.select_for_update().get(id=row.session_id)
        trees = pickle.loads(session.trees) if session.trees else new_trees()
        features = features_of(row)
        row.anomaly_score = trees.score_one(features)
        trees.learn_one(features)
        session.trees = pickle.dumps(trees)
        session.save(update_fields=["trees"])
        row.save(update_fields=["anomaly_score"])
    message = {"type": "forward", "row_id": row_id}
    async_to_sync(get_channel_layer().group_send)(f"session.{row.session_id}", message)


def new_trees() -> HalfSpaceTrees:
    """Return trees of the size of ours, which is River's default."""
    return HalfSpaceTrees(n_trees=FOREST.n_trees, height=FOREST.height, seed=FOREST.seed)


def features_of(row: Row) -> dict[str, float]:
    """Return what there is to judge, each between 0 and 1."""
    return {
        "active": (row.active_users or 0) / max(1, row.total_users or 0),
        "chat": min(1.0, (row.chat_msgs_per_min or 0.0) / 60),
        "leaves": row.user_leave_rate or 0.0,
        "polls": row.poll_participation or 0.0,
        "reactions": min(1.0, (row.reactions_per_min or 0.0) / 60),
        "score": row.engagement_score or 0.0,
    }
