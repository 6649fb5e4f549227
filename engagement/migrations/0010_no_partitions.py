from typing import Any

from django.db import migrations, models

PARTITIONS = 16


def restore_partitions(apps: Any, schema_editor: Any) -> None:
    Session = apps.get_model("engagement", "Session")
    for id_ in Session._base_manager.values_list("id", flat=True).iterator():
        Session._base_manager.filter(id=id_).update(partition=id_.int % PARTITIONS)


class Migration(migrations.Migration):
    dependencies = [("engagement", "0009_upload")]

    operations = [
        migrations.RemoveIndex(model_name="session", name="unsettled_by_partition"),
        migrations.AlterField(
            model_name="session",
            name="partition",
            field=models.PositiveSmallIntegerField(editable=False, null=True),
        ),
        migrations.RunPython(migrations.RunPython.noop, restore_partitions),
        migrations.RemoveField(model_name="session", name="partition"),
        # Room in each page for what sweeps write: a new version beside the old one touches no index.
        migrations.RunSQL(
            "ALTER TABLE engagement_session SET (fillfactor = 60)",
            "ALTER TABLE engagement_session RESET (fillfactor)",
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                condition=models.Q(("settled_at", None), models.Q(("status", "scheduled"), _negated=True)),
                fields=["event"],
                name="unsettled_by_event",
            ),
        ),
    ]
