"""Average engagement rows over buckets of time, in the database."""

from datetime import timedelta
from typing import Any

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Avg, Count, DateTimeField, F, Func, QuerySet, Value

from engagement.models import EngagementRowQuerySet
from engagement.readings import MEASURED

MEANS = ("engagement_score", *MEASURED)


def in_buckets(rows: EngagementRowQuerySet, width: timedelta) -> QuerySet[Any, Any]:
    """Return one dict a bucket that has rows, oldest first: its start as `bucket`, `rows`, the means, `late`.

    A bucket counts from Monday 2000-01-03 UTC, so the same width always cuts at the same moments. A mean is
    taken over the rows that know the signal, and is None where none does.
    """
    start = Func(Value(width), F("timestamp"), function="time_bucket", output_field=DateTimeField())
    means = {f"mean_{name}": Avg(name) for name in MEANS}
    return (
        rows.order_by()
        .values(bucket=start)
        .annotate(rows=Count("timestamp"), any_late=BoolOr("late"), **means)
        .order_by("bucket")
    )
