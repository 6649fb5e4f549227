"""The admin of failed logins: whom they lock, and how to unlock them; the other pages are beside their models."""

from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest


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
