"""Compression as a user switches it on: the week is made again, and the plan knows the texts before the run does."""

import dagster as dg
import pytest

from semtel_dagster.identity import preparation_fingerprint
from semtel_dagster.planning.plan import make_plan
from semtel_dagster.planning.project import Project
from semtel_dagster.settings import Settings, load_settings
from semtel_dagster.transcript import Turn
from semtel_dagster.trials.cases import from_turns
from tests.pipeline import FIRST_WEEK, conversation, project, run_weeks, table

PROMPT = "You are the assistant of a shop for garden tools. Be kind, be short, and answer in the customer's language."
CODE = "```python\n" + "\n".join(f"total = total + {number}" for number in range(60)) + "\n```"
# Alike but for white space and the middle of their code: one text once they are compressed.
TWINS = [f"Why is this slow?{gap}{CODE.replace('+ 30', word)}" for gap, word in (("\n\n\n", "- 30"), ("\n\n", "+ 30"))]


def conversations():
    rows = [conversation(number, f"How do I prune tree number {number}?", "In winter.") for number in range(24)]
    for row in rows:
        row["messages"] = [{"role": "system", "content": PROMPT}, *row["messages"]]
    return [*rows, *(conversation(50 + place, text, "It loops.") for place, text in enumerate(TWINS))]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_compressed_week_is_planned_labelled_and_told(tmp_path):
    plain = project(tmp_path, conversations(), dedupe={"embedding": "none"})
    settings = plain.model_copy(update={"compress": load_settings(None, compress={"lossless": True}).compress})
    with dg.DagsterInstance.ephemeral() as instance:
        planned = make_plan(Project.of(settings), instance, [FIRST_WEEK]).total["calls"]
        outcomes = run_weeks(settings, instance=instance, report=False)
        (labelled,) = [each.labelled() for each in outcomes if each.step.classifier]
        key = dg.AssetKey("truncated_conversations")
        (record,) = instance.fetch_materializations(key, limit=1).records
    said = record.asset_materialization.metadata
    rows = table(settings, "truncated_conversations")
    assert labelled.calls == planned == 25
    assert labelled.conversations == labelled.answered == rows.height == 26
    assert said["compressed"].value == 26
    assert said["truncated"].value == 0
    assert said["tokens"].value == rows["n_tokens"].sum() < said["tokens_before"].value == rows["n_tokens_before"].sum()
    assert not rows["text"].str.contains("customer's language").any()


def test_what_a_week_was_prepared_by_names_the_rules_only_where_they_are_on():
    off, other = Settings(), Settings(compress={"code_lines": 3})
    on, reordered = (Settings(compress={"lossless": rules}) for rules in (["code", "blobs"], ["blobs", "code"]))
    assert preparation_fingerprint(off) == preparation_fingerprint(other)
    assert preparation_fingerprint(off) != preparation_fingerprint(on) == preparation_fingerprint(reordered)


def test_an_evaluation_asks_about_texts_as_the_pipeline_shortens_them():
    turns = {"case": [Turn("user", TWINS[0])]}
    (whole,), (short,) = (
        from_turns(turns, Settings(compress={"lossless": rules})).texts.to_pylist() for rules in (False, True)
    )
    assert short["n_tokens"] < whole["n_tokens"]
    assert "lines of python left out" in short["text"]
