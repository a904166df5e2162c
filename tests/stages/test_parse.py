"""The parse stage: every conversation of a partition gets a row for every task."""

import polars as pl
import pyarrow as pa

from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.labels.batches import ParseResponses
from semtel_dagster.stages.parse import parse
from semtel_dagster.tables import DUPLICATE_GROUPS, LABELS, RESPONSES
from tests.labels.builders import LEVEL, TOPIC, classifier

ENGINE = PolarsEngine()
PARSER = ParseResponses(classifier(TOPIC, LEVEL))


def member(conversation_id: str, content_hash: str, weight: float = 1.0, **columns: str) -> dict:
    return {"conversation_id": conversation_id, "content_hash": content_hash, "sampling_weight": weight, **columns}


def response(content_hash: str, raw_text: str | None, status: str = "answered", error: str | None = None) -> dict:
    return {
        "content_hash": content_hash,
        "raw_text": raw_text,
        "status": status,
        "error": error,
        "model": "m",
        "prompt_fingerprint": "p",
    }


def labels(members: list[dict], answers: list[dict]) -> pl.DataFrame:
    groups = ENGINE.from_arrow(pa.Table.from_pylist(members, schema=DUPLICATE_GROUPS))
    responses = ENGINE.from_arrow(pa.Table.from_pylist(answers, schema=RESPONSES))
    return parse(responses, groups, PARSER, ENGINE).to_native().collect()


def test_the_table_has_exactly_the_contracts_columns_and_types():
    table = labels([member("a", "h")], [response("h", "{}")]).to_arrow(compat_level=pl.CompatLevel.oldest())
    assert table.schema.equals(LABELS)


def test_every_member_of_a_group_gets_its_representatives_labels_with_its_own_weight():
    rows = labels(
        [member("b", "h", 2.0, user_id="u2", language="de"), member("a", "h", 1.0, user_id="u1", stratum="rest")],
        [response("h", '{"topic": "food", "level": "expert"}')],
    )
    assert rows.select("conversation_id", "task", "label", "weight", "user_id").rows() == [
        ("a", "level", "expert", 1.0, "u1"),
        ("a", "topic", "food", 1.0, "u1"),
        ("b", "level", "expert", 2.0, "u2"),
        ("b", "topic", "food", 2.0, "u2"),
    ]


def test_a_group_without_a_response_is_unanswered():
    rows = labels([member("a", "h"), member("b", "other")], [response("h", '{"topic": "food", "level": "expert"}')])
    unanswered = rows.filter(pl.col("conversation_id") == "b")
    assert set(unanswered.select("label_status", "reason", "label").rows()) == {("unanswered", "no response", None)}
    assert set(unanswered["parser_fingerprint"]) == {PARSER.fingerprint}


def test_a_failed_response_keeps_its_error_as_the_reason():
    rows = labels([member("a", "h")], [response("h", None, "failed", "timeout")])
    assert set(rows.select("label_status", "reason").rows()) == {("unanswered", "timeout")}


def test_a_response_to_no_member_adds_no_row():
    assert labels([member("a", "h")], [response("stray", '{"topic": "food", "level": "expert"}')]).height == 2


def test_no_conversations_give_no_rows_and_no_responses_lose_none():
    assert labels([], []).height == 0
    assert labels([member("a", "h")], []).height == 2
