"""Settings: where values come from, and how a wrong one is told."""

import datetime as dt
from pathlib import Path

import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import load_settings

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEMTEL_SETTINGS", raising=False)


def write(text, path="semtel.yaml"):
    Path(path).write_text(text, encoding="utf-8")
    return path


def test_without_a_file_every_field_has_its_default(tmp_path):
    settings = load_settings()
    assert settings.engine == "polars"
    assert settings.truncate.max_tokens == 2000
    assert settings.storage == str(tmp_path / "semtel-data")


def test_the_environment_wins_over_the_file_field_by_field(monkeypatch):
    write("sample: {rate: 0.5, seed: 7}")
    monkeypatch.setenv("SEMTEL_SAMPLE__RATE", "0.25")
    sample = load_settings().sample
    assert (sample.rate, sample.seed) == (0.25, 7)


def test_relative_paths_start_from_the_file(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    file = write("storage: ./s\nsource: {path: c/*.jsonl}", "elsewhere/mine.yaml")
    settings = load_settings(file)
    assert settings.storage == str(tmp_path / "elsewhere" / "s")
    assert settings.source.path == str(tmp_path / "elsewhere" / "c" / "*.jsonl")


def test_an_object_store_url_stays_as_it_is():
    assert (
        load_settings(write("source: {path: 's3://bucket/logs/*.parquet'}")).source.path == "s3://bucket/logs/*.parquet"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sample: {rate: 2}", ["sample.rate", "less than or equal to 1", "2"]),
        ("sampel: {rate: 1}", ["sampel", "unknown field"]),
        ("first_week: 2026-09-22", ["first_week", "Tuesday", "2026-09-21"]),
        ("engine: duckdb", ["engine", "polars", "duckdb"]),
        ("endpoints: [{name: a}]", ["endpoints.0", "base_url"]),
        ("endpoints: [{name: a, kind: embedded}, {name: a, kind: embedded}]", ["given twice", "a"]),
        ("endpoints: [{name: a, model: m, base_url: 'localhost:8000/v1'}]", ["base_url", "localhost:8000", "http://"]),
        ("endpoints: [{name: a, model: m, base_url: 'https://h/v1?api-version=1'}]", ["base_url", "api_version"]),
        ("dedupe: {embedding: west}", ["dedupe.embedding", "west"]),
        ("storage: [", ["not readable as YAML"]),
    ],
)
def test_a_wrong_value_is_told_with_field_value_and_mend(text, words):
    with pytest.raises(SettingsError) as error:
        load_settings(write(text))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_a_login_in_an_address_is_refused_and_not_shown():
    with pytest.raises(SettingsError, match="api_key_env") as error:
        load_settings(write("endpoints: [{name: a, model: m, base_url: 'https://me:made-up-word@h/v1'}]"))
    assert "made-up-word" not in str(error.value)


def test_a_named_file_that_is_missing_is_an_error():
    with pytest.raises(SettingsError, match=r"nowhere\.yaml does not exist"):
        load_settings("nowhere.yaml")


def test_the_example_file_is_valid_and_says_the_defaults():
    example = load_settings(CHECKOUT / "semtel.yaml")
    default = load_settings()
    assert example.first_week == dt.date(2026, 10, 5)
    for section in ("sample", "truncate", "dedupe", "aggregate", "requests"):
        assert getattr(example, section) == getattr(default, section)


def test_a_key_is_read_from_the_environment_and_never_shown(monkeypatch):
    monkeypatch.setenv("EAST_KEY", "sk-very-secret")
    file = write("endpoints: [{name: east, base_url: 'http://127.0.0.1:1/v1', model: m, api_key_env: EAST_KEY}]")
    settings = load_settings(file)
    assert settings.api_key(settings.endpoints[0]) == "sk-very-secret"
    assert "sk-very-secret" not in repr(settings) + settings.model_dump_json()
