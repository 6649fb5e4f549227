from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engagement", "0016_compression"),
    ]

    operations = [
        migrations.AddField(
            model_name="engagementrow",
            name="poll_age_seconds",
            field=models.FloatField(help_text="Of the newest open poll; null where it was posted.", null=True),
        ),
        migrations.AddField(
            model_name="session",
            name="polling",
            field=models.JSONField(
                editable=False,
                help_text="What the next row must know of polls; null: of none that still counts.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="engagementrow",
            name="engagement_score",
            field=models.FloatField(
                help_text="0..1; null where no signal says it. Judging has the last word on what a poll says in it.",
                null=True,
            ),
        ),
    ]
