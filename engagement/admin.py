"""The admin of events, their keys, their sessions and the tokens of those; what was measured is read-only."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db import transaction
from django.db.models import CASCADE, Count, Model, Q, QuerySet
from django.forms import BaseInlineFormSet, BaseModelFormSet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from engagement.cursors import Busy
from engagement.erasure import erase_events, erase_sessions
from engagement.models import ApiKey, BeaconToken, Erasure, Event, Membership, Role, Secret, Session
from engagement.moments import read_moment
from engagement.sessions import RefusedTimetable, check_timetable, write_breaks

M = TypeVar("M", bound=Model)
S = TypeVar("S", bound=Secret)


MOST_COUNTED = 100_000  # of each kind, so that nobody waits for the page


def count_doomed(doomed: QuerySet[Any]) -> dict[str, int | str]:
    """Count, by plural name, what a deletion of these rows takes along, without loading any of it."""
    counts: dict[str, int | str] = {}
    queue = [doomed]
    while queue:
        rows = queue.pop(0)
        name = str(rows.model._meta.verbose_name_plural)
        if name in counts:  # anomalies hang on their session and on its event
            continue
        count = rows.order_by()[: MOST_COUNTED + 1].count()
        counts[name] = count if count <= MOST_COUNTED else f"more than {MOST_COUNTED:,}"
        for relation in rows.model._meta.related_objects:
            if relation.on_delete is CASCADE:
                queue.append(relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": rows}))
    return {name: count for name, count in counts.items() if count}


class ErasingAdmin(admin.ModelAdmin[M]):
    """Erases instead of deleting, and says before how much goes along. Django would load every row to name it."""

    def erase(self, ids: Collection[UUID], by: str) -> None:
        raise NotImplementedError

    def get_deleted_objects(
        self, objs: Iterable[M], request: HttpRequest
    ) -> tuple[list[str], Any, set[str], list[str]]:
        names = [str(obj) for obj in objs]
        counts = count_doomed(self.model._base_manager.filter(pk__in=[obj.pk for obj in objs]))
        # Whoever may delete a session may delete its rows and anomalies, which nobody may delete by themselves.
        return names, counts, set(), []

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        self.erase([obj.pk], request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> None:
        self.erase(list(queryset.values_list("pk", flat=True)), request.user.get_username())

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Busy:
            return self._say_busy(request)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        try:
            with transaction.atomic():  # an action logs what it is about to delete
                return super().changelist_view(request, extra_context)
        except Busy:
            return self._say_busy(request)

    def _say_busy(self, request: HttpRequest) -> HttpResponse:
        self.message_user(request, "Nothing was deleted: a session is in use just now. Try again.", messages.ERROR)
        return redirect(request.get_full_path())


class ReadOnlyAdmin(admin.ModelAdmin[M]):
    """Facts: made elsewhere, and here to be read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class MembersFormSet(BaseInlineFormSet[Membership, Event, Any]):
    def add_fields(self, form: Any, index: int | None) -> None:
        """Name each field for who does not see the heads of the columns."""
        super().add_fields(form, index)
        for field in form.fields.values():
            field.widget.attrs["aria-label"] = str(field.label or "Member")

    def clean(self) -> None:
        """Refuse an event whose people are all something less than its owner."""
        super().clean()
        roles = [form.cleaned_data.get("role") for form in self.forms if form.cleaned_data.get("DELETE") is False]
        if roles and Role.OWNER not in roles:
            raise forms.ValidationError("An event always has an owner: make one of its members that.")


class MemberInline(admin.TabularInline[Membership, Event]):
    model = Membership
    formset = MembersFormSet
    fields = ["user", "role"]
    autocomplete_fields = ["user"]
    extra = 0


class ApiKeyInline(admin.TabularInline[ApiKey, Event]):
    model = ApiKey
    fields = ["name", "prefix", "created_at", "revoked_at"]
    readonly_fields = ["prefix", "created_at", "revoked_at"]
    extra = 0
    can_delete = False

    def has_change_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(ErasingAdmin[Event]):
    list_display = ["name", "organizer_names", "session_count", "created_at"]
    search_fields = ["name", "id"]
    ordering = ["name", "id"]  # also where a session's event is searched for, page by page
    fieldsets = [
        (None, {"fields": ["name", "sensitivity"]}),
        ("What is kept", {"fields": ["raw_event_days", "row_days", "anomaly_days"]}),
    ]
    radio_fields = {"sensitivity": admin.VERTICAL}
    inlines = [MemberInline, ApiKeyInline]

    def erase(self, ids: Collection[UUID], by: str) -> None:
        erase_events(ids, by, timezone.now())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        events = super().get_queryset(request).prefetch_related("organizers")
        return events.annotate(session_count=Count("sessions", filter=Q(sessions__erased_at=None)))

    @admin.display(description="organizers")
    def organizer_names(self, event: Event) -> str:
        return ", ".join(user.get_username() for user in event.organizers.all()) or "–"

    @admin.display(description="sessions", ordering="session_count")
    def session_count(self, event: Event) -> int:
        return int(getattr(event, "session_count"))  # noqa: B009  annotated by get_queryset

    def save_formset(self, request: HttpRequest, form: Any, formset: BaseModelFormSet[Any, Any], change: bool) -> None:
        """Save the new keys and show each secret once: only its digest is kept."""
        if formset.model is not ApiKey:
            super().save_formset(request, form, formset, change)
            return
        for key in formset.save(commit=False):
            secret = key.draw_secret()
            key.save(force_insert=True)
            self.message_user(
                request,
                format_html(
                    "The API key of “{}” is <code>{}</code> – copy it now, it is not stored and cannot be shown again.",
                    key.name,
                    secret,
                ),
                messages.WARNING,
            )


class SecretAdmin(ReadOnlyAdmin[S]):
    """What opens something is made elsewhere and never edited; here it is revoked."""

    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{get_permission_codename('change', self.opts)}")

    @admin.action(description="Revoke the selected %(verbose_name_plural)s", permissions=["revoke"])
    def revoke(self, request: HttpRequest, secrets: QuerySet[S]) -> None:
        names = []
        for secret in secrets.filter(revoked_at=None):
            secret.revoke(timezone.now())
            self.log_change(request, secret, "Revoked.")
            names.append(str(secret))
        self.message_user(request, f"Revoked: {', '.join(names) or 'none, all were revoked already'}.")


@admin.register(ApiKey)
class ApiKeyAdmin(SecretAdmin[ApiKey]):
    """Keys are made on their event's page."""

    list_display = ["name", "event", "prefix", "created_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter), ("event", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["event"]
    search_fields = ["name", "prefix", "event__name"]
    fields = ["name", "event", "prefix", "created_at", "revoked_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """Those of erased events go a little later than these."""
        return super().get_queryset(request).filter(event__erased_at=None)


@admin.register(BeaconToken)
class BeaconTokenAdmin(SecretAdmin[BeaconToken]):
    """Tokens are made on their session's page. Each stands in somebody's page, so whoever has it may write with it."""

    list_display = ["name", "session", "event", "written_origins", "prefix", "created_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter), ("session__event", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["session__event"]
    search_fields = ["name", "prefix", "origins", "session__title", "session__event__name"]
    fields = ["name", "session", "event", "written_origins", "prefix", "created_at", "revoked_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[BeaconToken]:
        return super().get_queryset(request).filter(session__erased_at=None, session__event__erased_at=None)

    @admin.display(ordering="session__event__name")
    def event(self, token: BeaconToken) -> Event:
        return token.session.event

    @admin.display(description="for pages of")
    def written_origins(self, token: BeaconToken) -> str:
        return ", ".join(token.origins)


class BreaksField(forms.Field):
    """Planned breaks as lines of two moments, stored as `Session.breaks` is."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 50})
    default_error_messages = {"line": "Line %(line)s is not two moments, such as 2026-03-02 10:00 to 2026-03-02 10:15."}

    def prepare_value(self, value: str | list[dict[str, str]] | None) -> str:
        if isinstance(value, str):  # what was typed, shown again beside its error
            return value
        return "\n".join(f"{_typed(b['starts_at'])} to {_typed(b['ends_at'])}" for b in value or [])

    def to_python(self, value: str | None) -> list[dict[str, str]]:
        breaks = []
        for number, line in enumerate((value or "").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                begin, end = (_aware(datetime.fromisoformat(moment.strip())) for moment in line.split(" to "))
            except ValueError:
                raise forms.ValidationError(self.error_messages["line"], code="line", params={"line": number}) from None
            breaks.append((begin, end))
        return write_breaks(breaks)


def _typed(moment: str) -> str:
    return f"{read_moment(moment):%Y-%m-%d %H:%M:%S}"


def _aware(moment: datetime) -> datetime:
    return moment if timezone.is_aware(moment) else moment.replace(tzinfo=UTC)


class SessionForm(forms.ModelForm[Session]):
    breaks = BreaksField(
        required=False,
        help_text="One a line: 2026-03-02 10:00 to 2026-03-02 10:15, in UTC unless an offset is written. "
        "No incident opens in a planned break.",
    )

    class Meta:
        model = Session
        fields = ["event", "title", "external_id", "starts_at", "ends_at", "breaks", "lateness_seconds"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        plan = {name: cleaned[name] for name in ("starts_at", "ends_at", "breaks") if name in cleaned}
        try:
            check_timetable(Session(**plan))
        except RefusedTimetable as refused:
            field, *rest = refused.path
            place = f"Break {int(rest[0]) + 1}: {rest[1]} " if rest else ""
            self.add_error(str(field), f"{place}{refused.detail}")
        return cleaned


@admin.register(Session)
class SessionAdmin(ErasingAdmin[Session]):
    form = SessionForm
    list_display = ["title", "event", "status", "detector_state", "starts_at", "created_at"]
    list_filter = ["status", "detector_state", ("event", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["event"]
    date_hierarchy = "created_at"
    search_fields = ["title", "external_id", "event__name", "id"]
    fieldsets = [
        (None, {"fields": ["event", "title", "external_id"]}),
        ("Plan", {"fields": ["starts_at", "ends_at", "breaks", "lateness_seconds"]}),
        ("What we know", {"fields": ["id", "status", "detector_state", "judged_until", "heard_at", "ended_at"]}),
    ]
    autocomplete_fields = ["event"]

    def erase(self, ids: Collection[UUID], by: str) -> None:
        erase_sessions(ids, by, timezone.now())

    def get_readonly_fields(self, request: HttpRequest, obj: Session | None = None) -> list[str]:
        facts = ["id", "status", "detector_state", "judged_until", "heard_at", "ended_at"]
        return facts if obj is None else [*facts, "event", "external_id", "lateness_seconds"]

    def get_fieldsets(self, request: HttpRequest, obj: Session | None = None) -> Any:
        return self.fieldsets if obj else self.fieldsets[:2]

    def view_on_site(self, session: Session) -> str:
        return reverse("session", args=[session.id])

    def save_model(self, request: HttpRequest, session: Session, form: SessionForm, change: bool) -> None:
        """Save only what was edited: the sweep moves the status and the cursor of the same row meanwhile."""
        if not change:
            session.save(force_insert=True)
        elif form.changed_data:
            session.save(update_fields=form.changed_data)


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin[Erasure]):
    """What was erased, and whether its rows are gone yet: facts, made by the deletion of something else."""

    list_display = ["kind", "target", "requested_at", "requested_by", "finished_at", "rows_erased"]
    fields = ["id", "kind", "target", "requested_at", "requested_by", "finished_at", "rows_erased"]
    list_filter = ["kind", ("finished_at", admin.EmptyFieldListFilter)]
    date_hierarchy = "requested_at"
    search_fields = ["target", "requested_by", "id"]
