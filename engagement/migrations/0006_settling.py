from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("engagement", "0005_raw_event_row")]

    operations = [
        migrations.RemoveIndex(model_name="session", name="live_session_by_partition"),
        migrations.AddField(
            model_name="session",
            name="forgotten_until",
            field=models.DateTimeField(
                editable=False,
                null=True,
                help_text="How far the raw events of an ended session have forgotten who did them.",
            ),
        ),
        migrations.AddField(
            model_name="session",
            name="is_behind",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="A sweep left some of what waits to one that goes behind all others.",
            ),
        ),
        migrations.AddField(
            model_name="session",
            name="settled_at",
            field=models.DateTimeField(
                editable=False,
                null=True,
                help_text="When an ended session was judged to its end, and had forgotten everybody.",
            ),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                condition=models.Q(("settled_at", None), models.Q(("status", "scheduled"), _negated=True)),
                fields=["partition"],
                name="unsettled_by_partition",
            ),
        ),
    ]
