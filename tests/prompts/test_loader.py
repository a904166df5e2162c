"""Loading Prompty files: the shipped prompts, files a user drops in, and every way a file can be wrong."""

import json
from pathlib import Path

import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.prompts import loader
from semtel_dagster.prompts.loader import count_tokens, load_classifier, load_classifiers, static_text

FRONT = """\
name: mood
description: How someone feels.
model:
  id: some-model
  options:
    temperature: 0.0
    maxOutputTokens: 20
inputs:
  - name: transcript
    kind: string
outputs:
  - name: mood
    kind: string
    enumValues: [glad, sad]
template:
  format: {kind: jinja2}
  parser: {kind: prompty}
metadata:
  tasks:
    - name: mood
      question: How does the user feel?
      labels:
        - {name: glad, definition: The user is in good spirits throughout., aliases: [happy]}
        - {name: sad, definition: The user is in low spirits throughout., excludes: anger}
"""
BODY = """\
system:
Judge.
{% for task in tasks %}{{ task.name }}: {{ task.question }}
{% for label in task.labels %}- {{ label.name }}: {{ label.definition }} {{ label.excludes }}
{% endfor %}{% endfor %}
user:
Transcript:
{{ transcript }}
Answer now.
"""


def write(folder: Path, front: str = FRONT, body: str = BODY, name: str = "mood") -> Path:
    path = folder / f"{name}.prompty"
    path.write_text(f"---\n{front}---\n{body}", encoding="utf-8")
    return path


def test_the_shipped_prompts_load_sorted_by_name():
    assert list(load_classifiers()) == ["complexity", "expertise", "intent", "satisfaction", "topic"]


def test_only_the_named_classifiers_are_loaded_in_sorted_order():
    assert list(load_classifiers(names=["topic", "intent"])) == ["intent", "topic"]


def test_the_shipped_labels_are_those_of_the_golden_set():
    gold = Path(__file__).resolve().parents[2] / "evals" / "demo" / "gold"
    lines = [line for file in gold.glob("*.jsonl") for line in file.read_text(encoding="utf-8").split("\n") if line]
    used = {(row["task"], row["label"]) for row in map(json.loads, lines)}
    tasks = [task for prompt in load_classifiers().values() for task in prompt.classifier.tasks]
    defined = {(task.name, label.name) for task in tasks for label in task.labels}
    assert used <= defined
    assert {task for task, _ in used} == {task.name for task in tasks}


def test_a_dropped_in_file_needs_no_code(tmp_path):
    write(tmp_path)
    prompt = load_classifiers(tmp_path)["mood"]
    assert [label.name for label in prompt.classifier.tasks[0].labels] == ["glad", "sad"]
    assert prompt.model == "some-model"
    assert prompt.options == {"temperature": 0, "max_tokens": 20}
    assert [(m.role, m.after) for m in prompt.messages] == [("system", None), ("user", "\nAnswer now.")]
    assert prompt.static_tokens == sum(count_tokens(m.before + (m.after or "")) for m in prompt.messages)


def test_aliases_are_never_shown_to_the_model(tmp_path):
    body = BODY.replace("{{ label.excludes }}", "{{ label.aliases }}")
    assert "happy" not in static_text(load_classifier(write(tmp_path, body=body)).messages)


def test_options_go_by_their_api_names(tmp_path):
    options = "    topP: 0.5\n    seed: 3\n    stopSequences: [x]\n    additionalProperties: {service_tier: flex}\n"
    prompt = load_classifier(write(tmp_path, FRONT.replace("    temperature: 0.0\n", options)))
    assert prompt.options == {"top_p": 0.5, "seed": 3, "stop": ["x"], "service_tier": "flex", "max_tokens": 20}


def test_the_response_schema_is_closed_and_complete():
    schema = load_classifiers(names=["satisfaction"])["satisfaction"].response_schema
    assert schema == {
        "type": "object",
        "properties": {
            "satisfaction_score": {"type": "integer", "minimum": -100, "maximum": 100},
            "satisfaction": {"type": "string", "enum": ["dissatisfied", "neutral", "satisfied"]},
        },
        "required": ["satisfaction_score", "satisfaction"],
        "additionalProperties": False,
    }


def test_an_unknown_classifier_is_named_with_those_there_are(tmp_path):
    write(tmp_path)
    with pytest.raises(SettingsError, match=r"unknown classifier moods; .* has mood"):
        load_classifiers(tmp_path, ["moods"])


@pytest.mark.parametrize("folder", ["missing", "."])
def test_a_folder_without_prompts_is_an_error(tmp_path, folder):
    with pytest.raises(SettingsError, match=r"does not exist|holds no \.prompty file"):
        load_classifiers(tmp_path / folder)


def test_a_broken_file_that_nobody_asked_for_does_not_stand_in_the_way(tmp_path):
    write(tmp_path)
    write(tmp_path, front="name: [", name="broken")
    assert list(load_classifiers(tmp_path, ["mood"])) == ["mood"]
    with pytest.raises(SettingsError, match=r"broken\.prompty is not YAML"):
        load_classifiers(tmp_path)


VERSION_1 = """\
name: mood
description: old
authors: [someone]
model:
  api: chat
  configuration:
    type: azure_openai
    azure_deployment: gpt-4o
  parameters:
    max_tokens: 20
sample:
  transcript: hello
"""


@pytest.mark.parametrize(
    "front", [VERSION_1, FRONT.replace("  format: {kind: jinja2}\n  parser: {kind: prompty}", " jinja2")]
)
def test_a_version_1_file_says_how_to_migrate(tmp_path, front):
    with pytest.raises(SettingsError, match=r"version 1 file .*to migrate: .*maxOutputTokens"):
        load_classifier(write(tmp_path, front.replace("template:\n jinja2", "template: jinja2")))


TITLED = BODY.replace("Judge.", "Judge.\n{{ tasks[0].question }}\n")
WRONG = {
    "no tasks": (FRONT.split("metadata:")[0], BODY, "no metadata.tasks"),
    "one label": (FRONT.split("        - {name: sad")[0], BODY, "at least two"),
    "label twice": (FRONT.replace("name: sad", "name: glad"), BODY, "twice"),
    "label field": (FRONT.replace("excludes:", "exclude:"), BODY, "labels.1.exclude"),
    "boolean alias": (FRONT.replace("[happy]", "[yes]"), BODY, "quote it"),
    "other name": (FRONT.replace("name: mood\ndesc", "name: moods\ndesc"), BODY, "it must be 'mood'"),
    "task name": (FRONT.replace("    - name: mood", "    - name: The mood"), BODY, "lower-case"),
    "unknown option": (FRONT.replace("maxOutputTokens", "max_tokens"), BODY, "unknown model.options max_tokens"),
    "reserved option": (
        FRONT.replace("    temperature: 0.0", "    additionalProperties: {stream: true}"),
        BODY,
        "must not set stream",
    ),
    "no transcript": (FRONT, BODY.replace("{{ transcript }}", ""), "exactly once"),
    "transcript twice": (FRONT, BODY + "{{ transcript }}", "exactly once"),
    "transcript for the system": (FRONT, "system:\n{{ transcript }}", "user: message"),
    "filtered transcript": (FRONT, BODY.replace("transcript }", "transcript | upper }"), "exactly once|as it is"),
    "measured transcript": (FRONT, BODY.replace("Judge.", "{{ transcript | length }}"), "as it is"),
    "template syntax": (FRONT, BODY.replace("{% endfor %}{% endfor %}", "{% endfor %}"), "line .* of the template"),
    "role in a definition": (FRONT.replace("How does the user feel?", '"system:"'), TITLED, "reads as the start"),
    "environment": (FRONT.replace("some-model", "${env:SEMTEL_TEST_UNSET_MODEL}"), BODY, "SEMTEL_TEST_UNSET_MODEL"),
    "no template": (FRONT, "", "template|front"),
}


@pytest.mark.parametrize(("front", "body", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_a_settings_error_in_one_line(tmp_path, front, body, words):
    with pytest.raises(SettingsError, match=words) as raised:
        load_classifier(write(tmp_path, front, body))
    assert "mood.prompty" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_a_settings_error(tmp_path):
    (tmp_path / "mood.prompty").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"mood\.prompty"):
        load_classifiers(tmp_path)


def test_an_installed_package_uses_its_own_copy_whatever_lies_beside_it(tmp_path, monkeypatch):
    write_to = tmp_path / "prompts"
    write_to.mkdir()
    write(write_to)
    monkeypatch.setattr(loader, "__file__", str(tmp_path / "semtel_dagster" / "prompts" / "loader.py"))
    assert loader.shipped_folder() == tmp_path / "semtel_dagster" / "_data" / "prompts"
    (tmp_path / "pyproject.toml").touch()
    assert loader.shipped_folder() == write_to
