from django.db import migrations


class Migration(migrations.Migration):
    """A raw event is the value, its row the row; the table is called as before."""

    dependencies = [("engagement", "0004_meanings")]

    operations = [
        # In the state alone, as the table keeps its name: see anomalies 0002.
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RenameModel("RawEvent", "RawEventRow")])
    ]
