from typing import Any

from django.db import migrations


def enable(apps: Any, schema_editor: Any) -> None:
    schema_editor.connection.enable_compression()


def disable(apps: Any, schema_editor: Any) -> None:
    schema_editor.connection.disable_compression()


class Migration(migrations.Migration):
    """Nothing where there is no TimescaleDB, or not its community edition."""

    dependencies = [("engagement", "0015_buckets_of_optional_signals")]

    operations = [migrations.RunPython(enable, disable)]
