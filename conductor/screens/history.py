"""The history of one session: every incident, a page at a time, narrowed by severity and type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import TextChoices

from anomalies.models import Anomaly
from engagement.models import Session

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """A field by which the history can be narrowed."""

    name: str  # the field's, and that of the address's parameter
    label: str
    choices: Sequence[tuple[str, str]]  # each value and its word
    chosen: str  # a value; empty where any will do


@dataclass(frozen=True, slots=True)
class HistoryScreen:
    """One page of the incidents that the filters let through, newest first."""

    session: Session
    filters: Sequence[Filter]
    page: Page[Anomaly]

    @property
    def is_narrowed(self) -> bool:
        return any(each.chosen for each in self.filters)


def show_history(session: Session, wishes: Mapping[str, str]) -> HistoryScreen:
    """Return what the parameters of the page's address wish for; a wish that makes no sense narrows nothing."""
    filters = [
        _filter("severity", "Severity", Anomaly.Severity, wishes),
        _filter("anomaly_type", "Type", Anomaly.Type, wishes),
    ]
    wanted = {each.name: each.chosen for each in filters if each.chosen}
    incidents = Anomaly.objects.for_session(session).filter(**wanted)
    return HistoryScreen(session, filters, Paginator(incidents, PAGE_SIZE).get_page(wishes.get("page")))


def _filter(name: str, label: str, known: type[TextChoices], wishes: Mapping[str, str]) -> Filter:
    wish = wishes.get(name, "")
    return Filter(name, label, known.choices, wish if wish in known.values else "")
