import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0023_how_uploads_are_read"),
    ]

    operations = [
        migrations.CreateModel(
            name="BeaconToken",
            fields=[
                ("prefix", models.CharField(editable=False, max_length=8)),
                ("sha256", models.BinaryField(max_length=32, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(help_text="In which page it is, for your own list.", max_length=100)),
                (
                    "origins",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=300),
                        help_text="Of the pages that may use it.",
                        size=None,
                    ),
                ),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="beacon_tokens",
                        to="engagement.session",
                    ),
                ),
            ],
            options={
                "db_table": "beacon_tokens",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Visitor",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "session_id", "user", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("user", models.CharField(help_text="As its raw events name it.", max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[("focus", "focus"), ("blur", "blur"), ("here", "here"), ("left", "left")],
                        max_length=10,
                    ),
                ),
                (
                    "number",
                    models.IntegerField(help_text="Of its newest report: an older one that comes later says nothing."),
                ),
                (
                    "changed_at",
                    models.DateTimeField(help_text="The moment of the newest raw event that says how it is."),
                ),
                ("heard_at", models.DateTimeField()),
                (
                    "session",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="visitors",
                        to="engagement.session",
                    ),
                ),
            ],
            options={
                "db_table": "beacon_visitors",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "left"), _negated=True), fields=["session"], name="visitors_here"
                    )
                ],
            },
        ),
        # Rewritten with every heartbeat: with room in its page a row stays there, and no index is touched.
        migrations.RunSQL(
            "ALTER TABLE beacon_visitors SET (fillfactor = 60)",
            "ALTER TABLE beacon_visitors RESET (fillfactor)",
        ),
    ]
