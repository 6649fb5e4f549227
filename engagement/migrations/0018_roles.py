import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

ROLES = [
    ("viewer", "Viewer: reads every page, and changes nothing"),
    ("organizer", "Organizer: also does everything in sessions and with incidents"),
    ("owner", "Owner: also decides who belongs to the event, and makes its keys"),
]


class Migration(migrations.Migration):
    """The table of organizers becomes a model, as it is, and gets a column. Everybody stays an organizer."""

    dependencies = [
        ("engagement", "0017_polls_of_an_age"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Membership",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True, serialize=False)),
                        (
                            "event",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="memberships",
                                to="engagement.event",
                            ),
                        ),
                        (
                            "user",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="memberships",
                                to=settings.AUTH_USER_MODEL,
                            ),
                        ),
                    ],
                    options={
                        "db_table": "engagement_event_organizers",
                        "unique_together": {("event", "user")},
                        "ordering": ["id"],
                        "verbose_name": "member",
                    },
                ),
                migrations.AlterField(
                    model_name="event",
                    name="organizers",
                    field=models.ManyToManyField(
                        blank=True,
                        related_name="organized_events",
                        through="engagement.Membership",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="membership",
            name="role",
            field=models.CharField(choices=ROLES, db_default="organizer", default="organizer", max_length=20),
        ),
    ]
