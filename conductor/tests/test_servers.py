"""The suite's own servers are reached only by a test that asks for them."""

import psycopg
import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings

from conductor import wakeups
from conductor.tests.servers import NOT_ASKED_FOR


def reach_redis():
    wakeups.DUE.release()


def reach_the_channel_layer():
    async_to_sync(get_channel_layer().group_send)("group", {"type": "message"})


def reach_postgresql():
    psycopg.connect(settings.DATABASE_URL).close()


@pytest.mark.parametrize("reach", [reach_redis, reach_the_channel_layer, reach_postgresql])
def test_a_test_that_does_not_ask_is_told_how(reach):
    with pytest.raises(pytest.fail.Exception, match=NOT_ASKED_FOR):
        reach()


@pytest.mark.servers
def test_a_test_that_asks_reaches_them():
    reach_redis()
    reach_the_channel_layer()
    reach_postgresql()


def test_a_test_that_uses_the_database_has_asked(db, request):
    assert request.node.get_closest_marker("servers")
    reach_redis()
