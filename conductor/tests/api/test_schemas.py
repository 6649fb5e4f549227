"""What REST takes and answers is what the table of signals says."""

import pytest
from pydantic import ValidationError

from conductor.api import answers
from conductor.api.schemas import Signals
from engagement.readings import BY_NAME, MEASURED, MOST


def test_signals_object_takes_what_is_measured_and_shows_all_of_it():
    example = Signals.model_config["json_schema_extra"]["examples"][0]

    assert set(Signals.model_fields) == set(example) == {"timestamp", *MEASURED}


@pytest.mark.parametrize("name", MEASURED)
def test_signal_is_taken_from_0_to_its_bound(name):
    most = MOST[BY_NAME[name].kind]

    assert [getattr(Signals(**{name: value}), name) for value in (None, 0, most)] == [None, 0, most]
    for value in (-1, most + 1):
        with pytest.raises(ValidationError, match=f"1 validation error for Signals\n{name}\n"):
            Signals(**{name: value})


def test_rows_and_buckets_answer_what_is_measured():
    fields = {"timestamp", "engagement_score", "level", "late", *MEASURED}

    assert set(answers.EngagementRow.model_fields) == fields
    assert set(answers.EngagementBucket.model_fields) == fields | {"rows"}
