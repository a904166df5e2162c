"""What the section `spark` of the settings means, and what is told when something is missing."""

from __future__ import annotations

import sys

import pytest

from semtel_dagster.definitions import make_engine
from semtel_dagster.engines.session import SparkSessions, spark_config
from semtel_dagster.errors import DependencyError, SettingsError
from semtel_dagster.settings import Settings


@pytest.fixture(autouse=True)
def _no_remote_in_the_environment(monkeypatch):
    monkeypatch.delenv("SPARK_REMOTE", raising=False)


def test_without_settings_spark_runs_in_this_process_on_loopback_without_a_ui():
    config = spark_config({})
    assert config["spark.master"] == "local[*]"
    assert config["spark.driver.host"] == config["spark.driver.bindAddress"] == "127.0.0.1"
    assert config["spark.ui.enabled"] == "false"
    assert config["spark.sql.session.timeZone"] == "UTC"


def test_master_and_remote_are_shorthands():
    assert spark_config({"master": "spark://head:7077"})["spark.master"] == "spark://head:7077"
    assert spark_config({"remote": "sc://head"})["spark.remote"] == "sc://head"


def test_settings_win_over_defaults_flat_or_nested():
    config = spark_config({"spark.ui.enabled": True, "spark": {"executor": {"memory": "2g"}}})
    assert config["spark.ui.enabled"] is True
    assert config["spark.executor.memory"] == "2g"


@pytest.mark.parametrize("master", ["spark://head:7077", "yarn", "k8s://https://head"])
def test_a_driver_of_a_cluster_is_not_bound_to_loopback(master):
    assert "spark.driver.host" not in spark_config({"master": master})


def test_a_remote_session_is_not_told_what_only_its_server_can_decide():
    config = spark_config({"remote": "sc://head"})
    assert all(key.startswith("spark.sql.") for key in config.keys() - {"spark.remote"})


def test_the_variable_spark_remote_names_a_server_unless_a_master_is_set(monkeypatch):
    monkeypatch.setenv("SPARK_REMOTE", "sc://head")
    assert "spark.master" not in spark_config({})
    assert spark_config({"master": "local[2]"})["spark.master"] == "local[2]"


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"memory": "2g"}, "memory is no Spark setting"),
        ({"master": "local", "remote": "sc://head"}, "exclude each other"),
    ],
)
def test_a_wrong_section_is_told_before_spark_starts(section, told):
    with pytest.raises(SettingsError, match=told):
        make_engine(Settings(engine="spark", spark=section))


def test_choosing_spark_starts_nothing():
    assert make_engine(Settings(engine="spark")).name == "spark"


def test_a_missing_package_is_told_with_the_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "dagster_pyspark", None)
    with pytest.raises(DependencyError, match=r"dagster_pyspark.*pip install 'semtel-dagster\[spark\]'"):
        SparkSessions({})()


@pytest.mark.parametrize("home", [None, "nowhere"])
def test_a_missing_java_is_told_with_the_mend(monkeypatch, tmp_path, home):
    pytest.importorskip("dagster_pyspark")
    monkeypatch.setenv("PATH", str(tmp_path))
    if home:
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / home))
    else:
        monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(DependencyError, match="Java 17 or newer"):
        SparkSessions({"master": "local[1]"})()
