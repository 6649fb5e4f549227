import uuid

import django.db.models.deletion
import timescale.db.models.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("engagement", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DetectorState",
            fields=[
                (
                    "session",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="detector",
                        serialize=False,
                        to="engagement.session",
                    ),
                ),
                (
                    "version",
                    models.PositiveSmallIntegerField(help_text="A state of another version is rebuilt from the rows."),
                ),
                ("state", models.BinaryField(max_length=5120)),
                ("updated_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Anomaly",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "timestamp",
                    timescale.db.models.fields.TimescaleDateTimeField(
                        help_text="The row that showed it.", interval="30 days"
                    ),
                ),
                (
                    "anomaly_type",
                    models.CharField(
                        choices=[
                            ("MASS_EXIT", "Mass exit"),
                            ("LOW_ENGAGEMENT", "Low engagement"),
                            ("SUDDEN_DROP", "Sudden drop"),
                            ("GRADUAL_DECLINE", "Gradual decline"),
                        ],
                        max_length=50,
                    ),
                ),
                (
                    "severity",
                    models.CharField(choices=[("WARNING", "Warning"), ("CRITICAL", "Critical")], max_length=20),
                ),
                (
                    "anomaly_score",
                    models.FloatField(help_text="0..1: 0.7 × half-space trees + 0.3 × z-score, at its highest."),
                ),
                ("current_engagement", models.FloatField(null=True)),
                ("expected_engagement", models.FloatField(null=True)),
                ("deviation", models.FloatField(help_text="(expected − current) / expected.", null=True)),
                ("signals", models.JSONField(default=dict)),
                ("metadata", models.JSONField(default=dict)),
                ("description", models.TextField(default="")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("acknowledged", "Acknowledged"),
                            ("resolved", "Resolved"),
                            ("dismissed", "Dismissed"),
                        ],
                        default="open",
                        max_length=20,
                    ),
                ),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "review",
                    models.CharField(
                        blank=True,
                        choices=[("", "Not reviewed"), ("confirmed", "Confirmed"), ("false_alarm", "False alarm")],
                        default="",
                        max_length=20,
                    ),
                ),
                ("reviewed_at", models.DateTimeField(blank=True, null=True)),
                ("note", models.TextField(blank=True, default="")),
                (
                    "event",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="anomalies",
                        to="engagement.event",
                    ),
                ),
                (
                    "reviewed_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="anomalies",
                        to="engagement.session",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "anomalies",
                "db_table": "anomalies",
                "ordering": ["-timestamp"],
                "indexes": [
                    models.Index(fields=["session", "timestamp"], name="idx_anomaly_session"),
                    models.Index(fields=["severity", "timestamp"], name="idx_anomaly_severity"),
                    models.Index(
                        condition=models.Q(("resolved_at", None)), fields=["session"], name="idx_anomaly_unresolved"
                    ),
                ],
            },
        ),
    ]
