"""The admin of platforms, and of what Django and its packages keep: who fails to log in, and who changed what."""

from auditlog.models import LogEntry
from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt
from django.contrib import admin
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from conductor.audit import tell_what, tell_who
from conductor.models import Platform
from engagement.admin import ReadOnlyAdmin

admin.site.unregister(LogEntry)


@admin.register(LogEntry)
class AuditAdmin(ReadOnlyAdmin[LogEntry]):
    """Who changed what: to read, and nothing else."""

    list_display = ["timestamp", "who", "action", "content_type", "object_repr", "what"]
    list_display_links = ["timestamp"]
    list_select_related = ["actor", "content_type"]
    list_filter = ["action", ("content_type", admin.RelatedOnlyFieldListFilter)]
    date_hierarchy = "timestamp"
    search_fields = ["object_pk", "object_repr", "actor__username"]
    search_help_text = "An id, the name of what was changed, or a login"
    fields = ["timestamp", "who", "action", "content_type", "object_repr", "object_pk", "what"]
    show_full_result_count = False

    @admin.display(description="by")
    def who(self, entry: LogEntry) -> str:
        return tell_who(entry)

    @admin.display(description="changes")
    def what(self, entry: LogEntry) -> SafeString | str:
        return format_html_join("", "{}<br>", ([change] for change in tell_what(entry))) or "–"


@admin.register(AccessAttempt)
class FailedLoginAdmin(AccessAttemptAdmin):
    """A lock is a count of failures: whoever deletes these, unlocks."""

    list_display = ["username", "ip_address", "failures_since_start", "attempt_time", "path_info"]
    list_filter = ["attempt_time"]
    search_fields = ["username", "ip_address"]
    search_help_text = "A user name or an address"
    fieldsets = [(None, {"fields": ["username", "ip_address", "failures_since_start", "attempt_time", "path_info"]})]
    readonly_fields = ["username", "ip_address", "failures_since_start", "attempt_time", "path_info"]
    actions = ["unlock"]

    def has_change_permission(self, request: HttpRequest, obj: AccessAttempt | None = None) -> bool:
        return False

    @admin.action(description="Unlock: forget the selected failures", permissions=["delete"])
    def unlock(self, request: HttpRequest, failures: "QuerySet[AccessAttempt]") -> None:
        names = sorted({str(failure.username) for failure in failures})
        failures.delete()
        self.message_user(request, f"Unlocked: {', '.join(names)}.")


@admin.register(Platform)
class PlatformAdmin(ReadOnlyAdmin[Platform]):
    """Platforms are made on their event's page. Here it is seen which call, and one is deleted; no secret is shown."""

    list_display = ["name", "kind", "event", "created_at", "last_heard_at", "used", "ignored"]
    list_filter = ["kind", ("event", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["event"]
    search_fields = ["name", "event__name", "id"]
    fields = ["id", "name", "kind", "event", "created_at", "last_heard_at", "used", "ignored"]

    def has_delete_permission(self, request: HttpRequest, obj: Platform | None = None) -> bool:
        return request.user.has_perm("conductor.delete_platform")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Platform]:
        """Those of erased events go a little later than these."""
        platforms = super().get_queryset(request).filter(event__erased_at=None)
        return platforms.annotate(
            last_heard_at=Max("heard__last_at"), used=Sum("heard__used"), ignored=Sum("heard__ignored")
        )

    @admin.display(description="heard last", ordering="last_heard_at")
    def last_heard_at(self, platform: Platform) -> object:
        return getattr(platform, "last_heard_at")  # noqa: B009  annotated by get_queryset

    @admin.display(ordering="used")
    def used(self, platform: Platform) -> object:
        return getattr(platform, "used")  # noqa: B009

    @admin.display(ordering="ignored")
    def ignored(self, platform: Platform) -> object:
        return getattr(platform, "ignored")  # noqa: B009
