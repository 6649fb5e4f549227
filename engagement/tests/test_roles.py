"""Roles of members, and how the organizers of before got theirs."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from engagement.models import Event, Membership, Role

BEFORE, AFTER = ("engagement", "0017_polls_of_an_age"), ("engagement", "0019_first_owners")


def test_a_role_covers_what_is_below_it():
    assert [[role.covers(least) for least in Role] for role in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert Role.at_least(Role.ORGANIZER) == [Role.ORGANIZER, Role.OWNER]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "counts"), [(None, [0, 0, 0]), ("viewer", [1, 0, 0]), ("organizer", [1, 1, 0]), ("owner", [1, 1, 1])]
)
def test_events_are_found_by_what_one_may_do_there(role, counts):
    event, user = Event.objects.create(name="Spring school"), User.objects.create(username="ada")
    Event.objects.create(name="Another").organizers.add(User.objects.create(username="leo"))
    if role:
        event.memberships.create(user=user, role=role)

    assert [Event.objects.for_organizer(user, least).count() for least in Role] == counts
    assert event.role_of(user) == role


@pytest.mark.django_db
def test_administrators_may_do_everything_and_who_is_nobody_nothing():
    event = Event.objects.create(name="Spring school")
    root = User.objects.create(username="root", is_superuser=True)
    gone = User.objects.create(username="gone", is_active=False)
    event.memberships.create(user=gone, role=Role.OWNER)

    assert event.role_of(root) is Role.OWNER
    assert event.role_of(gone) is event.role_of(AnonymousUser()) is None


@pytest.mark.django_db
def test_who_is_added_to_the_organizers_is_one():
    event, user = Event.objects.create(name="Spring school"), User.objects.create(username="ada")

    event.organizers.add(user)

    assert Membership.objects.get().role == Role.ORGANIZER


@pytest.mark.django_db
def test_the_first_whose_login_works_becomes_the_owner():
    first, second, third = (User.objects.create(username=name, is_active=name != "a") for name in "abc")
    school, summit = Event.objects.create(name="Spring school"), Event.objects.create(name="Summit")
    Event.objects.create(name="Nobody's")
    for user in (first, second, third):
        school.organizers.add(user)
    summit.organizers.add(first)

    import_module("engagement.migrations.0019_first_owners").make_owners(apps, connection.schema_editor())

    found = Membership.objects.values_list("event__name", "user__username", "role")
    assert set(found) == {
        ("Spring school", "a", "organizer"),
        ("Spring school", "b", "owner"),
        ("Spring school", "c", "organizer"),
        ("Summit", "a", "owner"),
    }


@pytest.mark.django_db(transaction=True)
def test_roles_go_and_come_and_nobody_is_lost():
    event, user = Event.objects.create(name="Spring school"), User.objects.create(username="ada")
    event.organizers.add(user)
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        MigrationExecutor(connection).migrate([BEFORE])
        with connection.cursor() as cursor:
            cursor.execute("SELECT event_id, user_id FROM engagement_event_organizers")
            assert cursor.fetchall() == [(event.id, user.id)]
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s",
                ["engagement_event_organizers"],
            )
            assert {name for (name,) in cursor.fetchall()} == {"id", "event_id", "user_id"}
    finally:
        MigrationExecutor(connection).migrate(newest)

    assert Membership.objects.get().role == Role.OWNER
