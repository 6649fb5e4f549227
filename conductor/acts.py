"""What a person may do with an incident, by a click or over REST."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django import forms

from anomalies.life import MAX_SNOOZE_MINUTES, Action, InvalidTransition, Tried, snooze_until
from anomalies.models import Actor, Anomaly
from engagement.limits import MAX_TEXT

Details = Mapping[str, Any]  # note, minutes, tried, latest: those that an action needs
Doing = Callable[[Anomaly, Details, Actor, datetime], None]


class NoBreakPlanned(InvalidTransition):
    """There is nothing that a snooze without minutes could last until."""


def _snooze(anomaly: Anomaly, details: Details, by: Actor, now: datetime) -> None:
    until = snooze_until(details.get("minutes"), anomaly.session.planned_breaks, now)
    if until is None:
        raise NoBreakPlanned("no break is planned from here on")
    anomaly.snooze(until, by, now, _note(details))


def _note(details: Details) -> str:
    return details.get("note") or ""


ACTS: dict[Action, Doing] = {
    Action.ACKNOWLEDGE: lambda anomaly, details, by, now: anomaly.acknowledge(by, now, _note(details)),
    Action.SNOOZE: _snooze,
    Action.CONFIRM: lambda anomaly, details, by, now: anomaly.confirm(by, now, _note(details)),
    Action.DISMISS: lambda anomaly, details, by, now: anomaly.dismiss(by, now, _note(details)),
    Action.TRIED: lambda anomaly, details, by, now: anomaly.tell_tried(details["tried"], by, now, _note(details)),
    Action.NOTE: lambda anomaly, details, by, now: anomaly.annotate(_note(details), by, now),
    Action.UNDO: lambda anomaly, details, by, now: anomaly.undo(by, now, details.get("latest"), _note(details)),
    Action.REOPEN: lambda anomaly, details, by, now: anomaly.reopen(by, now, _note(details)),
}


class ActionForm(forms.Form):
    """What a click may bring along."""

    note = forms.CharField(required=False, max_length=MAX_TEXT)
    minutes = forms.IntegerField(required=False, min_value=1, max_value=MAX_SNOOZE_MINUTES)
    tried = forms.ChoiceField(required=False, choices=[(each.value, each.value) for each in Tried])
    latest = forms.IntegerField(required=False)  # the action that an undo means

    def __init__(self, action: Action, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.fields["tried"].required = action == Action.TRIED


class ActionConverter:
    """An action in an address."""

    regex = "|".join(Action)

    def to_python(self, value: str) -> Action:
        return Action(value)

    def to_url(self, value: str) -> str:
        return str(value)
