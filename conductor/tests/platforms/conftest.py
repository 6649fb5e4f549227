import pytest

from conductor.models import Platform
from conductor.tests import sweeping
from conductor.tests.platforms.payloads import make_platform


@pytest.fixture
def flags_down():
    sweeping.begin_anew()


@pytest.fixture
def by_zoom(event) -> Platform:
    return make_platform(event)


@pytest.fixture
def by_class(event) -> Platform:
    return make_platform(event, "bigbluebutton")
