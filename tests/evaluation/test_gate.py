"""Evaluations and acceptances on disk, and what they let through."""

import datetime as dt
import json

import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation import gate
from semtel_dagster.evaluation.records import folder_of, load, save
from tests.evaluation.builders import evaluation

NOON = dt.datetime(2026, 11, 9, 12, tzinfo=dt.UTC)
PROMPT, OTHER = "f" * 16, "0" * 16


def kept(storage, verdict, fingerprint=PROMPT, model="gpt", minute=0, **fields):
    made = evaluation("topic", fingerprint, model, verdict, NOON + dt.timedelta(minutes=minute), **fields)
    save(str(storage), made)
    return made


def decide(storage, models=("gpt",), fingerprint=PROMPT):
    return gate.decide(str(storage), "topic", fingerprint, models)


def accept(storage, because="finer on purpose", minute=30, fingerprint=PROMPT):
    now = NOON + dt.timedelta(minutes=minute)
    return gate.accept(str(storage), "topic", because, fingerprint, now=now, who="kim")


def test_an_evaluation_is_read_back_as_it_was_kept(tmp_path):
    labels = {"topic": {"c1": "work", "c2": None}}
    first = kept(tmp_path, "aligned", golden_labels=labels)
    second = kept(tmp_path, "shifted", minute=1, baseline=first.id)
    (folder_of(str(tmp_path)) / "topic" / "torn.json").write_text("{")
    assert load(str(tmp_path), "topic") == [first, second]


def test_without_an_evaluation_it_passes_with_a_note(tmp_path):
    assert decide(tmp_path).passed
    kept(tmp_path, "worse", fingerprint=OTHER)
    decision = decide(tmp_path)
    assert decision.passed
    assert "semtel evaluate --classifier topic" in decision.because


@pytest.mark.parametrize("verdict", ["shifted", "worse"])
def test_a_verdict_blocks_until_somebody_accepts_it(tmp_path, verdict):
    kept(tmp_path, verdict)
    blocked = decide(tmp_path)
    assert not blocked.passed
    assert verdict in blocked.because
    assert "semtel accept --classifier topic" in blocked.because
    (record,) = accept(tmp_path)
    passed = decide(tmp_path)
    assert passed.passed
    assert "kim" in passed.because
    assert "finer on purpose" in passed.because
    (path,) = (tmp_path / "evaluations" / "accepted" / "topic").glob("*.json")
    told = json.loads(path.read_text())
    assert (told["accepted_by"], told["because"], told["fingerprint"], told["verdict"]) == (
        "kim", "finer on purpose", PROMPT, verdict,
    )  # fmt: skip
    assert record.evaluation == told["evaluation"]


def test_an_acceptance_is_for_that_verdict_of_that_prompt_on_that_model(tmp_path):
    kept(tmp_path, "shifted")
    accept(tmp_path)
    kept(tmp_path, "shifted", minute=40)
    assert decide(tmp_path).passed
    kept(tmp_path, "worse", minute=50)
    assert not decide(tmp_path).passed
    kept(tmp_path, "shifted", fingerprint=OTHER, minute=55)
    assert not decide(tmp_path, fingerprint=OTHER).passed


def test_every_model_that_may_answer_must_be_let_through(tmp_path):
    kept(tmp_path, "aligned", model="gpt")
    kept(tmp_path, "worse", model="small")
    assert decide(tmp_path, models=("gpt",)).passed
    assert not decide(tmp_path, models=("gpt", "small")).passed


def test_the_newest_evaluation_decides(tmp_path):
    kept(tmp_path, "worse")
    kept(tmp_path, "aligned", minute=5)
    assert decide(tmp_path).passed


def test_the_accepted_evaluation_is_the_baseline_before_the_oldest(tmp_path):
    storage = str(tmp_path)
    assert gate.baseline(storage, "topic") is None
    first = kept(tmp_path, "aligned", fingerprint=OTHER)
    second = kept(tmp_path, "shifted", minute=1)
    kept(tmp_path, "aligned", fingerprint=OTHER, minute=2)
    assert gate.baseline(storage, "topic") == first
    accept(tmp_path)
    assert gate.baseline(storage, "topic") == second
    assert gate.baseline(storage, "topic", first.id) == first
    with pytest.raises(SettingsError, match="no evaluation nowhere"):
        gate.baseline(storage, "topic", "nowhere")


def test_accepting_wants_an_evaluation_and_a_reason(tmp_path):
    with pytest.raises(SettingsError, match="semtel evaluate --classifier topic"):
        accept(tmp_path)
    kept(tmp_path, "shifted")
    with pytest.raises(SettingsError, match="give a reason"):
        accept(tmp_path, because=" ")
