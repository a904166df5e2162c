"""Real human labels, through the whole evaluation, held against scikit-learn to 1e-9."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from semtel_dagster.embedding import zero_shot
from semtel_dagster.evaluation.agreement import MISSING, confusion, measure, replicate
from semtel_dagster.evaluation.golden import load_golden
from semtel_dagster.prompts.lint import lint
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.requests.plan import plan_for
from semtel_dagster.trials.running import Trial, plans_by_model, run
from tests.pipeline import project
from tests.shared_data import shared_file

EVALS = Path(__file__).resolve().parents[2] / "evals"
LIMIT, FEW = 250, 150


def make_golden():
    spec = importlib.util.spec_from_file_location("make_golden", EVALS / "make_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_prompt_for_a_golden_set_is_clean():
    prompts = load_classifiers(EVALS / "prompts")
    assert set(prompts) == set(make_golden().SETS)
    assert {name: lint(prompt) for name, prompt in prompts.items()} == {name: [] for name in prompts}


@pytest.mark.shared
@pytest.mark.parametrize("name", ["clinc_domain", "hwu_scenario", "redial_satisfaction"])
def test_figures_and_intervals_on_human_labels_are_scikit_learns(tmp_path, name):
    script = make_golden()
    path, make = script.SETS[name]
    rows = make(script.chosen(script.read(shared_file(path)), name, LIMIT))
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = project(tmp_path, [])
    plan = plan_for(settings, zero_shot.load)
    prompts = load_classifiers(EVALS / "prompts", [name])
    golden = load_golden([str(tmp_path / "gold.jsonl")])
    trial = Trial(settings, prompts, golden)
    (found,) = [each for _, each in run(trial, plans_by_model(plan)) if each is not None]
    (result,) = found.tasks
    (task,) = prompts[name].classifier.tasks
    gold, ours = golden.gold(task), found.golden_labels[name]
    pairs = [(gold[case], ours[case]) for case in sorted(gold)]
    present = sorted({label for pair in pairs for label in pair if label})
    assert result.n_gold == len(pairs) > 150
    assert result.agreement == measure(task, pairs, seed=trial.seed)
    fewer = measure(task, pairs, seed=trial.seed, replicates=FEW)
    # A replicate is a confusion table: scikit-learn gets each cell once, with its count as weight.
    cells = [(g, o) for g in [*result.labels, None] for o in [*result.labels, None]]
    tables = replicate(confusion(pairs, result.labels), trial.seed, FEW)
    for figure, compute in figures(result.ordinal, present).items():
        assert getattr(result.agreement, figure).value == pytest.approx(compute(*columns(pairs), None), abs=1e-9)
        estimate = getattr(fewer, figure)
        drawn = [compute(*columns(cells), table.ravel()) for table in tables]
        assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-9)


def columns(pairs):
    return [gold or MISSING for gold, _ in pairs], [ours or MISSING for _, ours in pairs]


def figures(ordinal, present):
    weights = "quadratic" if ordinal else None
    return {
        "accuracy": lambda gold, ours, w: metrics.accuracy_score(gold, ours, sample_weight=w),
        "macro_f1": lambda gold, ours, w: metrics.f1_score(
            gold, ours, labels=present, average="macro", zero_division=0, sample_weight=w
        ),
        "kappa": lambda gold, ours, w: metrics.cohen_kappa_score(
            gold, ours, labels=present if ordinal else None, weights=weights, sample_weight=w
        ),
    }
