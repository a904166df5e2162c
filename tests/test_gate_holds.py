"""Whoever launches a classifier's week, a verdict that nobody accepted stops it before anything is asked."""

import datetime as dt
from pathlib import Path

import pytest
from typer.testing import CliRunner

from semtel_dagster.checks import GATE
from semtel_dagster.cli import app
from semtel_dagster.definitions import build_defs
from semtel_dagster.evaluation import gate
from semtel_dagster.evaluation.records import save
from semtel_dagster.jobs import LABEL_JOB, PREPARE_JOB
from semtel_dagster.planning.budgets import budget_for
from semtel_dagster.planning.project import Project
from semtel_dagster.runs import Step, run_all
from semtel_dagster.sensors import next_runs
from tests.evaluation.builders import evaluation
from tests.living import WEEKS, catch_up, living_project, local_instance

NOW = dt.datetime(2026, 11, 9, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Two classifiers on one prepared week; the prompt of one was found to be worse."""
    folder = tmp_path_factory.mktemp("held")
    settings = living_project(folder, first_week=WEEKS[1])
    prompt = Project.of(settings).prompts["intent"]
    with local_instance(folder) as instance:
        (outcome,) = [
            done for _, done in run_all([Step(PREPARE_JOB, WEEKS[1])], build_defs(settings), instance) if done
        ]
        assert outcome.error is None
        save(settings.storage, evaluation("intent", prompt.fingerprint, "embedded", "worse", NOW))
        yield settings, instance


def labelling(settings, instance):
    """The classifiers that the catch-up sensor would start."""
    budget = budget_for(settings.storage, "test", 1000, None)
    requests = list(next_runs(Project.of(settings), instance, budget))
    return [run.partition_key.keys_by_dimension["classifier"] for run in requests if run.job_name == LABEL_JOB]


@pytest.mark.slow
def test_the_sensor_a_backfill_and_a_webserver_hold_it_and_an_acceptance_frees_it(prepared):
    settings, instance = prepared
    assert set(labelling(settings, instance)) == {"expertise"}
    work, outcomes = catch_up(settings, instance, retries=2)
    failed = {step.classifier: error for step, error in work.failed.items()}
    assert failed.keys() == {"intent"}
    assert failed["intent"].startswith(GATE)
    tries = [step for step, outcome in outcomes.items() if step.classifier == "intent" and outcome]
    assert len(tries) == 1
    file = Path(settings.storage).parent / "semtel.yaml"
    options = ["--settings", str(file), "--webserver", "http://127.0.0.1:9", "--classifier", "intent"]
    done = CliRunner().invoke(app, ["backfill", *options])
    assert done.exit_code == 1
    assert "semtel accept --classifier intent" in " ".join(done.output.split())
    prompt = Project.of(settings).prompts["intent"]
    gate.accept(settings.storage, "intent", "it is right", prompt.fingerprint, now=NOW)
    assert set(labelling(settings, instance)) == {"intent"}
