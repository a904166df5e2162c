"""Compression by a language model as a user switches it on: checked, run, told, and stale with another model."""

import os
import shutil

import dagster as dg
import pytest

from semtel_dagster.diagnosis import diagnose
from semtel_dagster.errors import SettingsError
from semtel_dagster.identity import preparation_fingerprint
from semtel_dagster.settings import Settings, load_settings
from semtel_dagster.transcript import Turn
from semtel_dagster.trials.cases import from_turns
from tests.pipeline import FIRST_WEEK, conversation, project, run_weeks, table
from tests.surprisal_models import smollm2

SAID = (
    "My garden hose leaks beside the tap. One two three four five six seven eight nine ten eleven twelve. "
    "The zookeeper pawned eleven accordions."
)
SHORT = {"keep": 0.7, "min_tokens": 0, "last_turns": 0, "end_tokens": 0}


def settings_with(model, **fields):
    return Settings(compress={"perplexity": {"model": str(model)} | fields})


def of_compression(settings):
    return [finding for finding in diagnose(settings) if finding.about == "compression"]


def test_paths_start_from_the_settings_file_and_the_environment_overrides(tmp_path, monkeypatch):
    (tmp_path / "semtel.yaml").write_text("compress: {perplexity: {model: models/small.gguf, keep: 0.7}}")
    monkeypatch.setenv("SEMTEL_COMPRESS__PERPLEXITY__KEEP", "0.3")
    perplexity = load_settings(tmp_path / "semtel.yaml").compress.perplexity
    assert (perplexity.model, perplexity.keep) == (str(tmp_path / "models" / "small.gguf"), 0.3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{keep: 0.5}", "compress.perplexity.model: Field required"),
        ("{model: small.gguf, keep: 1}", "compress.perplexity.keep: Input should be less than 1 (got 1)"),
        ("{model: 'https://example.com/small.gguf'}", "path of a GGUF file on this machine"),
        ("{model: small.gguf, ratio: 0.5}", "compress.perplexity.ratio: unknown field"),
    ],
)
def test_a_wrong_value_is_told_with_field_value_and_mend(tmp_path, given, words):
    (tmp_path / "semtel.yaml").write_text(f"compress: {{perplexity: {given}}}")
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "semtel.yaml")
    assert words in str(caught.value)


def test_another_model_makes_labels_stale_and_another_place_or_core_does_not(tmp_path):
    model, copy, other = (tmp_path / name for name in ("one.gguf", "two.gguf", "three.gguf"))
    model.write_bytes(b"weights")
    shutil.copy(model, copy)
    other.write_bytes(b"others")
    known = preparation_fingerprint(settings_with(model))
    assert preparation_fingerprint(settings_with(copy, threads=7)) == known
    without = [Settings(), Settings(compress={"sentences": {}}), Settings(compress={"sentences": {"keep": 0.4}})]
    changed = [settings_with(other), settings_with(model, keep=0.4), settings_with(tmp_path / "gone.gguf"), *without]
    assert len({known, *map(preparation_fingerprint, changed)}) == 7
    model.write_bytes(b"weights of another week")
    os.utime(model, ns=(0, 0))
    assert preparation_fingerprint(settings_with(model)) != known


@pytest.mark.slow
def test_check_loads_the_model_or_says_what_is_wrong(tmp_path):
    (fine,) = of_compression(settings_with(smollm2()))
    assert fine.ok
    assert "1,024 tokens at once" in fine.says
    assert of_compression(Settings()) == []
    (gone,) = [finding for finding in diagnose(settings_with(tmp_path / "gone.gguf")) if "gone.gguf" in finding.says]
    assert not gone.ok
    assert "name a GGUF file" in gone.says


def test_an_evaluation_asks_about_texts_as_the_pipeline_shortens_them():
    given = {"case": [Turn("user", SAID)]}
    (text,) = from_turns(given, settings_with(smollm2(), **SHORT)).texts["text"].to_pylist()
    assert "seven eight" not in text
    assert "accordions" in text


@pytest.mark.slow
def test_a_week_is_shortened_labelled_and_told(tmp_path):
    rows = [conversation(number, f"{number} {SAID}", "It leaks.") for number in range(4)]
    settings = project(tmp_path, rows, compress={"perplexity": {"model": smollm2()} | SHORT})
    with dg.DagsterInstance.ephemeral() as instance:
        (labelled,) = [each.labelled() for each in run_weeks(settings, instance=instance) if each.step.classifier]
        key = dg.AssetKey("truncated_conversations")
        (record,) = instance.fetch_materializations(key, limit=1).records
    said = record.asset_materialization.metadata
    written = table(settings, "truncated_conversations")
    assert labelled.conversations == labelled.answered == 4
    assert written["truncation"].to_list() == ["perplexity"] * 4
    assert said["compressed"].value == 4
    assert said["tokens"].value < said["tokens_before"].value
    assert said["perplexity_tokens"].value > 4 * 25
    assert said["perplexity_seconds"].value > 0
    assert not written["text"].str.contains("seven eight").any()
    assert str(record.partition_key) == FIRST_WEEK
