"""The admin of what Django and its packages keep: failed logins, and how to unlock them; who changed what."""

from auditlog.models import LogEntry
from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from conductor.audit import tell_what, tell_who
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
