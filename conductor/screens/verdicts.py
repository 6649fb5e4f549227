"""What people found alerts to be: by any way to group them, and of an event beside its sensitivity."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from django.db.models import CharField, Count, F, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, TruncMonth

from anomalies.models import Anomaly, AnomalyQuerySet
from anomalies.precision import Line, Tally, tally_by

UNJUDGED = Q(review=Anomaly.Review.UNREVIEWED)
REAL = Count("id", filter=Q(review=Anomaly.Review.CONFIRMED))
FALSE = Count("id", filter=Q(review=Anomaly.Review.FALSE_ALARM))
OPEN = Count("id", filter=UNJUDGED)
# Of an alert that does not say at which it was found, that of now.
SENSITIVITY = Coalesce(KeyTextTransform("sensitivity", "metadata"), F("event__sensitivity"), output_field=CharField())


def reviewable(event_id: UUID | None = None) -> AnomalyQuerySet:
    """Return the alerts that can be settled: those of sessions that were not erased."""
    found = Anomaly.objects.filter(session__erased_at=None)
    return found if event_id is None else found.filter(event_id=event_id)


def tally_verdicts(event_id: UUID | None = None) -> Mapping[str, Sequence[Line]]:
    """Return what the verdicts come to: by type, severity, event, sensitivity and month; one query."""
    found = reviewable(event_id).annotate(at_sensitivity=SENSITIVITY, month=TruncMonth("timestamp")).order_by()
    counts = found.values("anomaly_type", "severity", "event__name", "at_sensitivity", "month").annotate(
        real=REAL, false=FALSE, open=OPEN
    )
    return tally_by(
        (
            {
                "Type": Anomaly.Type(each["anomaly_type"]).label,
                "Severity": Anomaly.Severity(each["severity"]).label,
                "Event": each["event__name"],
                "Sensitivity": each["at_sensitivity"].capitalize(),
                "Month": f"{each['month']:%Y-%m}",
            },
            Tally(each["real"], each["false"], each["open"]),
        )
        for each in counts
    )


def read_tallies(event_ids: Collection[UUID]) -> dict[UUID, Tally]:
    """Return what people found of the alerts of each event at the sensitivity that it has now; one query."""
    found = reviewable().filter(event_id__in=event_ids).exclude(UNJUDGED).annotate(at_sensitivity=SENSITIVITY)
    counts = (
        found.filter(at_sensitivity=F("event__sensitivity"))
        .order_by()
        .values("event_id")
        .annotate(real=REAL, false=FALSE)
    )
    tallies = {each["event_id"]: Tally(each["real"], each["false"]) for each in counts}
    return {id_: tallies.get(id_, Tally()) for id_ in event_ids}
