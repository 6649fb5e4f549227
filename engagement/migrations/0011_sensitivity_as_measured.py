from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("engagement", "0010_no_partitions")]

    operations = [
        migrations.AlterField(
            model_name="event",
            name="sensitivity",
            field=models.CharField(
                choices=[
                    ("calm", "Calm: finds 17 of 20 incidents, about one false alarm in 60 hours"),
                    ("normal", "Normal: finds 9 of 10 incidents, about one false alarm in 30 hours"),
                    ("sensitive", "Sensitive: finds more of the slow declines, about one false alarm in 7 hours"),
                ],
                default="normal",
                help_text="How readily an incident opens. A change counts from the next rows on.",
                max_length=20,
            ),
        ),
    ]
