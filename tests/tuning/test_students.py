"""Students in a tuning: trained without the sample, measured on it together with the model, written where they pay."""

import json

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from semtel_dagster.cascade.chosen import ASKED_ANYWAY, chosen
from semtel_dagster.cascade.standing import standing
from semtel_dagster.cli import app
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.reducers import CascadeSettings
from semtel_dagster.settings import Settings, load_settings
from semtel_dagster.tuning.running import run
from semtel_dagster.tuning.sample import Sample, sample_of
from semtel_dagster.tuning.students import students_of
from semtel_dagster.tuning.ways import SINGLE, Way
from semtel_dagster.tuning.writing import fields_of
from tests.tuning.builders import PROMPTS, SLOT, WEEK, plan, tuning, turns

STORED, TRIED, NAME = 1_500, 200, "intent"
PROMPT = PROMPTS[NAME]
LABELS = [label.name for label in PROMPT.classifier.tasks[0].labels][:3]
WANTED = 0.9


def truth(number):
    return LABELS[number % 3]


def vectors(count, hashes, spread=0.5):
    """Around one centre per label, so that a student can learn them."""
    rng = np.random.default_rng(1)
    centres = 2 * np.eye(6)
    rows = [centres[number % 3] + spread * rng.normal(size=6) for number in range(count)]
    return pl.DataFrame({"content_hash": hashes, "embedding": rows, "model": ["clouds"] * count})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A storage with a labelled week, the conversations of a sample of it, and all of the week's hashes."""
    storage = tmp_path_factory.mktemp("students")
    options = CascadeSettings(agreement=0.6, min_examples=50, random_share=0.1)
    settings = Settings(storage=str(storage), classifiers=(NAME,), cascade=options)
    week = Sample({f"c{number:04}": turns(number) for number in range(STORED)}, settings)
    hashes = list(week.cut(SINGLE).hashes.values())
    labels = pl.DataFrame({
        "conversation_id": list(week.conversations),
        "content_hash": hashes,
        "task": [NAME] * STORED,
        "label": [truth(number) for number in range(STORED)],
        "label_status": ["valid"] * STORED,
        "model": ["m"] * STORED,
        "prompt_fingerprint": [PROMPT.fingerprint] * STORED,
    })  # fmt: skip
    said = [[{"role": turn.role, "content": turn.content} for turn in each] for each in week.conversations.values()]
    asked = labels.select("conversation_id", "content_hash").with_columns(messages=pl.Series(said))
    for folder, table in ((f"labels/week={WEEK}/classifier={NAME}", labels),
                          (f"conversation_embeddings/week={WEEK}", vectors(STORED, hashes)),
                          (f"distinct_conversations/week={WEEK}", asked.drop("messages")),
                          (f"sampled_conversations/week={WEEK}", asked.drop("content_hash"))):  # fmt: skip
        (storage / folder).mkdir(parents=True)
        table.write_parquet(storage / folder / "part-0.parquet")
    return sample_of(settings, TRIED), dict(zip(week.conversations, hashes, strict=True))


@pytest.fixture(scope="module")
def students(stored):
    sample, _ = stored
    return students_of(sample, {NAME: PROMPT}, WANTED, 0.95)


def test_a_student_learns_from_no_conversation_that_it_is_judged_by(stored, students):
    sample, _ = stored
    trained = students.trained[NAME]
    assert trained.fitted + trained.held_out < STORED - TRIED  # and a few that tune the temperatures
    assert trained.fitted + trained.held_out > 0.8 * (STORED - TRIED)
    relabelled = Sample(dict(list(sample.conversations.items())[:-1]), sample.settings)
    assert students_of(relabelled, {NAME: PROMPT}, WANTED, 0.95).trained[NAME].version != trained.version


def test_it_answers_what_it_is_sure_of_but_for_the_share_that_is_asked_anyway(stored, students):
    sample, hashes = stored
    told = students.known[NAME]
    cases = list(sample.conversations)
    anyway = chosen([hashes[case] for case in cases], sample.settings.cascade.random_share, ASKED_ANYWAY)
    assert not told.keys() & {case for case, asked in zip(cases, anyway, strict=True) if asked}
    assert 0.5 * TRIED < len(told) < TRIED
    right = sum(labels == (truth(int(case[1:])),) for case, labels in told.items())
    assert right / len(told) > WANTED


def test_it_promises_what_the_tuning_wants_and_not_what_the_settings_say(students):
    assert (students.trained[NAME].agreement, students.trained[NAME].confidence) == (WANTED, 0.95)


@pytest.mark.parametrize(
    ("prompt", "why"), [("complexity", "no week has labels"), ("satisfaction", "a score")]
)  # fmt: skip
def test_a_classifier_without_a_student_says_why(stored, prompt, why):
    from semtel_dagster.prompts.loader import load_classifiers

    sample, _ = stored
    found = students_of(sample, load_classifiers(names=(prompt,)), WANTED, 0.95)
    assert not found.known
    (note,) = found.notes
    assert f"No student was tried for {prompt}" in note
    assert why in note


def test_too_few_labels_train_nothing_and_say_how_many_it_takes(stored):
    sample, _ = stored
    greedy = sample.settings.model_copy(update={"cascade": CascadeSettings(min_examples=5_000)})
    (note,) = students_of(Sample(sample.conversations, greedy), {NAME: PROMPT}, WANTED, 0.95).notes
    assert "needs 5,000 of each" in note


@pytest.fixture(scope="module")
def found(stored, students):
    """A tuning with that student, against a model that says the truth singly and loses much in company."""
    sample, _ = stored
    told = {key: {NAME: truth(int(case[1:]))} for case, key in sample.cut(SINGLE).hashes.items()}
    script = Script(answers={"style": "confusion", "truth": told, "accuracy": 1.0}, slot=SLOT,
                    packs={"size_loss": 0.9})  # fmt: skip
    with serve(script) as server:
        wanted = tuning(sample, server.base_url, agreement=WANTED, repeats=1, students=students)
        wanted = type(wanted)(**{**vars(wanted), "prompts": {NAME: PROMPT}, "plan": plan(server.base_url)})
        *_, (_, outcome) = run(wanted)
        *_, (_, again) = run(wanted)
        return outcome, again, server.stats(conversations=False)["calls"]


def test_only_the_rest_is_asked_and_the_agreement_is_that_of_both_together(stored, students, found):
    outcome, _, calls = found
    by_way = {each.way: each for each in outcome.measured}
    cascade, told = by_way[Way(cascade=True)], students.known[NAME]
    assert cascade.calls == TRIED - len(told)
    assert cascade.tokens == pytest.approx(by_way[SINGLE].tokens * cascade.calls / TRIED, rel=0.05)
    wrong = sum(labels != (truth(int(case[1:])),) for case, labels in told.items())
    assert cascade.worst.hits == TRIED - wrong
    assert cascade.worst.n == TRIED
    company = by_way[Way(cascade=True, pack=2)]
    assert company.calls < cascade.calls
    assert company.worst.hits < cascade.worst.hits
    assert calls == outcome.made


def test_it_is_chosen_where_nothing_cheaper_keeps_the_promise(found):
    outcome, again, _ = found
    assert outcome.choice.chosen.way == Way(cascade=True)
    assert again.made == 0
    assert again.measured == outcome.measured


def test_the_command_makes_those_that_were_measured_answer(stored, students, found, tmp_path):
    sample, _ = stored
    file = tmp_path / "semtel.yaml"
    given = {
        "storage": sample.settings.storage,
        "classifiers": [NAME],
        "cascade": {"min_examples": 50, "random_share": 0.1},
        "endpoints": [{"name": "one", "base_url": "http://127.0.0.1:9/v1", "model": "m", "price": {"input": 1.0}}],
    }
    file.write_text("# mine\n" + yaml.safe_dump(given))
    assert standing(load_settings(file), PROMPT, WEEK).trained is None
    options = ["tune", "--agreement", str(WANTED), "--sample", str(TRIED), "--repeats", "1", "--settings", str(file)]
    shown = CliRunner().invoke(app, [*options, "--json"])  # all answers are known: nobody is called at this address
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["chosen"] == "cascade"
    assert standing(load_settings(file), PROMPT, WEEK).trained is None
    done = CliRunner().invoke(app, [*options, "--write"])
    assert done.exit_code == 0, done.output
    tuned = load_settings(file)
    assert tuned.cascade.classifiers == (NAME,)
    assert (tuned.cascade.agreement, tuned.cascade.confidence) == (WANTED, 0.95)
    assert standing(tuned, PROMPT, WEEK).trained.version == students.trained[NAME].version
    assert fields_of(Way(cascade=True), tuned, (), students) == {}
