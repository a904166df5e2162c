"""One call for several classifiers: each has its own answers, its own journal and its part of the charge."""

import pytest

from semtel_dagster.packing.asking import Company, asking, company_of
from semtel_dagster.packing.names import fingerprint_in_company
from semtel_dagster.reducers import PackSettings
from semtel_dagster.repair import AskAndRepair
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.settings import EndpointSettings, Settings
from tests.packing.answers import charged, columns, labels, right, script
from tests.packing.builders import PROMPTS, ask, changed, transcripts
from tests.requests.builders import endpoint, plan

pytestmark = pytest.mark.timeout(120)

STRIKES = dict.fromkeys(["cut", "reordered", "duplicated", "contradicted", "missing", "invented"], 0.12)
TEXTS = transcripts(300)


def test_all_faults_together_for_two_classifiers(fresh, tmp_path):
    fresh.set_script(script(packs=STRIKES, faults={"error_500": 0.05, "truncated": 0.05, "refused_429": 0.02}))
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    colour, _ = ask(a_plan, TEXTS, prompts=PROMPTS, conversations=8)
    shape, figures = ask(a_plan, TEXTS, target="shape", prompts=PROMPTS, conversations=8)
    assert labels(colour) == right(TEXTS)
    assert labels(shape, "shape") == right(TEXTS, "shape")
    # What the first run could not bring along is all that the second one asks.
    assert figures.calls < 30


def test_one_call_answers_for_all_classifiers_and_each_counts_its_part(fresh, tmp_path):
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    colour, first = ask(a_plan, TEXTS, prompts=PROMPTS)
    shape, second = ask(a_plan, TEXTS, target="shape", prompts=PROMPTS)
    assert (first.calls, second.calls, second.answered) == (300, 0, 300)
    assert labels(colour) == right(TEXTS)
    assert labels(shape, "shape") == right(TEXTS, "shape")
    assert columns(colour, shape) == charged(fresh)
    # What was brought along counts in the run that takes it, and once.
    assert set(shape["from_journal"].to_pylist()) == {False}
    again, _ = ask(a_plan, TEXTS, target="shape", prompts=PROMPTS)
    assert set(again["from_journal"].to_pylist()) == {True}


def test_an_answer_in_company_is_never_taken_for_a_single_calls(fresh, tmp_path):
    a_plan, own = plan(tmp_path, endpoint(fresh.base_url)), PROMPTS["colour"].fingerprint
    together, _ = ask(a_plan, TEXTS[:50], prompts=PROMPTS)
    packed, _ = ask(a_plan, TEXTS[50:100], conversations=5)
    assert set(together["prompt_fingerprint"].to_pylist()) == {fingerprint_in_company(own, ["shape"], packed=False)}
    assert set(packed["prompt_fingerprint"].to_pylist()) == {fingerprint_in_company(own, [], packed=True)}
    _, alone = ask(a_plan, TEXTS[:100])
    assert alone.calls == 100


def test_a_changed_prompt_re_asks_its_own_task_only(fresh, tmp_path):
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    for target in PROMPTS:
        ask(a_plan, TEXTS, target=target, prompts=PROMPTS)
    edited = {**PROMPTS, "shape": changed(PROMPTS["shape"], "Which one, on the whole?")}
    _, colour = ask(a_plan, TEXTS, prompts=edited)
    shape, figures = ask(a_plan, TEXTS, target="shape", prompts=edited)
    assert (colour.calls, figures.calls) == (0, 300)
    assert set(shape["prompt_fingerprint"].to_pylist()) == {edited["shape"].fingerprint}


def test_what_one_classifier_lacks_is_asked_with_those_that_lack_it_too(fresh, tmp_path):
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    ask(a_plan, TEXTS[:100], target="shape", prompts={"shape": PROMPTS["shape"]})
    ask(a_plan, TEXTS, prompts=PROMPTS)
    shape, figures = ask(a_plan, TEXTS, target="shape", prompts=PROMPTS)
    assert figures.calls == 0
    singly = PROMPTS["shape"].fingerprint
    assert shape["prompt_fingerprint"].to_pylist().count(singly) == 100


def test_the_settings_say_who_is_asked_with_whom():
    settings = Settings(combine=["colour", "shape"], pack={"conversations": 4})
    company = company_of(settings, PROMPTS, "shape")
    assert list(company.prompts) == ["colour", "shape"]
    assert company_of(Settings(), PROMPTS, "shape") is None
    assert list(company_of(Settings(pack={"conversations": 2}), PROMPTS, "shape").prompts) == ["shape"]


def test_a_group_with_an_unknown_classifier_is_an_error_that_names_it():
    from semtel_dagster.errors import SettingsError

    with pytest.raises(SettingsError, match="combine names size, which is no classifier of this project"):
        company_of(Settings(combine=["colour", "size"]), PROMPTS, "colour")


def test_the_embedded_model_is_always_asked_singly(tmp_path):
    company = Company(dict(PROMPTS), PackSettings(conversations=8))
    embedded = EndpointSettings(name="embedded", kind="embedded")
    assert isinstance(asking(ClassifyBatches(PROMPTS["colour"], plan(tmp_path, embedded)), company), AskAndRepair)
    both = asking(
        ClassifyBatches(PROMPTS["colour"], plan(tmp_path, embedded, endpoint("http://127.0.0.1:9/v1"))), company
    )
    assert [each.name for each in both.plan.endpoints] == ["one"]
