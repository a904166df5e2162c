"""The three edits of a prompt with a real model on real human labels: the embedded model on CLINC150's domains."""

import json
import shutil
from pathlib import Path

import pytest

from semtel_dagster.embedding import zero_shot
from semtel_dagster.evaluation import gate
from semtel_dagster.evaluation.golden import load_golden
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.requests.plan import plan_for
from semtel_dagster.trials.running import Trial, plans_by_model, run
from tests.pipeline import conversation, project, run_weeks
from tests.shared_data import shared_file
from tests.trials.scripted import now
from tests.trials.test_real_gold import EVALS, make_golden

NAME = "clinc_domain"
COUNT = 500
REDEFINED = ("home", "utility")

PARAPHRASE = (
    "Food: recipes, ingredients and substitutes, cooking time, calories and nutrition, how long food keeps, choosing,",
    "Food: recipes, ingredients, what to use instead, how long to cook it, nutrition and calories, how long it keeps,",
)
BANKING, FOOD = "A bank account: balance", "Food: recipes"
LISTS = "shopping and to-do lists, reminders, calendar entries, "
TOOLS = "Small tools: "


@pytest.fixture
def evaluated(tmp_path):
    """A week of requests whose first evaluation is the baseline; labels that are redefined later have no gold."""
    script = make_golden()
    path, make = script.SETS[NAME]
    rows = list(make(script.chosen(script.read(shared_file(path)), NAME, COUNT)))
    gold = [row for row in rows if row["label"] not in REDEFINED]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold), encoding="utf-8")
    shutil.copytree(EVALS / "prompts", tmp_path / "prompts")
    asked = [conversation(n, row["conversation"][0]["content"], user=f"u{n}") for n, row in enumerate(rows)]
    settings = project(
        tmp_path,
        asked,
        prompts="prompts",
        classifiers=[NAME],
        gold="gold.jsonl",
        dedupe={"threshold": 0.95, "embedding": "none"},
    )
    assert errors(settings) == []
    assert evaluate(settings).verdict == "aligned"
    return settings


def evaluate(settings):
    """An evaluation of the prompt as it is now, on all of the week."""
    trial = Trial(settings, load_classifiers(settings.prompts, [NAME]), load_golden([settings.gold]), COUNT)
    (found,) = [each for _, each in run(trial, plans_by_model(plan_for(settings, zero_shot.load))) if each]
    assert found.tasks[0].drift is None or found.tasks[0].drift_on == "sample"
    return found


def errors(settings):
    return [outcome.error for outcome in run_weeks(settings) if outcome.error]


def edit(settings, *changes):
    path = Path(settings.prompts) / f"{NAME}.prompty"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")


def line_of(settings, beginning):
    text = (Path(settings.prompts) / f"{NAME}.prompty").read_text(encoding="utf-8")
    return next(line for line in text.split("\n") if beginning in line)


@pytest.mark.shared
@pytest.mark.slow
def test_a_paraphrase_is_aligned_and_a_finer_definition_shifted_until_it_is_accepted(evaluated):
    settings = evaluated
    edit(settings, PARAPHRASE)
    assert evaluate(settings).verdict == "aligned"
    assert errors(settings) == []
    edit(settings, (LISTS, ""), (TOOLS, TOOLS + LISTS))
    found = evaluate(settings)
    assert found.verdict == "shifted"
    assert "utility" in found.reasons[0]
    (stopped,) = errors(settings)
    assert "semtel accept" in stopped
    gate.accept(settings.storage, NAME, "lists and reminders are tools now", found.fingerprint, now=now())
    assert errors(settings) == []


@pytest.mark.shared
@pytest.mark.slow
def test_two_swapped_definitions_are_worse_and_block(evaluated):
    settings = evaluated
    banking, food = line_of(settings, BANKING), line_of(settings, FOOD)
    edit(settings, (banking, "@"), (food, banking), ("@", food))
    found = evaluate(settings)
    assert found.verdict == "worse"
    assert "agrees less with people" in found.reasons[0]
    assert len(errors(settings)) == 1
