"""The admin of anomalies: the facts to read, and a person's judgement of them to write."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.forms import Form, ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from anomalies.life import InvalidTransition
from anomalies.models import Actor, Anomaly
from engagement.moments import read_moment
from engagement.readings import Signal
from engagement.wording import signal_of, write_change, write_duration, write_evidence, write_score

# What a reviewer can say: the button's name → the model's method and the word for the history.
REVIEWS: dict[str, tuple[Callable[[Anomaly, Actor, datetime], None], str]] = {
    "acknowledge": (Anomaly.acknowledge, "Acknowledged"),
    "confirm": (Anomaly.confirm, "Confirmed"),
    "dismiss": (Anomaly.dismiss, "Dismissed as a false alarm"),
}


def write_known(value: float | None, write: Callable[[float], str], unknown: str = "–") -> str:
    return unknown if value is None else write(value)


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """What one signal did, in words."""

    label: str
    observed: str
    expected: str
    change: str
    moved: bool


@dataclass(frozen=True, slots=True)
class LifeChange:
    """One change in the life of an incident, in words."""

    at: datetime
    change: str
    type: str
    severity: str
    anomaly_score: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the detail page shows above the form, in words and from top to bottom."""

    advice: str
    current: str
    expected: str
    change: str
    audience: int | None  # people
    anomaly_score: str
    hst_score: str
    z_score: str
    signals: Sequence[EvidenceLine]  # those that moved come first
    history: Sequence[LifeChange]
    raw: str  # JSON


def show_evidence(anomaly: Anomaly) -> Evidence:
    """Return the evidence of an anomaly; an old one may have been kept with less of it."""
    metadata = anomaly.metadata
    signals = metadata.get("signals", {})
    names = sorted(signals, key=lambda name: not signals[name].get("moved"))
    return Evidence(
        advice=metadata.get("advice", ""),
        current=write_known(anomaly.current_engagement, write_score),
        expected=write_known(anomaly.expected_engagement, write_score),
        change=write_known(anomaly.deviation, lambda deviation: write_change(-deviation)),
        audience=metadata.get("audience"),
        anomaly_score=write_score(anomaly.anomaly_score),
        hst_score=write_known(metadata.get("hst_score"), write_score),
        z_score=write_known(metadata.get("z_score"), write_score),
        signals=[_show_signal(signal_of(name), signals[name]) for name in names],
        history=[_show_change(change) for change in metadata.get("history", [])],
        raw=json.dumps({"signals": anomaly.signals, "metadata": metadata}, indent=2, ensure_ascii=False),
    )


def _show_signal(signal: Signal, evidence: Mapping[str, Any]) -> EvidenceLine:
    write = partial(write_evidence, signal=signal)
    return EvidenceLine(
        label=signal.long_label,
        observed=write_known(evidence.get("observed"), write, "not measured"),
        expected=write_known(evidence.get("expected"), write, "not measured"),
        change=write_known(evidence.get("change"), write_change),
        moved=evidence.get("moved", False),
    )


def _show_change(change: Mapping[str, Any]) -> LifeChange:
    return LifeChange(
        at=read_moment(change["at"]),
        change=change["change"],
        type=dict(Anomaly.Type.choices).get(change.get("anomaly_type", ""), ""),
        severity=change.get("severity", ""),
        anomaly_score=write_known(change.get("anomaly_score"), write_score),
        reason=change.get("reason", ""),
    )


def _reviewer(request: HttpRequest) -> Actor:
    assert isinstance(request.user, User), "the admin lets nobody in who is not logged in"
    return Actor.of(request.user)


@admin.register(Anomaly)
class AnomalyAdmin(admin.ModelAdmin[Anomaly]):
    list_display = ["type", "severity_mark", "when", "session", "status", "review", "lasted", "score"]
    list_filter = ["anomaly_type", "severity", "status", "review", ("event", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["session"]
    date_hierarchy = "timestamp"
    search_fields = ["session__title", "event__name", "description", "id"]
    search_help_text = "A session's title, an event's name, words of the explanation, or an id"
    show_full_result_count = False
    actions = ["acknowledge", "confirm", "dismiss"]
    fieldsets = [
        ("Facts", {"fields": ["id", "session", "event", "timestamp", "resolved_at", "lasted", "status"]}),
        ("Review", {"fields": ["review", "reviewed_by", "reviewed_at", "note"]}),
    ]
    readonly_fields = [
        "id", "session", "event", "timestamp", "resolved_at", "lasted", "status",
        "review", "reviewed_by", "reviewed_at",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Anomaly]:
        """Those of erased sessions go a little later than these."""
        return super().get_queryset(request).filter(session__erased_at=None)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Anomaly | None = None) -> bool:
        return False  # an anomaly goes with its session

    @admin.display(description="type", ordering="anomaly_type")
    def type(self, anomaly: Anomaly) -> str:
        return anomaly.get_anomaly_type_display()

    @admin.display(description="severity", ordering="severity")
    def severity_mark(self, anomaly: Anomaly) -> str:
        return format_html(
            '<span class="severity severity-{}">{}</span>',
            anomaly.severity.lower(),
            anomaly.get_severity_display(),
        )

    @admin.display(description="when (UTC)", ordering="timestamp")
    def when(self, anomaly: Anomaly) -> str:
        return f"{anomaly.timestamp:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="lasted")
    def lasted(self, anomaly: Anomaly) -> str:
        return "goes on" if anomaly.duration is None else write_duration(anomaly.duration)

    @admin.display(description="anomaly score", ordering="anomaly_score")
    def score(self, anomaly: Anomaly) -> str:
        return write_score(anomaly.anomaly_score)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        context["evidence"] = show_evidence(options["obj"])
        return super().render_change_form(request, context, *args, **options)

    def save_model(self, request: HttpRequest, anomaly: Anomaly, form: ModelForm[Anomaly], change: bool) -> None:
        """Write the note and the review through the model; nothing else of an anomaly can be edited."""
        current = Anomaly.objects.select_for_update().get(id=anomaly.id, timestamp=anomaly.timestamp)
        if "note" in form.changed_data:
            current.annotate(form.cleaned_data["note"], _reviewer(request), timezone.now())
        if request.POST.get("_review") in REVIEWS:
            review, _ = REVIEWS[request.POST["_review"]]
            try:
                review(current, _reviewer(request), timezone.now())
            except InvalidTransition as refused:
                self.message_user(request, f"Not done: {refused}.", messages.WARNING)

    def construct_change_message(
        self, request: HttpRequest, form: Form, formsets: Iterable[Any], add: bool = False
    ) -> Any:
        if (review := request.POST.get("_review", "")) in REVIEWS:
            return f"{REVIEWS[review][1]}."
        return super().construct_change_message(request, form, formsets, add)

    @admin.action(description="Acknowledge: somebody is on it", permissions=["change"])
    def acknowledge(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> None:
        self._review(request, anomalies, "acknowledge")

    @admin.action(description="Confirm as real incidents", permissions=["change"])
    def confirm(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> None:
        self._review(request, anomalies, "confirm")

    @admin.action(description="Dismiss as false alarms", permissions=["change"])
    def dismiss(self, request: HttpRequest, anomalies: QuerySet[Anomaly]) -> None:
        self._review(request, anomalies, "dismiss")

    @transaction.atomic
    def _review(self, request: HttpRequest, anomalies: QuerySet[Anomaly], name: str) -> None:
        review, word = REVIEWS[name]
        done, refusals = 0, []
        # Locked, as the sweep may be about to resolve the same incidents.
        for anomaly in anomalies.select_for_update(of=("self",)):
            try:
                review(anomaly, _reviewer(request), timezone.now())
            except InvalidTransition as refused:
                refusals.append(f"{anomaly}: {refused}.")
            else:
                self.log_change(request, anomaly, f"{word}.")
                done += 1
        if done:
            self.message_user(request, f"{word}: {done}.")
        for refusal in refusals:
            self.message_user(request, refusal, messages.WARNING)
