"""The audit trail: who changed what, on a page, in the admin, over REST or by a command.

django-auditlog finds the changes where a row is saved. What sweeps write goes past it, in SQL or in bulk. Who asks is
found out only when there is something to tell: its own middleware would work on every request, and believe whatever
`X-Forwarded-For` says.
"""

import sys
from collections.abc import Callable, Collection
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from asgiref.sync import iscoroutinefunction
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, Field, ManyToManyField, Model, OuterRef, QuerySet
from django.db.models.functions import Cast
from django.db.models.signals import m2m_changed, pre_save
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

from anomalies.models import Anomaly
from conductor.models import Channel, Platform
from engagement.models import ApiKey, BeaconToken, Event, Membership, Session

# Never a password, the digest of a key, or where a channel leads, which may be a secret; and of people no more than
# the name of their login.
FIELDS: dict[type[Model], list[str]] = {
    Event: ["name", "sensitivity", "raw_event_days", "row_days", "anomaly_days"],
    Membership: ["event", "user", "role"],
    ApiKey: ["event", "name", "revoked_at"],
    BeaconToken: ["session", "name", "origins", "revoked_at"],
    Session: ["event", "title", "starts_at", "ends_at", "breaks", "lateness_seconds"],
    Anomaly: ["status", "review", "note"],
    Channel: ["event", "user", "kind", "name", "types", "least_severity", "delay_seconds", "tells_end", "paused_at"],
    Platform: ["event", "kind", "name"],
    User: ["username", "is_active", "is_staff", "is_superuser"],
    Group: ["name"],
}
LISTS: dict[type[Model], list[str]] = {
    Event: ["organizers"],
    User: ["groups", "user_permissions"],
    Group: ["permissions"],
}
OPERATIONS = {"post_add": "add", "post_remove": "remove", "pre_clear": "remove"}

_asked: ContextVar[HttpRequest | None] = ContextVar("asked", default=None)


def begin() -> None:
    """Note from now on what is changed."""
    for model, fields in FIELDS.items():
        auditlog.register(model, include_fields=fields)
    for model, names in LISTS.items():
        for field in map(model._meta.get_field, names):
            assert isinstance(field, ManyToManyField)
            changed = partial(_note_list, field)
            m2m_changed.connect(changed, sender=field.remote_field.through, weak=False, dispatch_uid=f"audit {field}")
    pre_save.connect(_say_who, sender=LogEntry, dispatch_uid="audit")


@sync_and_async_middleware
def remembered(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Have the request at hand where a change is noted."""
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> HttpResponse:
            token = _asked.set(request)
            try:
                return await get_response(request)  # type: ignore[no-any-return]
            finally:
                _asked.reset(token)

        return answer_later

    def answer(request: HttpRequest) -> HttpResponse:
        token = _asked.set(request)
        try:
            return get_response(request)  # type: ignore[no-any-return]
        finally:
            _asked.reset(token)

    return answer


def _say_who(sender: type[LogEntry], instance: LogEntry, **_: object) -> None:
    """Fill in who changed it; as an id, which stays when the account is gone."""
    # A moment that a new row has not is None twice to auditlog.
    instance.changes = {
        name: change for name, change in instance.changes.items() if isinstance(change, dict) or change[0] != change[1]
    }
    request = _asked.get()
    user, caller = getattr(request, "user", None), getattr(request, "auth", None)
    if caller is not None:
        instance.additional_data = {"key": str(caller.key_id)}
    elif isinstance(user, User):
        instance.additional_data = {"login": user.pk}
        if User.objects.filter(pk=user.pk).exists():  # whoever deletes their own account is not there any more
            instance.actor_id = user.pk
    else:
        instance.additional_data = {"command": _name_command()}


def _name_command() -> str:
    name = Path(sys.argv[0]).name
    return f"{name} {sys.argv[1]}" if name == "manage.py" and len(sys.argv) > 1 else name


def _note_list(
    field: "ManyToManyField[Any, Any]",
    sender: type[Model],
    instance: Model,
    action: str,
    reverse: bool,
    pk_set: Collection[Any] | None,
    **_: object,
) -> None:
    """Note what joined or left a list, by ids; the entry is of the row whose list it is, whichever side was told."""
    operation = OPERATIONS.get(action)
    if operation is None or (operation == "remove" and sender in FIELDS):  # such a row says itself that it goes
        return
    if pk_set is None:
        here, there = field.m2m_field_name(), field.m2m_reverse_field_name()
        if reverse:
            here, there = there, here
        pk_set = sender._base_manager.filter(**{here: instance.pk}).values_list(there, flat=True)
    changed = sorted(pk_set)
    owners = field.model._base_manager.filter(pk__in=changed) if reverse else [instance]
    ids = [instance.pk] if reverse else changed
    for owner in owners if ids else []:
        LogEntry.objects.create(
            content_type=ContentType.objects.get_for_model(owner),
            object_pk=str(owner.pk),
            object_id=owner.pk if isinstance(owner.pk, int) else None,
            object_repr=str(owner),
            action=LogEntry.Action.UPDATE,
            changes={field.name: {"operation": operation, "ids": ids}},
        )


def forget(now: datetime) -> None:
    """Forget what was kept for long enough, and of what is gone everything but ids and moments."""
    old = LogEntry.objects.filter(timestamp__lte=now - timedelta(days=settings.AUDIT_DAYS))
    old._raw_delete(old.db)
    for model in FIELDS:
        _of_the_gone(model).update(object_repr="", changes=None)


def _of_the_gone(model: type[Model]) -> "QuerySet[LogEntry]":
    key = model._meta.pk
    assert isinstance(key, Field)
    # Without what was erased, also where its rows are still going.
    there = model._default_manager.filter(pk=Cast(OuterRef("object_pk"), key))
    entries: QuerySet[LogEntry] = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(model))
    return entries.exclude(object_repr="").filter(~Exists(there))


def tell_who(entry: LogEntry) -> str:
    """Return who changed it, in words."""
    if entry.actor is not None:
        return str(entry.actor.get_username())
    match entry.additional_data:
        case {"key": key}:
            return f"API key {ApiKey.objects.filter(id=key).first() or key}"
        case {"login": login}:
            return f"deleted user {login}"
        case {"command": command}:
            return str(command)
    return "–"


def tell_what(entry: LogEntry) -> list[str]:
    """Return the changes, a sentence each; of what is gone none."""
    return [_tell_change(entry, name, change) for name, change in (entry.changes or {}).items()]


def _tell_change(entry: LogEntry, name: str, change: Any) -> str:
    if not isinstance(change, dict):
        old, new = change
        return f"{name}: {old} → {new}"
    field = entry.content_type.model_class()._meta.get_field(name)
    known = field.related_model._base_manager.in_bulk(change["ids"])
    names = ", ".join(str(known.get(id_, f"deleted {id_}")) for id_ in change["ids"])
    return f"{name}: {'+' if change['operation'] == 'add' else '−'} {names}"
