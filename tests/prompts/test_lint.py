"""Lint: each finding is provoked by one edit of a shipped prompt, and the shipped prompts have none."""

import dataclasses

import pytest

from semtel_dagster.classifiers import CompiledPrompt, PromptMessage
from semtel_dagster.prompts.lint import lint
from semtel_dagster.prompts.loader import load_classifier, load_classifiers, shipped_folder

PROMPTS = load_classifiers()
SHIPPED = (shipped_folder() / "intent.prompty").read_text(encoding="utf-8")


def edited(tmp_path, old: str, new: str) -> CompiledPrompt:
    assert old in SHIPPED
    path = tmp_path / "intent.prompty"
    path.write_text(SHIPPED.replace(old, new, 1), encoding="utf-8")
    return load_classifier(path)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_the_shipped_prompts_have_no_findings(prompt):
    assert lint(prompt) == []


EDITS = {
    "outputs lack a label": (
        "      - leisure\n",
        "",
        "outputs.intent.enumValues differs from the task's labels: leisure",
    ),
    "outputs in another order": (
        "      - learning\n      - content creation\n",
        "      - content creation\n      - learning\n",
        "the order",
    ),
    "outputs under another name": (
        "  - name: intent\n    kind",
        "  - name: purpose\n    kind",
        "lacks the field 'intent'",
    ),
    "two labels claim a spelling": ("aliases: [learn,", "aliases: [Advice,", "'advice' of 'intent' belongs to"),
    "a label undefined": ("{{ label.definition }}", "", "never shows label 'leisure'"),
    "field not named": ('"{{ task.name }}": "<label>"', "{}", "never names"),
    "much after the transcript": (
        "End of the transcript.",
        "Read it again with care. " * 20,
        "tokens follow the transcript",
    ),
}


@pytest.mark.parametrize(("old", "new", "finding"), EDITS.values(), ids=EDITS)
def test_an_edit_that_makes_a_prompt_doubtful_is_found(tmp_path, old, new, finding):
    text = SHIPPED
    if finding == "never names":
        text = text.replace("## {{ task.name }}", "##").replace(
            "name: intent\n      question", "name: purpose_of_it\n      question"
        )
        path = tmp_path / "intent.prompty"
        path.write_text(text.replace(old, new), encoding="utf-8")
        findings = lint(load_classifier(path))
    else:
        findings = lint(edited(tmp_path, old, new))
    assert any(finding in found for found in findings), findings


def test_short_and_equal_definitions_are_found():
    prompt = PROMPTS["intent"]
    task = prompt.classifier.tasks[0]
    labels = tuple(label.model_copy(update={"definition": "Something."}) for label in task.labels)
    classifier = prompt.classifier.model_copy(update={"tasks": (task.model_copy(update={"labels": labels}),)})
    findings = lint(dataclasses.replace(prompt, classifier=classifier))
    assert any("under 20 characters" in finding for finding in findings)
    assert any("have the same definition" in finding for finding in findings)


def test_a_very_long_prompt_is_found():
    prompt = dataclasses.replace(PROMPTS["intent"], static_tokens=9000)
    assert any("9000 tokens" in finding for finding in lint(prompt))


def test_a_message_after_the_transcript_counts_as_late():
    prompt = PROMPTS["intent"]
    late = dataclasses.replace(prompt, messages=(*prompt.messages, PromptMessage("user", "word " * 100)))
    assert any("follow the transcript" in finding for finding in lint(late))
