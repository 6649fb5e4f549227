"""Keys, sessions with what their detector remembers, and rows."""

import uuid

from django.db import models


class Key(models.Model):
    secret = models.CharField(max_length=100, unique=True)


class Session(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    trees = models.BinaryField(null=True)  # River's, pickled


class Row(models.Model):
    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    timestamp = models.DateTimeField()
    chat_msgs_per_min = models.FloatField(null=True)
    poll_participation = models.FloatField(null=True)
    active_users = models.IntegerField(null=True)
    total_users = models.IntegerField(null=True)
    reactions_per_min = models.FloatField(null=True)
    user_leave_rate = models.FloatField(null=True)
    engagement_score = models.FloatField(null=True)
    anomaly_score = models.FloatField(null=True)  # null until a worker has judged it

    class Meta:
        indexes = [models.Index(fields=["session", "timestamp"])]
