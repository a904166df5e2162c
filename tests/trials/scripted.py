"""A project whose labels come from a scripted server: what it answers is known, so verdicts can be foretold."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

from semtel_dagster.evaluation.golden import GoldenSet, load_golden
from semtel_dagster.evaluation.records import Evaluation
from semtel_dagster.loopback.script import Answers, Script, Slot
from semtel_dagster.prompts.loader import load_classifiers, shipped_folder
from semtel_dagster.requests.plan import plan_for
from semtel_dagster.settings import Settings
from semtel_dagster.transcript import Turn, content_hash, render
from semtel_dagster.trials.running import Trial, plans_by_model, run
from tests.pipeline import conversation, project

TASK = "intent"
LABELS = ("information seeking", "content creation")


def turns(number: int) -> tuple[str, str]:
    """A conversation's texts; no two are near duplicates."""
    return f"Question number {number * 7919} about thing {number}?", f"Answer {number * 104729}."


def truth(number: int) -> str:
    """The right label of a conversation: two thirds have the first."""
    return LABELS[number % 3 == 0]


def key(number: int) -> str:
    """The content hash of a conversation, by which the server knows it."""
    user, assistant = turns(number)
    return content_hash(render([Turn("user", user), Turn("assistant", assistant)]))


def scripted_project(folder: Path, base_url: str, count: int, gold: int) -> Settings:
    """Settings over so many conversations, of which the first `gold` have a golden label."""
    rows = [conversation(n, *turns(n), user=f"u{n}") for n in range(count)]
    labels = [{"conversation_id": f"c{n:04}", "task": TASK, "label": truth(n), "annotator": "kim"} for n in range(gold)]
    (folder / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels), encoding="utf-8")
    shutil.copytree(shipped_folder(), folder / "prompts")
    endpoint = {"name": "east", "base_url": base_url, "model": "m"}
    exact = {"threshold": 0.95, "embedding": "none"}
    return project(folder, rows, prompts="prompts", endpoints=[endpoint], gold="gold.jsonl", dedupe=exact)


def edit_prompt(settings: Settings, word: str, other: str) -> None:
    """Changes the prompt file, so that it has another fingerprint."""
    path = Path(settings.prompts or "") / f"{TASK}.prompty"
    text = path.read_text(encoding="utf-8")
    assert word in text
    path.write_text(text.replace(word, other, 1), encoding="utf-8")


def script(settings: Settings, labels: dict[str, str], accuracy: float, seed: int = 0) -> Script:
    """A server that gives these labels, by content hash, as often as `accuracy`, else another."""
    prompt = load_classifiers(settings.prompts, [TASK])[TASK]
    (slot,) = [Slot(before=m.before, after=m.after) for m in prompt.messages if m.after is not None]
    return Script(seed=seed, slot=slot, answers=Answers(style="confusion", truth=labels, accuracy=accuracy))


def evaluate(settings: Settings, sample: int = 400, **fields: object) -> Evaluation:
    """Evaluates the classifier on the settings' endpoint."""
    plan = plan_for(settings)
    golden = load_golden([settings.gold]) if settings.gold else GoldenSet()
    prompts = load_classifiers(settings.prompts, [TASK])
    trial = Trial(settings, prompts, golden, sample, **fields)
    (found,) = [each for _, each in run(trial, plans_by_model(plan)) if each is not None]
    return found


def now() -> dt.datetime:
    """This moment."""
    return dt.datetime.now(dt.UTC)
