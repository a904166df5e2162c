"""Parsing batches of responses."""

import pickle

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.labels.batches import PARSED, ParseResponses
from semtel_dagster.labels.fingerprint import parser_fingerprint
from semtel_dagster.tables import RESPONSES
from tests.labels.builders import LEVEL, TOPIC, classifier

BOTH = classifier(TOPIC, LEVEL)


def responses(*raw: str | None, status: str = "answered", error: str | None = None) -> pa.RecordBatch:
    rows = [
        {
            "content_hash": f"{i:032x}",
            "prompt_fingerprint": "p",
            "model": "m",
            "raw_text": text,
            "status": status,
            "error": error,
        }
        for i, text in enumerate(raw)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=RESPONSES)


def parsed(*batches: pa.RecordBatch) -> list[dict]:
    return pa.Table.from_batches(list(ParseResponses(BOTH)(iter(batches))), schema=PARSED).to_pylist()


def test_a_response_becomes_one_row_per_task():
    assert parsed(responses('{"topic": "food", "level": "medium"}')) == [
        {
            "content_hash": "0" * 32,
            "task": task,
            "label": label,
            "score": None,
            "label_status": status,
            "reason": None,
            "confidence": None,
            "prompt_fingerprint": "p",
            "parser_fingerprint": parser_fingerprint(BOTH),
            "model": "m",
        }
        for task, label, status in [("topic", "food", "exact"), ("level", "intermediate", "matched")]
    ]


def test_a_failed_response_is_unanswered_with_its_error():
    rows = parsed(responses(None, status="failed", error="content_filter 400"))
    assert [(row["label_status"], row["reason"], row["label"]) for row in rows] == [
        ("unanswered", "content_filter 400", None)
    ] * 2


def test_an_answer_without_text_is_invalid():
    assert {(row["label_status"], row["reason"]) for row in parsed(responses(None, ""))} == {("invalid", "empty")}


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(['{"topic": "food", "level": "expert"}', "food", "", "level: 2", "?"]), max_size=12),
    st.data(),
)
def test_the_rows_do_not_depend_on_how_they_are_batched(raw, data):
    whole = responses(*raw)
    cut = data.draw(st.integers(0, len(raw)))
    assert parsed(whole) == parsed(whole.slice(0, cut), whole.slice(cut))


def test_the_function_travels_to_a_worker():
    function = pickle.loads(pickle.dumps(ParseResponses(BOTH)))
    assert function == ParseResponses(BOTH)
    assert function.tasks == ("topic", "level")
    assert function.schema == PARSED
