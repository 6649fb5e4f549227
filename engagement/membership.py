"""Say who belongs to an event, and as what."""

from django.contrib.auth.models import User
from django.db import transaction

from engagement.models import Event, Membership, Role


def create_event(name: str, owner: User) -> Event:
    """Return a new event that has an owner."""
    with transaction.atomic():
        event = Event.objects.create(name=name)
        Membership.objects.create(event=event, user=owner, role=Role.OWNER)
    return event
