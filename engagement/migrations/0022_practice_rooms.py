import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0021_invitations"),
    ]

    operations = [
        migrations.CreateModel(
            name="PracticeRoom",
            fields=[
                (
                    "session",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="practice",
                        serialize=False,
                        to="engagement.session",
                    ),
                ),
                (
                    "plays_at",
                    models.DateTimeField(help_text="Where the recording's beginning is, in the session's time."),
                ),
                ("played_until", models.DateTimeField(help_text="The newest row that was posted.", null=True)),
            ],
            options={
                "db_table": "practice_rooms",
            },
        ),
    ]
