"""What the settings say about batches is checked when they are read."""

import pytest
from pydantic import ValidationError

from semtel_dagster.settings import Settings

EAST = {"name": "east", "base_url": "http://127.0.0.1:1/v1", "model": "m"}
EMBEDDED = {"name": "small", "kind": "embedded"}


def settings(*endpoints, **batch):
    return Settings(endpoints=endpoints, batch=batch)


def test_batches_are_off_unless_asked_for():
    assert not Settings().batch.enabled
    assert settings(EAST, enabled=True).batch.enabled


@pytest.mark.parametrize("named", ["west", "small"])
def test_an_endpoint_that_takes_no_batches_is_refused_by_name(named):
    with pytest.raises(ValidationError, match=f"batch.endpoints names '{named}'"):
        settings(EAST, EMBEDDED, enabled=True, endpoints=(named,))


def test_the_embedded_model_alone_has_no_batches():
    with pytest.raises(ValidationError, match="needs an endpoint of kind openai or azure"):
        settings(EMBEDDED, enabled=True)
