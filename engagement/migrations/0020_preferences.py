import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0019_first_owners"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Preferences",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="preferences",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("zone", models.CharField(blank=True, max_length=100, verbose_name="time zone")),
                (
                    "clock",
                    models.CharField(
                        blank=True, choices=[("24", "24 hours, as 14:05"), ("12", "12 hours, as 2:05 PM")], max_length=2
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "preferences",
            },
        ),
    ]
