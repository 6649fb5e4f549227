import pytest

from anomalies.models import Anomaly
from conductor.screens.history import HistoryScreen, show_history
from conductor.tests import stage
from engagement.models import Session

pytestmark = pytest.mark.django_db


def titles(screen: HistoryScreen) -> list[str]:
    return [incident.description for incident in screen.page]


@pytest.fixture
def incidents(session) -> list[Anomaly]:
    return [
        stage.incident(session, "WARNING", anomaly_type="MASS_EXIT", description="first"),
        stage.incident(session, "CRITICAL", seconds=90, description="second"),
    ]


def test_history_is_newest_first_and_of_one_session(event, session, incidents):
    stage.incident(stage.live_session(event, "Beside"), description="beside")
    screen = show_history(session, {})
    assert (titles(screen), screen.is_narrowed) == (["second", "first"], False)


@pytest.mark.parametrize(
    ("wishes", "found"),
    [
        ({"severity": "WARNING"}, ["first"]),
        ({"anomaly_type": "SUDDEN_DROP"}, ["second"]),
        ({"severity": "WARNING", "anomaly_type": "SUDDEN_DROP"}, []),
    ],
)
def test_filters_narrow_the_history_and_remember_what_was_chosen(session, incidents, wishes, found):
    screen = show_history(session, wishes)
    assert (titles(screen), screen.is_narrowed) == (found, True)
    assert {each.name: each.chosen for each in screen.filters} == {"severity": "", "anomaly_type": "", **wishes}


@pytest.mark.parametrize("wishes", [{"severity": "nonsense"}, {"severity": ""}, {"status": "open"}, {"page": "x"}])
def test_wish_that_makes_no_sense_narrows_nothing(session, incidents, wishes):
    screen = show_history(session, wishes)
    assert (titles(screen), screen.is_narrowed) == (["second", "first"], False)


def test_history_comes_a_page_at_a_time(session: Session):
    for second in range(51):
        stage.incident(session, seconds=second)
    assert [len(show_history(session, {"page": page}).page) for page in ("1", "2", "9")] == [50, 1, 1]
