from typing import Any

from django.db import migrations
from django.db.models import Min


def make_owners(apps: Any, schema_editor: Any) -> None:
    """Make who has organized an event for longest its owner; the others stay what they were.

    Somebody whose login works, where there is such a one.
    """
    memberships = apps.get_model("engagement", "Membership").objects.using(schema_editor.connection.alias)
    for found in (memberships.filter(user__is_active=True), memberships.all()):
        without = found.exclude(event__in=memberships.filter(role="owner").values("event"))
        first = without.order_by().values("event").annotate(first=Min("id")).values_list("first", flat=True)
        memberships.filter(id__in=list(first)).update(role="owner")


class Migration(migrations.Migration):
    """Going back needs nothing: the column goes."""

    dependencies = [("engagement", "0018_roles")]

    operations = [migrations.RunPython(make_owners, migrations.RunPython.noop)]
