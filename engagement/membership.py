"""Say who belongs to an event, and as what: members, invitations, and that there is always an owner."""

from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import User
from django.core.signing import BadSignature, Signer
from django.db import transaction

from engagement.models import Event, Invitation, Membership, Role

INVITATION_LASTS = timedelta(days=7)
SALT = "engagement.membership.invitation"


class NoOwnerLeft(Exception):
    """It would leave the event without an owner."""


class InvalidInvitation(Exception):
    """The link was used, is too old, was withdrawn, or never was one."""


def create_event(name: str, owner: User) -> Event:
    """Return a new event that has an owner."""
    with transaction.atomic():
        event = Event.objects.create(name=name)
        Membership.objects.create(event=event, user=owner, role=Role.OWNER)
    return event


def add_member(event: Event, user: User, role: Role) -> bool:
    """Make somebody a member; return False where they are one already, and stay what they are."""
    return Membership.objects.get_or_create(event=event, user=user, defaults={"role": role})[1]


def change_role(event: Event, user_id: int, role: Role) -> None:
    """Give a member another role. Raises `Membership.DoesNotExist`, `NoOwnerLeft`."""
    with transaction.atomic():
        membership = _lock_member(event, user_id)
        if role is not Role.OWNER:
            _keep_an_owner(membership)
        membership.role = role
        membership.save(update_fields=["role"])


def remove_member(event: Event, user_id: int) -> None:
    """Let somebody be a member no more. Raises `Membership.DoesNotExist`, `NoOwnerLeft`."""
    with transaction.atomic():
        membership = _lock_member(event, user_id)
        _keep_an_owner(membership)
        membership.delete()
        # Or whoever was removed could come back by a link of their own.
        Invitation.objects.filter(event=event, invited_by_id=user_id, accepted_at=None).delete()


def _lock_member(event: Event, user_id: int) -> Membership:
    # The event's row, or two owners could each take the other's role at once. It is no lock for those who post.
    Event.objects.select_for_update(no_key=True).get(id=event.id)
    return Membership.objects.get(event=event, user_id=user_id)


def _keep_an_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(event_id=membership.event_id, role=Role.OWNER, user__is_active=True)
    if membership.role == Role.OWNER and not owners.exclude(id=membership.id).exists():
        raise NoOwnerLeft


def invite(event: Event, role: Role, note: str, by: User, now: datetime) -> tuple[Invitation, str]:
    """Return an invitation and what its link ends with, which is stored nowhere and can be had once."""
    invitation = Invitation.objects.create(
        event=event, role=role, note=note, invited_by=by, expires_at=now + INVITATION_LASTS
    )
    return invitation, Signer(salt=SALT).sign(invitation.id.hex)


def find_invitation(token: str, now: datetime) -> Invitation:
    """Return the invitation that a link leads to. Raises `InvalidInvitation`."""
    try:
        found = Invitation.objects.open(now).filter(id=UUID(Signer(salt=SALT).unsign(token)))
    except (BadSignature, ValueError):
        raise InvalidInvitation from None
    invitation = found.select_related("event", "invited_by").first()
    if invitation is None:
        raise InvalidInvitation
    return invitation


def accept_invitation(token: str, user: User, now: datetime) -> Event:
    """Make somebody a member by a link, which is used up by it. Raises `InvalidInvitation`.

    Who is a member already gets the role where it is the higher one: nobody loses by a link.
    """
    with transaction.atomic():
        invitation = find_invitation(token, now)
        # Of two at once, one finds nothing to accept.
        if not Invitation.objects.open(now).filter(id=invitation.id).update(accepted_at=now):
            raise InvalidInvitation
        role = Role(invitation.role)
        membership, is_new = Membership.objects.get_or_create(
            event=invitation.event, user=user, defaults={"role": role}
        )
        if not is_new and not Role(membership.role).covers(role):
            membership.role = role
            membership.save(update_fields=["role"])
    return invitation.event
