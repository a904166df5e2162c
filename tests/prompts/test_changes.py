"""What changed between two prompts is told in words; old prompts are kept and come back whole."""

from dataclasses import replace

import pytest

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.prompts.archive import keep, kept, recall
from semtel_dagster.prompts.changes import changes
from semtel_dagster.prompts.loader import load_classifier, shipped_folder


@pytest.fixture(scope="module")
def text():
    return (shipped_folder() / "expertise.prompty").read_text(encoding="utf-8")


@pytest.fixture
def edited(tmp_path, text):
    """Compiles the shipped prompt with texts replaced."""

    def compile_with(*pairs: tuple[str, str]) -> CompiledPrompt:
        new = text
        for old, other in pairs:
            assert old in new
            new = new.replace(old, other)
        file = tmp_path / "expertise.prompty"
        file.write_text(new, encoding="utf-8")
        return load_classifier(file)

    return compile_with


def test_an_edited_definition_is_told_by_its_label_with_both_texts(edited):
    told = changes(edited(), edited(("Knows the basic words and goals and asks", "Knows some basic words and asks")))
    assert any(
        line.startswith("label beginner of user_expertise: definition:")
        and "basic words and goals" in line
        and "became" in line
        and "some basic words" in line
        for line in told
    )
    assert not any(line.startswith("messages") for line in told)


def test_an_option_is_told_with_both_values(edited):
    assert changes(edited(), edited(("temperature: 0", "temperature: 0.5"))) == ["option temperature: 0 became 0.5"]


def test_a_question_is_told(edited):
    told = changes(edited(), edited(("How much does the user know", "How much may the user know")))
    assert told
    assert "task user_expertise: the question changed" in told[0]


def test_a_line_of_the_template_is_told_as_removed_and_added(edited):
    told = changes(edited(), edited(("End of the transcript.", "That was the transcript.")))
    assert len(told) == 1
    assert told[0].startswith("messages: removed ")
    assert "That was the transcript." in told[0]


def test_equal_prompts_have_no_changes_whatever_their_comments(edited):
    assert changes(edited(), edited(("---\nname: expertise", "---\n# hello\nname: expertise"))) == []


def test_a_label_that_came_or_went_is_told(edited):
    prompt = edited()
    task = prompt.classifier.tasks[0]
    fewer = task.model_copy(update={"labels": task.labels[1:]})
    classifier = prompt.classifier.model_copy(update={"tasks": (fewer, *prompt.classifier.tasks[1:])})
    other = replace(prompt, classifier=classifier, fingerprint="0" * 16)
    assert changes(prompt, other)[0] == "label novice of user_expertise was removed"
    assert changes(other, prompt)[0].startswith("label novice of user_expertise was added: ")


def test_something_is_always_said_when_the_fingerprints_differ(edited):
    prompt = edited()
    assert changes(prompt, replace(prompt, fingerprint="1" * 16))


def test_a_kept_prompt_comes_back_whole_and_is_written_once(tmp_path, edited):
    prompt = edited()
    path = keep(prompt, str(tmp_path))
    written = path.stat().st_mtime_ns
    assert keep(prompt, str(tmp_path)).stat().st_mtime_ns == written
    assert recall(str(tmp_path), "expertise", prompt.fingerprint) == replace(prompt, extra={})
    assert kept(str(tmp_path), "expertise") == [prompt.fingerprint]
    assert recall(str(tmp_path), "expertise", "0" * 16) is None
