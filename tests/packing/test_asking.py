"""Asking in company against a scripted server: every row answered once, by its own answer, paid for once."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.packing.asking import AskInCompany, Company, asking, company_of
from semtel_dagster.packing.names import fingerprint_in_company
from semtel_dagster.reducers import PackSettings
from semtel_dagster.repair import AskAndRepair
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.settings import EndpointSettings, Settings
from tests.packing.builders import PROMPTS, SLOT, ask, changed, total, transcripts, truth
from tests.requests.builders import endpoint, hash_of, plan

pytestmark = pytest.mark.timeout(120)

STRIKES = dict.fromkeys(["cut", "reordered", "duplicated", "contradicted", "missing", "invented"], 0.12)
TEXTS = transcripts(300)
ALL = transcripts(2400)
TRUTH = truth(ALL)


def script(accuracy=1.0, **fields):
    """A server that knows what is true about every transcript, packed or not."""
    return Script(answers={"style": "confusion", "truth": TRUTH, "accuracy": accuracy}, slot=SLOT, **fields)


@pytest.fixture(scope="module")
def server():
    with serve(script()) as running:
        yield running


@pytest.fixture
def fresh(server):
    """The server with nothing counted."""
    server.set_script(script())
    server.reset()
    return server


def labels(table, task="colour"):
    return {
        one: json.loads(text)[task]
        for one, text in zip(table["content_hash"].to_pylist(), table["raw_text"].to_pylist(), strict=True)
    }


def right(texts, task="colour"):
    return {hash_of(text): TRUTH[hash_of(text)][task] for text in texts}


def charged(server):
    stats = server.stats(conversations=False)
    return stats["prompt_tokens"], stats["cached_tokens"], stats["completion_tokens"]


def columns(*tables):
    return tuple(sum(total(table, name) for table in tables)
                 for name in ("input_tokens", "cached_tokens", "output_tokens"))  # fmt: skip


@pytest.mark.parametrize("strike", STRIKES)
def test_no_fault_of_an_answer_loses_or_swaps_a_row(fresh, tmp_path, strike):
    fresh.set_script(script(packs={strike: 0.5}))
    table, figures = ask(plan(tmp_path, endpoint(fresh.base_url)), TEXTS, conversations=8)
    assert labels(table) == right(TEXTS)
    assert figures.done == figures.answered == table.num_rows == len(TEXTS)
    assert figures.calls == total(table, "attempts") == fresh.stats()["calls"]
    assert columns(table) == charged(fresh) == (figures.input_tokens, figures.cached_tokens, figures.output_tokens)


def test_all_faults_together_for_two_classifiers(fresh, tmp_path):
    fresh.set_script(script(packs=STRIKES, faults={"error_500": 0.05, "truncated": 0.05, "refused_429": 0.02}))
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    colour, _ = ask(a_plan, TEXTS, prompts=PROMPTS, conversations=8)
    shape, figures = ask(a_plan, TEXTS, target="shape", prompts=PROMPTS, conversations=8)
    assert labels(colour) == right(TEXTS)
    assert labels(shape, "shape") == right(TEXTS, "shape")
    # What the first run could not bring along is all that the second one asks.
    assert figures.calls < 30


def test_packs_save_calls_and_tokens(fresh, tmp_path):
    _, packed = ask(plan(tmp_path / "packs", endpoint(fresh.base_url)), TEXTS, conversations=10)
    _, singly = ask(plan(tmp_path / "single", endpoint(fresh.base_url)), TEXTS, conversations=1)
    assert (packed.calls, singly.calls) == (30, 300)


def test_a_second_run_makes_no_call(fresh, tmp_path):
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    first, _ = ask(a_plan, TEXTS, conversations=8)
    again, figures = ask(a_plan, TEXTS, conversations=8)
    assert (figures.calls, figures.from_journal) == (0, 300)
    assert labels(again) == labels(first)


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


def test_single_answers_count_in_company(fresh, tmp_path):
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    ask(a_plan, TEXTS[:100])
    _, figures = ask(a_plan, TEXTS, conversations=8)
    assert (figures.from_journal, figures.calls) == (100, 25)


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


@pytest.mark.parametrize("fault", ["filtered_400", "context_length", "filtered_200"])
def test_one_conversation_that_is_refused_fails_alone(fresh, tmp_path, fault):
    fresh.set_script(script(faults={fault: 0.5}))
    table, _ = ask(plan(tmp_path, endpoint(fresh.base_url)), TEXTS, conversations=8)
    answered = [row for row in table.to_pylist() if row["status"] == "answered"]
    assert 200 < len(answered) < 300
    assert {row["content_hash"]: json.loads(row["raw_text"])["colour"] for row in answered}.items() <= right(
        TEXTS
    ).items()
    assert total(table, "attempts") == fresh.stats()["calls"]


def test_no_endpoint_ends_every_row_with_the_reason(tmp_path):
    table, figures = ask(plan(tmp_path, endpoint("http://127.0.0.1:9/v1"), give_up_s=0.5), TEXTS, conversations=8)
    assert {(row["status"], row["error"]) for row in table.to_pylist()} == {("failed", "unreachable")}
    assert figures.failed == table.num_rows == 300
    assert total(table, "attempts") == figures.calls


def test_the_grader_finds_what_is_wrong_and_it_is_asked_singly(fresh, tmp_path):
    fresh.set_script(script(packs={"size_loss": 0.03, "grader_finds": 1.0}))
    without, _ = ask(plan(tmp_path / "a", endpoint(fresh.base_url)), TEXTS, conversations=8)
    assert labels(without) != right(TEXTS)
    fresh.reset()
    a_plan = plan(tmp_path / "b", endpoint(fresh.base_url))
    graded, figures = ask(a_plan, TEXTS, conversations=8, grade=True)
    assert labels(graded) == right(TEXTS)
    assert columns(graded) == charged(fresh)
    assert figures.calls == total(graded, "attempts")
    assert ask(a_plan, TEXTS, conversations=8, grade=True)[1].calls == 0


def test_answers_that_no_grader_saw_are_graded_later(fresh, tmp_path):
    fresh.set_script(script(packs={"size_loss": 0.03}))
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    ask(a_plan, TEXTS, conversations=8)
    graded, figures = ask(a_plan, TEXTS, conversations=8, grade=True)
    assert labels(graded) == right(TEXTS)
    assert 38 < figures.calls < 200
    assert ask(a_plan, TEXTS, conversations=8, grade=True)[1].calls == 0


def test_rows_with_the_same_text_share_one_answer(fresh, tmp_path):
    table, figures = ask(plan(tmp_path, endpoint(fresh.base_url)), [*TEXTS[:20], *TEXTS[:10]], conversations=5)
    assert (table.num_rows, figures.calls, total(table, "attempts")) == (30, 4, 4)


def test_a_conversation_too_long_for_a_pack_is_asked_singly(fresh, tmp_path):
    long = "user:\n> " + "word " * 2000
    table, figures = ask(plan(tmp_path, endpoint(fresh.base_url)), [*TEXTS[:16], long], conversations=8, max_tokens=500)
    assert table.num_rows == 17
    assert PROMPTS["colour"].fingerprint in table["prompt_fingerprint"].to_pylist()
    assert figures.calls == 3


def test_the_models_context_bounds_a_pack(fresh, tmp_path):
    fresh.set_script(script(max_context_tokens=1024))
    long = [f"user:\n> {number} " + "word " * 150 for number in range(24)]
    table, figures = ask(plan(tmp_path, endpoint(fresh.base_url)), long, conversations=12, context=1024)
    assert set(table["status"].to_pylist()) == {"answered"}
    assert 24 / 12 < figures.calls <= 24


def test_batches_of_the_input_do_not_change_the_packs(fresh, tmp_path):
    from tests.requests.builders import batches

    fingerprints = []
    for size in (7, 300):
        function = AskInCompany("colour", Company({"colour": PROMPTS["colour"]}, PackSettings(conversations=8)),
                                plan(tmp_path / str(size), endpoint(fresh.base_url)))  # fmt: skip
        fresh.reset()
        list(function(batches(TEXTS, size)))
        fingerprints.append(set(fresh.stats()["conversations"]))
    assert fingerprints[0] == fingerprints[1]


def test_another_seed_makes_other_packs(fresh, tmp_path):
    seen = []
    for seed in (0, 1):
        fresh.reset()
        ask(plan(tmp_path / str(seed), endpoint(fresh.base_url)), TEXTS, conversations=8, seed=seed)
        seen.append(set(fresh.stats()["conversations"]))
    assert seen[0].isdisjoint(seen[1])


def test_the_function_can_be_pickled(tmp_path):
    company = Company(dict(PROMPTS), PackSettings(conversations="auto"))
    function = AskInCompany("colour", company, plan(tmp_path, endpoint("http://127.0.0.1:9/v1")))
    assert pickle.loads(pickle.dumps(function)) == function


KILLED = """
import sys
from tests.packing.builders import *
from tests.requests.builders import *
a_plan = plan(sys.argv[1], endpoint(sys.argv[2]), requests={"flush_s": 0.3}, hedge=False)
function = AskInCompany("colour", Company(PROMPTS, PackSettings(conversations=8, grade=sys.argv[3] == "grade")), a_plan)
for batch in function(batches(transcripts(2400))):
    print(batch.num_rows, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "grade"])
def test_a_killed_run_asks_again_only_what_was_not_synced(fresh, tmp_path, mode):
    fresh.set_script(script(latency={"median_s": 0.15, "sigma": 0.2}))
    command = [sys.executable, "-c", KILLED, str(tmp_path), fresh.base_url, mode]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while sum(fresh.stats()["paid_in_packs"].values()) < 800:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(1.0)
    paid_before = len(fresh.stats()["paid_in_packs"])
    synced = {
        name: len(Company(dict(PROMPTS), PackSettings(conversations=8)).shelf(name, str(tmp_path), ("m",)))
        for name in PROMPTS
    }
    # Both classifiers' parts of an answer are synced, or neither's is found.
    assert 0 < min(synced.values()) <= max(synced.values()) <= paid_before
    a_plan = plan(tmp_path, endpoint(fresh.base_url), hedge=False)
    table, figures = ask(a_plan, ALL, prompts=PROMPTS, conversations=8, grade=mode == "grade")
    assert labels(table) == right(ALL)
    assert figures.failed == 0
    calls = fresh.stats()["paid_in_packs"].values()
    assert max(calls) <= 2
    assert sum(calls) - len(calls) <= paid_before - min(synced.values())


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


def test_a_conversation_that_breaks_the_server_fails_alone(fresh, tmp_path):
    fresh.set_script(script(faults={"error_500": 0.4, "sticky": "all"}))
    table, _ = ask(plan(tmp_path, endpoint(fresh.base_url), requests={"max_attempts": 2}), TEXTS, conversations=8)
    rows = table.to_pylist()
    assert len(rows) == 300
    assert {row["error"] for row in rows if row["status"] == "failed"} == {"server_error (HTTP 500)"}
    assert sum(row["status"] == "answered" for row in rows) > 0.7 * 300
