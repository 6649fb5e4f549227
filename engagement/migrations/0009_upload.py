import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0008_retention"),
    ]

    operations = [
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("title", models.CharField(max_length=200)),
                ("zone", models.CharField(help_text="That of times which name none.", max_length=100)),
                ("starts_at", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField(null=True)),
                (
                    "file_names",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        help_text="What messages call the files, until they are read.",
                        size=None,
                    ),
                ),
                ("size", models.BigIntegerField(help_text="Bytes of all its files.")),
                ("uploaded_at", models.DateTimeField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("reading", "Reading"),
                            ("done", "Done"),
                            ("refused", "Refused"),
                        ],
                        default="waiting",
                        max_length=20,
                    ),
                ),
                (
                    "attempts",
                    models.PositiveSmallIntegerField(default=0, help_text="How often somebody began to read it."),
                ),
                ("reading_at", models.DateTimeField(help_text="When somebody last did.", null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("refused_field", models.CharField(blank=True, default="", help_text="Of the form.", max_length=20)),
                (
                    "refusal",
                    models.TextField(blank=True, default="", help_text="Why it was refused, in words for people."),
                ),
                ("session_id", models.UUIDField(help_text="What became of it.", null=True)),
                ("report", models.JSONField(default=dict, help_text="What was read, and what could not be used.")),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="uploads", to="engagement.event"
                    ),
                ),
            ],
            options={
                "ordering": ["uploaded_at"],
            },
        ),
        migrations.CreateModel(
            name="UploadPart",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("file", models.PositiveSmallIntegerField(help_text="Its place in `file_names`.")),
                ("place", models.PositiveIntegerField(help_text="Of the part in its file.")),
                ("content", models.BinaryField()),
                (
                    "upload",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="engagement.upload",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("finished_at", None)), fields=["uploaded_at"], name="upload_unfinished"
            ),
        ),
        migrations.AddConstraint(
            model_name="uploadpart",
            constraint=models.UniqueConstraint(fields=("upload", "file", "place"), name="unique_upload_part"),
        ),
    ]
