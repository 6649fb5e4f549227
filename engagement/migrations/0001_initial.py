import uuid

import django.core.validators
import django.db.models.deletion
import timescale.db.models.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organizers",
                    models.ManyToManyField(blank=True, related_name="organized_events", to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "name",
                    models.CharField(
                        help_text="Who or what uses it, such as the name of your platform.", max_length=100
                    ),
                ),
                ("prefix", models.CharField(editable=False, max_length=8)),
                ("sha256", models.BinaryField(max_length=32, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="api_keys", to="engagement.event"
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("title", models.CharField(max_length=200)),
                ("external_id", models.CharField(blank=True, max_length=200, null=True)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                (
                    "breaks",
                    models.JSONField(
                        blank=True, default=list, help_text="Planned breaks: starts_at and ends_at of each."
                    ),
                ),
                (
                    "lateness_seconds",
                    models.PositiveSmallIntegerField(
                        default=2,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(60),
                        ],
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("scheduled", "Scheduled"), ("live", "Live"), ("ended", "Ended")],
                        default="scheduled",
                        editable=False,
                        max_length=20,
                    ),
                ),
                (
                    "detector_state",
                    models.CharField(
                        choices=[
                            ("INSUFFICIENT_DATA", "Getting to know this room"),
                            ("WATCHING", "Watching"),
                            ("UNKNOWN", "No data"),
                        ],
                        default="INSUFFICIENT_DATA",
                        editable=False,
                        max_length=20,
                    ),
                ),
                ("partition", models.PositiveSmallIntegerField(editable=False)),
                (
                    "judged_until",
                    models.DateTimeField(
                        editable=False, help_text="The newest row that the detector has seen.", null=True
                    ),
                ),
                (
                    "heard_at",
                    models.DateTimeField(editable=False, help_text="When the last new rows were judged.", null=True),
                ),
                ("ended_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="sessions", to="engagement.event"
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="EngagementRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "session_id", "timestamp", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("timestamp", timescale.db.models.fields.TimescaleDateTimeField(interval="1 day")),
                ("chat_msgs_per_min", models.FloatField(null=True)),
                ("poll_participation", models.FloatField(null=True)),
                ("active_users", models.IntegerField(null=True)),
                ("total_users", models.IntegerField(null=True)),
                ("reactions_per_min", models.FloatField(null=True)),
                ("user_leave_rate", models.FloatField(null=True)),
                ("engagement_score", models.FloatField(help_text="0..1; null where no signal says it.", null=True)),
                ("late", models.BooleanField(default=False, help_text="Came after the detector had seen a newer row.")),
                ("received_at", models.DateTimeField()),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rows",
                        to="engagement.session",
                    ),
                ),
            ],
            options={
                "db_table": "engagement",
                "ordering": ["timestamp"],
            },
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                condition=models.Q(("status", "live")), fields=["partition"], name="live_session_by_partition"
            ),
        ),
        migrations.AddConstraint(
            model_name="session",
            constraint=models.UniqueConstraint(fields=("event", "external_id"), name="unique_external_id_per_event"),
        ),
        migrations.AddConstraint(
            model_name="session",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["scheduled", "live", "ended"])), name="session_status_known"
            ),
        ),
    ]
