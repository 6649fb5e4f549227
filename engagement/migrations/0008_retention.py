import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0007_erasure"),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="anomaly_days",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Days to keep anomalies after a session's end. Empty: for ever.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(3650),
                ],
            ),
        ),
        migrations.AddField(
            model_name="event",
            name="raw_event_days",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Days to keep raw events, and with them pseudonyms, after a session's end. Empty: for ever.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(3650),
                ],
            ),
        ),
        migrations.AddField(
            model_name="event",
            name="row_days",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Days to keep engagement rows after a session's end. Empty: for ever.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(3650),
                ],
            ),
        ),
        migrations.AlterField(
            model_name="erasure",
            name="kind",
            field=models.CharField(
                choices=[
                    ("session", "A session"),
                    ("event", "An event"),
                    ("person", "A person of an event"),
                    ("raw_events", "Raw events that a session kept for long enough"),
                    ("rows", "Rows that a session kept for long enough"),
                    ("anomalies", "Anomalies that a session kept for long enough"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="erasure",
            name="requested_by",
            field=models.CharField(help_text="A login, a key, a command or the clock.", max_length=200),
        ),
    ]
