from django.db import migrations

FILL = """
    UPDATE anomalies a SET acknowledged_at = COALESCE(reviewed_at, timestamp),
        acknowledged_by = COALESCE((SELECT username FROM auth_user u WHERE u.id = a.reviewed_by_id), '')
    WHERE status = 'acknowledged' AND acknowledged_at IS NULL
"""


class Migration(migrations.Migration):
    """What was acknowledged before says when and by whom, as far as that is known."""

    dependencies = [("anomalies", "0005_life_of_an_incident")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
