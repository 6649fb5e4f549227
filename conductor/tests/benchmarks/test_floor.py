"""The floor is measured on rows that are really stored."""

import os
from pathlib import Path

import pytest
from django.db import connection

from benchmarks import floor
from conductor.local.addresses import database_url
from engagement.models import EngagementRow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def url() -> str:
    return database_url(Path(os.environ["CONDUCTOR_DATA_DIR"]), connection.settings_dict["NAME"])


def test_floor_has_a_cost_in_each_part_and_leaves_nothing_behind(url, monkeypatch):
    monkeypatch.setattr(floor, "RIVER_ROWS", 500)
    found = floor.measure(url, copies=5)

    assert min(found.river, found.copy_client) > 0 <= found.copy_server
    assert found.all == found.river + found.copy_client + found.copy_server
    assert not EngagementRow.objects.exists()
    assert floor.TABLE not in connection.introspection.table_names()


def test_rows_of_the_floor_are_those_of_the_product():
    [batch] = floor._batches(1)
    assert (len(batch), {len(row) for row in batch}) == (floor.ROWS_A_COPY, {1 + len(floor.COLUMNS)})
    assert len({(row[1], row[2]) for row in batch}) == floor.ROWS_A_COPY
