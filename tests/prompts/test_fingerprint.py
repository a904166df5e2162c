"""The fingerprint changes with what can change an answer, and with nothing else."""

from pathlib import Path

import pytest

from semtel_dagster.prompts.loader import load_classifier, shipped_folder

SHIPPED = (shipped_folder() / "satisfaction.prompty").read_text(encoding="utf-8")


def fingerprint(folder: Path, text: str) -> str:
    path = folder / "satisfaction.prompty"
    path.write_text(text, encoding="utf-8")
    return load_classifier(path).fingerprint


def edited(old: str, new: str) -> str:
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


SAME = {
    "a comment": edited("metadata:", "# a comment\nmetadata:  # another"),
    "the order of keys": edited(
        "temperature: 0\n    maxOutputTokens: 60\n", "maxOutputTokens: 60\n    temperature: 0\n"
    ),
    "a number's spelling": edited("temperature: 0", "temperature: 0.0"),
    "an alias renamed": edited("[unsatisfied,", "[discontented,"),
    "an alias removed": edited("[unsatisfied, ", "["),
    "the description": edited("description: How satisfied", "description: In what degree satisfied"),
    "the display name": edited("displayName: Satisfaction", "displayName: Contentment"),
    "the model": edited("id: gpt-4o-mini", "id: another-model"),
    "outputs, which are for other tools": edited("From -100 to 100.", "A whole number."),
    "a definition's line breaks": edited(
        "The score is -20 or lower: the user's turns",
        "The score is -20 or\n            lower: the\n            user's turns",
    ),
    "white space before the front matter's end": edited("---\nsystem:", "\n\n---\n\n\nsystem:"),
    "blank lines between messages": edited("\n\nuser:\n", "\n\n\n\nuser:\n\n"),
    "a comment of the template": edited("# Answer", "{# a remark #}# Answer"),
}
OTHER = {
    "a word of a definition": edited("more displeasure", "far more displeasure"),
    "what a label is not": edited("irony such as", "sarcasm such as"),
    "a word of the template": edited("careful annotator", "careless annotator"),
    "a line break of the template": edited("# Answer\nGive", "# Answer\n\nGive"),
    "an option": edited("temperature: 0", "temperature: 0.2"),
    "an option added": edited("    seed: 7", "    seed: 7\n    topP: 0.9"),
    "a label's name": edited("        - name: neutral", "        - name: undecided"),
    "the score's range": edited("maximum: 100", "maximum: 50"),
    "the question": edited("the user's turns alone", "the whole conversation"),
    "the reminder after the transcript": edited("End of the transcript.", "That was all."),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_what_cannot_change_an_answer_leaves_the_fingerprint(tmp_path, text):
    assert fingerprint(tmp_path, text) == fingerprint(tmp_path, SHIPPED)


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_what_can_change_an_answer_changes_the_fingerprint(tmp_path, text):
    assert fingerprint(tmp_path, text) != fingerprint(tmp_path, SHIPPED)


def test_the_order_of_labels_can_change_an_answer(tmp_path):
    first, second = "        - name: neutral\n", "        - name: satisfied\n"
    swapped = SHIPPED.replace(first, "@").replace(second, first).replace("@", second)
    assert fingerprint(tmp_path, swapped) != fingerprint(tmp_path, SHIPPED)


def test_a_fingerprint_is_16_hex_digits(tmp_path):
    value = fingerprint(tmp_path, SHIPPED)
    assert len(value) == 16
    assert int(value, 16) >= 0
