import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0006_settling"),
    ]

    operations = [
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("session", "A session"), ("event", "An event"), ("person", "A person of an event")],
                        max_length=20,
                    ),
                ),
                (
                    "target",
                    models.UUIDField(
                        help_text="The id of the session; that of the event, also where a person was erased."
                    ),
                ),
                (
                    "user",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="The person's pseudonym, until they are erased.",
                        max_length=200,
                    ),
                ),
                ("requested_at", models.DateTimeField()),
                ("requested_by", models.CharField(help_text="A login, a key or a command.", max_length=200)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "rows_erased",
                    models.BigIntegerField(default=0, help_text="What was deleted, or lost a person's pseudonym."),
                ),
                (
                    "done_until",
                    models.UUIDField(help_text="Sessions up to this id know the person no more.", null=True),
                ),
            ],
            options={
                "ordering": ["-requested_at"],
            },
        ),
        migrations.AddField(
            model_name="event",
            name="erased_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="session",
            name="erased_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="raweventrow",
            index=models.Index(
                condition=models.Q(("user", ""), _negated=True), fields=["session", "user"], name="raw_event_by_person"
            ),
        ),
        migrations.AddIndex(
            model_name="erasure",
            index=models.Index(
                condition=models.Q(("finished_at", None)), fields=["requested_at"], name="erasure_unfinished"
            ),
        ),
        migrations.AddConstraint(
            model_name="erasure",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "person"), _negated=True), fields=("target", "kind"), name="erased_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="erasure",
            constraint=models.CheckConstraint(
                condition=models.Q(("finished_at", None), ("user", ""), _connector="OR"),
                name="finished_erasure_knows_nobody",
            ),
        ),
    ]
