from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("anomalies", "0002_detector_memory"),
        ("engagement", "0005_raw_event_row"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="anomaly",
            index=models.Index(fields=["event", "timestamp"], name="idx_anomaly_event"),
        ),
    ]
