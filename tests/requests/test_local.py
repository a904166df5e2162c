"""The embedded model behind the interface of an endpoint."""

import pytest

from semtel_dagster.settings import EndpointSettings
from tests.requests.builders import LABELS, plan, run, texts

pytestmark = pytest.mark.timeout(60)


class EchoModel:
    """A local model that answers with the length of the transcript, and chokes on one word."""

    name = "echo-1"

    def __init__(self):
        self.batches = []

    def answer(self, prompt, transcripts):
        if any("choke" in text for text in transcripts):
            raise ValueError("SECRET transcript")
        self.batches.append(len(transcripts))
        return [f'{{"colour": "{LABELS[len(text) % 3]}"}}' for text in transcripts]


def broken_model():
    raise OSError("weights are missing")


def test_the_embedded_model_answers_behind_the_same_interface(tmp_path):
    embedded = EndpointSettings(name="embedded", kind="embedded")
    a_plan = plan(tmp_path, embedded, local_model=EchoModel)
    table, figures = run(a_plan, texts(500))
    assert set(table["model"].to_pylist()) == {"echo-1"}
    assert set(table["status"].to_pylist()) == {"answered"}
    assert (figures.calls, figures.cost_usd) == (500, 0.0)
    assert run(a_plan, texts(500))[1].calls == 0


def test_one_text_that_breaks_the_embedded_model_fails_alone(tmp_path):
    embedded = EndpointSettings(name="embedded", kind="embedded")
    table, figures = run(plan(tmp_path, embedded, local_model=EchoModel), [*texts(20), "choke"])
    assert figures.failed == 1
    assert {row["error"] for row in table.to_pylist()} == {None, "local_model_ValueError"}


def test_an_embedded_model_that_cannot_be_made_is_an_error(tmp_path):
    embedded = EndpointSettings(name="embedded", kind="embedded")
    with pytest.raises(OSError, match="weights are missing"):
        run(plan(tmp_path, embedded, local_model=broken_model), texts(3))
