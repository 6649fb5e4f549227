from django.db import migrations


class Migration(migrations.Migration):
    """Each sweep writes the memories it changed: where a page has room for the new one, no index is touched."""

    dependencies = [("anomalies", "0003_anomaly_by_event")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE detector_memory SET (fillfactor = 50)",
            "ALTER TABLE detector_memory RESET (fillfactor)",
        ),
    ]
