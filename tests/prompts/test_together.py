"""Composing prompts for company: every question once, one schema, one answer."""

import dataclasses
import json

import jsonschema
import pytest

from semtel_dagster.classifiers import PromptMessage
from semtel_dagster.errors import SettingsError
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.prompts.questions import questions_of
from semtel_dagster.prompts.together import combined, grading, packed

PROMPTS = load_classifiers()
TRIO = [PROMPTS[name] for name in ("topic", "intent", "satisfaction")]


def system_of(prompt):
    return prompt.messages[0].before


def test_every_label_is_defined_once_and_reading_is_explained_once():
    text = system_of(combined(TRIO))
    for prompt in TRIO:
        for label in prompt.classifier.tasks[0].labels:
            assert text.count(f"- {label.name}: {label.definition}") == 1
    assert text.count("# How the conversation is shown") == 1
    assert text.count("# Answer") == 1
    assert text.count("You are a careful annotator") == 1


def test_what_a_file_says_beyond_its_tasks_comes_along():
    assert "Scolds, mocks or swears at the assistant" in system_of(combined(TRIO))
    assert "an assistant can be expert to a novice" in system_of(combined([PROMPTS["expertise"], PROMPTS["intent"]]))


def test_a_template_without_headings_is_laid_out_from_its_tasks():
    messages = (PromptMessage("system", "Which one? Answer with a word."), PromptMessage("user", "", ""))
    plain = dataclasses.replace(PROMPTS["satisfaction"], messages=messages)
    text = questions_of(plain)
    assert "Answer with a word" not in text
    assert "satisfaction_score as a number from -100 to 100" in text
    assert all(label.definition in text for label in plain.classifier.tasks[0].labels)


def test_one_schema_holds_all_fields_and_an_answer_by_it_is_valid():
    schema = combined(TRIO).response_schema
    assert list(schema["properties"]) == ["intent", "satisfaction_score", "satisfaction", "topic"]
    jsonschema.validate(
        {"intent": "learning", "topic": "travel", "satisfaction_score": 20, "satisfaction": "satisfied"}, schema
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"intent": "learning", "topic": "travel"}, schema)


def test_a_pack_is_answered_by_a_list_with_an_id_each():
    schema = packed([PROMPTS["intent"]], 4).response_schema
    jsonschema.validate({"answers": [{"id": "k3w9pf", "intent": "learning"}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"answers": [{"intent": "learning"}]}, schema)


def test_the_order_of_the_files_does_not_matter():
    assert combined(TRIO) == combined(TRIO[::-1])


def test_the_static_part_is_the_same_for_every_size_so_that_prompt_caches_hit():
    assert system_of(packed(TRIO, 2)) == system_of(packed(TRIO, 32))


def test_the_answer_may_be_as_long_as_all_single_answers_together():
    singly = sum(prompt.options["max_tokens"] for prompt in TRIO)
    assert combined(TRIO).options["max_tokens"] == singly
    assert packed(TRIO, 8).options["max_tokens"] > 8 * singly
    assert grading(TRIO, 8).options["max_tokens"] < packed(TRIO, 8).options["max_tokens"]


def test_combining_costs_less_than_the_prompts_one_by_one():
    assert combined(TRIO).static_tokens < sum(prompt.static_tokens for prompt in TRIO)


def test_answer_fields_of_the_same_name_are_refused():
    other = PROMPTS["intent"].classifier.model_copy(update={"name": "purpose"})
    with pytest.raises(SettingsError, match=r"intent and purpose both answer in the field 'intent'"):
        combined([PROMPTS["intent"], dataclasses.replace(PROMPTS["intent"], classifier=other)])


def test_prompts_that_want_other_temperatures_are_refused():
    warm = dataclasses.replace(PROMPTS["topic"], options={**PROMPTS["topic"].options, "temperature": 1})
    with pytest.raises(SettingsError, match=r"different values of temperature \(0 and 1\)"):
        combined([PROMPTS["intent"], warm])


def test_the_grader_reads_the_same_questions_and_names_ids():
    prompt = grading(TRIO, 4)
    assert questions_of(PROMPTS["topic"]) in system_of(prompt)
    jsonschema.validate(json.loads('{"checked": 4, "doubtful": ["k3w9pf"]}'), prompt.response_schema)
