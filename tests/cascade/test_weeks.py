"""The cascade through Dagster: trained on a week, it answers most of the next; what it gives is seen for what it is."""

import json
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from semtel_dagster.cascade.chosen import ASKED_ANYWAY, chosen
from semtel_dagster.cascade.standing import promise, standing
from semtel_dagster.definitions import build_defs
from semtel_dagster.errors import SettingsError
from semtel_dagster.planning.history import History
from semtel_dagster.planning.plan import Measure, make_plan
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.staleness import Stale
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.reducers import CascadeSettings
from tests.living import local_instance
from tests.pipeline import FIRST_WEEK, conversation, project, run_weeks, table

SECOND_WEEK = "2026-10-12"
NOTHING_MADE = History(grid={"responses": {}})
STALE = Stale(SECOND_WEEK, "intent", "prompt changed", prepare=False)
THEMES = {
    "code": "python function error stack trace compile loop variable class test import module debug",
    "poem": "poem story rhyme character chapter novel verse dragon castle moon romance write fiction",
    "fact": "capital country history year population river mountain president war city ancient when who",
}
CASCADE = {
    "classifiers": ["intent"],
    "agreement": 0.7,
    "confidence": 0.9,
    "random_share": 0.2,
    "held_out": 0.5,
    "min_examples": 40,
}


def themed(count, first=0, day=5):
    """Conversations of eight words of a theme, each in an order of its own."""
    rng = np.random.default_rng(first)
    themes = list(THEMES.values())
    words = [" ".join(rng.permutation(themes[number % 3].split())[:8]) for number in range(count)]
    return [
        conversation(first + number, f"Please: {text}", "Here it is.", day=day, user=f"u{number % 40}")
        for number, text in enumerate(words)
    ]


def cascading(folder, rows, **cascade):
    return project(folder, rows, cascade={**CASCADE, **cascade}, dedupe={"threshold": 0.999})


def train_by_dagster(settings, instance):
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    chosen_asset = [dg.AssetKey("cascade_students")]
    return job.execute_in_process(instance=instance, partition_key="intent", asset_selection=chosen_asset)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A week labelled, a student trained on it, and the next week."""
    folder = tmp_path_factory.mktemp("cascade")
    settings = cascading(folder, [*themed(260), *themed(120, first=1000, day=13)])
    with local_instance(folder) as instance:
        run_weeks(settings, FIRST_WEEK, instance=instance, report=False)
        training = train_by_dagster(settings, instance)
        outcomes = run_weeks(settings, SECOND_WEEK, instance=instance)
        checks = {
            name: passed(instance, name) for name in ("labels_account_for_the_sample", "cascade_keeps_its_promise")
        }
        stale = make_plan(Project.of(settings), instance, [FIRST_WEEK, SECOND_WEEK]).partitions
    return settings, training, outcomes, checks, stale


def passed(instance, name):
    key = dg.AssetCheckKey(dg.AssetKey("labels"), name)
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    return record.event.asset_check_evaluation.passed


def of_week(settings, asset, week):
    return table(settings, asset).filter(pl.col("week") == pl.lit(week).str.to_date())


@pytest.mark.slow
def test_a_student_is_an_asset_with_figures_that_plot(made):
    _, training, *_ = made
    (event,) = training.get_asset_materialization_events()
    metadata = {name: each.value for name, each in event.materialization.metadata.items()}
    assert metadata["coverage"] > 0.5
    assert metadata["agreement"] >= metadata["lower_bound"] >= CASCADE["agreement"]
    assert metadata["held_out_rows"] + metadata["fitted_rows"] <= 260
    assert metadata["thresholds"]["all labels"]["threshold"] > 0
    assert event.materialization.tags["dagster/data_version"] == metadata["version"]


@pytest.mark.slow
def test_the_next_week_is_answered_where_the_student_is_sure_and_every_row_is_there(made):
    settings, training, *_ = made
    first, second = (of_week(settings, "responses", week) for week in (FIRST_WEEK, SECOND_WEEK))
    assert set(first["endpoint"]) == {"embedded"}
    assert second.height == of_week(settings, "distinct_conversations", SECOND_WEEK).height
    assert second["content_hash"].n_unique() == second.height
    predicted = second.filter(pl.col("endpoint") == "cascade")
    assert 0.3 < predicted.height / second.height < 1
    assert predicted["model"].unique().to_list() == [f"cascade:{_version(training)}"]
    assert predicted.select(pl.col("input_tokens", "output_tokens", "attempts").sum()).row(0) == (0, 0, 0)
    assert set(json.loads(predicted["raw_text"][0])) == {"intent", "confidence"}


@pytest.mark.slow
def test_the_share_that_is_asked_anyway_is_chosen_by_hash(made):
    settings, *_ = made
    second = of_week(settings, "responses", SECOND_WEEK)
    anyway = chosen(second["content_hash"], CASCADE["random_share"], ASKED_ANYWAY)
    assert anyway.any()
    assert set(second.filter(pl.Series(anyway))["endpoint"]) == {"embedded"}


@pytest.mark.slow
def test_labels_say_that_they_were_predicted_and_how_surely(made):
    settings, *_ = made
    labels = of_week(settings, "labels", SECOND_WEEK)
    predicted = labels.filter(pl.col("label_status") == "predicted")
    assert predicted.height > 0
    assert predicted["model"].str.starts_with("cascade:").all()
    assert predicted["confidence"].is_between(0.3, 1).all()
    assert predicted["confidence"].null_count() == 0
    assert not labels.filter(~pl.col("model").str.starts_with("cascade:"))["label_status"].is_in(["predicted"]).any()
    assert set(of_week(settings, "labels", FIRST_WEEK)["label_status"]).isdisjoint({"predicted"})


@pytest.mark.slow
def test_rows_add_up_and_the_promise_is_checked(made):
    settings, _, outcomes, checks, stale = made
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    assert stale == (), "a student in its teacher's place makes nothing stale"
    assert checks == {"labels_account_for_the_sample": True, "cascade_keeps_its_promise": True}
    prompt = load_classifiers(settings.prompts, ["intent"])["intent"]
    found = promise(settings, prompt)
    assert found.holds
    assert found.figures["compared"] > 0


@pytest.mark.slow
def test_what_was_paid_for_wins_over_the_student(made):
    """The first week made again: its answers are in the journal, so none is predicted."""
    settings, *_ = made
    run_weeks(settings, FIRST_WEEK, report=False)
    assert set(of_week(settings, "responses", FIRST_WEEK)["endpoint"]) == {"embedded"}


@pytest.mark.slow
def test_a_plan_counts_no_call_for_what_the_student_will_answer(made):
    """The second week once more: all that was asked is in the journal, so only predictions are left."""
    settings, *_ = made
    second = of_week(settings, "responses", SECOND_WEEK)
    predicted = second.filter(pl.col("endpoint") == "cascade")
    prompt = load_classifiers(settings.prompts, ["intent"])["intent"]
    sure = standing(settings, prompt, SECOND_WEEK).sure_of(second["content_hash"])
    assert set(predicted["content_hash"]) <= set(sure)
    without = settings.model_copy(update={"cascade": CascadeSettings()})
    planned = [Measure(Project.of(each), NOTHING_MADE)(STALE).calls for each in (settings, without)]
    assert planned == [0, predicted.height]


@pytest.mark.slow
def test_a_student_stands_back_when_the_teacher_says_something_else(made, tmp_path):
    """The next week's labels are turned around; the week after that is asked whole."""
    settings, *_ = made
    prompt = load_classifiers(settings.prompts, ["intent"])["intent"]
    assert standing(settings, prompt, "2026-10-19").because.startswith("the week's embeddings are not stored")
    (part,) = [*_folder(settings, "labels", SECOND_WEEK).glob("classifier=intent/*.parquet")]
    kept = part.read_bytes()
    names = [label.name for label in prompt.classifier.tasks[0].labels]
    turned = dict(zip(names, [*names[1:], names[0]], strict=True))
    try:
        rows = pl.read_parquet(part, hive_partitioning=False)
        rows.with_columns(pl.col("label").replace(turned)).write_parquet(part)
        broken = promise(settings, prompt)
        assert not broken.holds
        assert "Everything is asked until cascade_students is materialized again" in broken.because
        later = _folder(settings, "conversation_embeddings", "2026-10-19")
        later.mkdir(parents=True)
        (later / "part-0.parquet").write_bytes(b"")
        cascade = standing(settings, prompt, "2026-10-19")
        assert cascade.trained is None
        assert "stands back until it is trained again" in cascade.because
    finally:
        part.write_bytes(kept)
        (_folder(settings, "conversation_embeddings", "2026-10-19") / "part-0.parquet").unlink(missing_ok=True)


def test_without_a_student_everything_is_asked_and_the_run_says_why(tmp_path):
    settings = cascading(tmp_path, themed(5))
    outcomes = run_weeks(settings, FIRST_WEEK, report=False)
    responses = next(outcome.metadata["responses"] for outcome in outcomes if "responses" in outcome.metadata)
    assert "no student is trained for this prompt" in responses["cascade"]
    assert set(table(settings, "responses")["endpoint"]) == {"embedded"}


def test_switched_off_the_graph_has_no_student(tmp_path):
    defs = build_defs(project(tmp_path, themed(1)))
    assert "cascade_students" not in {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}


@pytest.mark.parametrize(
    ("names", "told"),
    [(["mood"], "which is no classifier"), (["satisfaction"], "has a score; a student gives labels only")],
)
def test_a_classifier_that_a_student_cannot_answer_is_told_before_anything_runs(tmp_path, names, told):
    settings = project(tmp_path, themed(1), classifiers=["intent", "satisfaction"], cascade={"classifiers": names})
    with pytest.raises(SettingsError, match=told):
        build_defs(settings)


def _version(training):
    (event,) = training.get_asset_materialization_events()
    return event.materialization.metadata["version"].value


def _folder(settings, asset, week):
    return Path(settings.storage, asset, f"week={week}")
