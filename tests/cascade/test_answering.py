"""The row function: every row once, the student's where it is sure, whatever the batches; and what can be learned."""

import pickle
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from semtel_dagster import tables
from semtel_dagster.cascade.answering import Answered, LeftToAsk, SureOrAsk
from semtel_dagster.cascade.chosen import ASKED_ANYWAY, chosen
from semtel_dagster.cascade.examples import read_examples
from semtel_dagster.cascade.training import train
from semtel_dagster.labels.batches import ParseResponses
from semtel_dagster.prompts.loader import load_classifiers
from tests.cascade.builders import OPTIONS, clouds, examples, name, responses

PROMPT = "0123456789abcdef"
ROWS = 300
VECTORS, TOLD = clouds(ROWS, seed=4)
NAMES = [name(10_000 + number) for number in range(ROWS)]


@pytest.fixture(scope="module")
def trained():
    return train(examples(2000), ("topic",), PROMPT, OPTIONS.model_copy(update={"random_share": 0.1}))


def ask(batches):
    """A model that answers everything and gets no vectors."""
    for batch in batches:
        assert batch.schema.names == ["content_hash", "text", "n_tokens"]
        yield responses(batch.column("content_hash").to_pylist(), endpoint="model")


def conversations(size=ROWS, embedding="clouds", first=0, rows=ROWS):
    for start in range(first, first + rows, size):
        some = slice(start, min(start + size, first + rows))
        count = len(NAMES[some])
        yield pa.record_batch(
            {
                "content_hash": pa.array(NAMES[some], pa.large_string()),
                "text": pa.array(["> hello"] * count, pa.large_string()),
                "n_tokens": pa.array([3] * count, pa.int32()),
                "embedding": pa.array(VECTORS[some].tolist(), pa.list_(pa.float32())),
                "embedding_model": pa.array([embedding] * count, pa.large_string()),
            }
        )


def cascade(trained, tmp_path, ask=ask):
    return SureOrAsk(ask, trained, Answered(str(tmp_path), "topic", PROMPT, ("model",)))


def answers(function, batches):
    made = pa.Table.from_batches(list(function(batches)), schema=tables.RESPONSES)
    return {row["content_hash"]: row for row in made.to_pylist()} | {"rows": made.num_rows}


def test_each_row_is_answered_once_and_the_same_whatever_the_batches(trained, tmp_path):
    function = cascade(trained, tmp_path)
    together = answers(function, conversations())
    assert together["rows"] == ROWS
    assert set(together) == {*NAMES, "rows"}
    for size in (1, 7, 64):
        assert answers(function, conversations(size)) == together


def test_the_student_answers_what_it_is_sure_of_and_not_the_share_that_is_asked_anyway(trained, tmp_path):
    found = answers(cascade(trained, tmp_path), conversations())
    sure = trained.answers(trained.student.predict(VECTORS)) & ~chosen(NAMES, 0.1, ASKED_ANYWAY)
    assert [found[each]["endpoint"] == "cascade" for each in NAMES] == sure.tolist()
    assert sure.any()
    assert not sure.all()


@pytest.mark.parametrize("embedding", ["another model", None])
def test_rows_without_a_vector_of_the_students_model_are_asked(trained, tmp_path, embedding):
    found = answers(cascade(trained, tmp_path), conversations(embedding=embedding))
    assert {found[each]["endpoint"] for each in NAMES} == {"model"}


def test_it_travels_to_another_process_and_says_the_same_there(trained, tmp_path):
    function = cascade(trained, tmp_path)
    assert answers(pickle.loads(pickle.dumps(function)), conversations()) == answers(function, conversations())


def test_what_is_left_for_batches_is_what_is_asked(trained, tmp_path):
    function = cascade(trained, tmp_path)
    left = [each for batch in LeftToAsk(function)(conversations(64)) for each in batch.column(0).to_pylist()]
    found = answers(function, conversations())
    assert left == [each for each in NAMES if found[each]["endpoint"] == "model"]


def test_a_prediction_is_read_as_one_with_its_confidence():
    classifier = load_classifiers(names=["intent"])["intent"].classifier
    label = classifier.tasks[0].labels[0].name
    text = f'{{"intent":"{label}","confidence":0.931}}'
    said = [responses(["a"], raw_text=text, status="answered", model=model) for model in ("cascade:0123", "m")]
    (predicted,), (asked,) = (next(ParseResponses(classifier)(iter([each]))).to_pylist() for each in said)
    assert (predicted["label"], predicted["label_status"], predicted["confidence"]) == (label, "predicted", 0.931)
    assert (asked["label"], asked["label_status"]) == (label, "exact")


def write_week(storage, week, rows, vectors=VECTORS, model="clouds"):
    """A week's labels and embeddings, as the pipeline stores them; rows are (number, label, status, model)."""
    labels = [
        {
            "conversation_id": f"c{number}",
            "content_hash": NAMES[number],
            "task": "topic",
            "label": label,
            "label_status": status,
            "model": by,
            "prompt_fingerprint": PROMPT,
        }
        for number, label, status, by in rows
    ]
    embedded = {"content_hash": NAMES, "embedding": vectors.tolist(), "model": [model] * ROWS}
    folders = (
        storage / "labels" / f"week={week}" / "classifier=topic",
        storage / "conversation_embeddings" / f"week={week}",
    )
    for folder, table in zip(folders, (pl.DataFrame(labels), pl.DataFrame(embedded)), strict=True):
        folder.mkdir(parents=True)
        table.write_parquet(folder / "part-0.parquet")


def learned(storage, weeks, shares=None, gold=None, fingerprint=PROMPT):
    return read_examples(str(storage), "topic", ("topic",), fingerprint, shares or {}, weeks, gold)


def test_answers_with_a_label_are_learned_and_a_students_own_are_not(tmp_path):
    rows = [(0, "travel", "exact", "m"), (1, None, "invalid", "m"), (2, None, "unanswered", None)]
    write_week(
        tmp_path, "2026-10-05", [*rows, (3, "cooking", "predicted", "cascade:v1"), (4, "billing", "cleaned", "m")]
    )
    found = learned(tmp_path, ["2026-10-05", "2026-10-12"], {"v1": 1.0})
    assert dict(zip(found.content_hashes, found.taught, strict=True)) == {NAMES[0]: ("travel",), NAMES[4]: ("billing",)}
    at = found.content_hashes.index(NAMES[4])
    assert np.array_equal(found.vectors[at], VECTORS[4])
    assert found.weeks == ("2026-10-05",)
    assert learned(tmp_path, ["2026-10-05"], fingerprint="another prompt") is None


def test_beside_a_student_only_the_share_that_was_asked_anyway_is_honest(tmp_path):
    asked = [(number, label, "exact", "m") for number, label in enumerate(TOLD[:200])]
    write_week(tmp_path, "2026-10-05", asked)
    write_week(tmp_path, "2026-10-12", [*asked, (200, "travel", "predicted", "cascade:v1")])
    whole, part = (partial(learned, tmp_path, [week]) for week in ("2026-10-05", "2026-10-12"))
    assert whole().honest.all()
    found = part({"v1": 0.3})
    assert np.array_equal(found.honest, chosen(found.content_hashes, 0.3, ASKED_ANYWAY))
    assert not found.whole.any()
    assert not part().honest.any(), "of a student that nobody knows, nothing is known about what was asked"


def test_people_teach_by_conversation_or_by_text(tmp_path):
    write_week(tmp_path, "2026-10-05", [(number, "travel", "exact", "m") for number in range(5)])
    found = learned(tmp_path, ["2026-10-05"], gold={"topic": {"c1": "cooking", NAMES[2]: "billing", "c99": "travel"}})
    assert dict(zip(found.content_hashes, found.taught, strict=True)) == {
        NAMES[1]: ("cooking",),
        NAMES[2]: ("billing",),
    }


def test_vectors_of_another_model_than_the_last_weeks_are_left_out(tmp_path):
    write_week(tmp_path, "2026-10-05", [(0, "travel", "exact", "m")], model="old")
    write_week(tmp_path, "2026-10-12", [(1, "travel", "exact", "m")])
    found = learned(tmp_path, ["2026-10-05", "2026-10-12"])
    assert (found.content_hashes, found.embedding) == ((NAMES[1],), "clouds")
