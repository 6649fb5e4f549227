import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("anomalies", "0004_room_for_memories"),
        ("engagement", "0016_compression"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="anomaly",
            name="acknowledged_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="anomaly",
            name="acknowledged_by",
            field=models.CharField(
                blank=True, db_default="", default="", help_text="A name, as it was then.", max_length=200
            ),
        ),
        migrations.AddField(
            model_name="anomaly",
            name="snoozed_until",
            field=models.DateTimeField(blank=True, help_text="Quiet until then, unless it gets worse.", null=True),
        ),
        migrations.CreateModel(
            name="AnomalyAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("by", models.CharField(help_text="A name, as it was then.", max_length=200)),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("acknowledge", "Acknowledge"),
                            ("snooze", "Snooze"),
                            ("confirm", "Confirm"),
                            ("dismiss", "Dismiss"),
                            ("tried", "Tried"),
                            ("note", "Note"),
                            ("undo", "Undo"),
                            ("reopen", "Reopen"),
                        ],
                        max_length=20,
                    ),
                ),
                ("tried", models.CharField(blank=True, default="", max_length=20)),
                ("note", models.TextField(blank=True, default="")),
                ("old", models.JSONField(default=dict)),
                ("new", models.JSONField(default=dict)),
                ("undone_at", models.DateTimeField(blank=True, null=True)),
                (
                    "anomaly",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="actions",
                        to="anomalies.anomaly",
                    ),
                ),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="engagement.session",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "anomaly_actions",
                "ordering": ["id"],
                "indexes": [
                    models.Index(fields=["anomaly", "id"], name="idx_anomaly_action"),
                    models.Index(fields=["session", "at", "id"], name="idx_anomaly_action_session"),
                ],
            },
        ),
    ]
