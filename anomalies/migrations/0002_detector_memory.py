from django.db import migrations


class Migration(migrations.Migration):
    """The model's name says one thing: `detector_state` is what a session's page says of its detector."""

    dependencies = [("anomalies", "0001_initial")]

    operations = [
        migrations.AlterModelTable("DetectorState", "detector_memory"),
        # In the state alone: a RenameModel of its own renames the content type too, for which Django, on the way
        # back to zero, asks a column that is long gone.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RenameModel("DetectorState", "DetectorMemory")]
        ),
    ]
