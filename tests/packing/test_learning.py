"""Learning the size of packs from the agreement with single calls."""

import orjson
import pytest

from semtel_dagster.packing.agreement import FOLDER
from tests.packing.answers import columns, labels, right, script
from tests.packing.builders import PROMPTS, ask, total, transcripts
from tests.requests.builders import endpoint, plan

pytestmark = pytest.mark.timeout(120)

TEXTS = transcripts(900)
AUTO = {"conversations": "auto", "agreement": 0.85, "sample": 200, "random_share": 0.05}


@pytest.fixture
def fresh(server):
    server.set_script(script(packs={"size_loss": 0.01}))
    server.reset()
    return server


def evidence(folder):
    (file,) = (folder / FOLDER).glob("*.json")
    return {int(size): counts for size, counts in orjson.loads(file.read_bytes())["sizes"].items()}


def test_the_largest_size_that_agrees_enough_is_learned_and_used(fresh, tmp_path):
    table, figures = ask(plan(tmp_path, endpoint(fresh.base_url), hedge=False), TEXTS, **AUTO)
    tried = evidence(tmp_path)
    # One label in a hundred is lost per companion: 7 % at 8, 15 % at 16.
    assert sorted(tried) == [2, 4, 8, 16]
    assert all(tried[size]["colour"][1] >= 200 for size in (2, 4, 8, 16))
    wrong = {one for one, label in labels(table).items() if right(TEXTS)[one] != label}
    assert 0 < len(wrong) < 0.15 * 700
    assert figures.calls == total(table, "attempts") == fresh.stats()["calls"]
    assert columns(table)[0] == fresh.stats()["prompt_tokens"]
    # 200 singly, 100 + 50 + 25 + 13 packs to learn, 88 packs of 8, and a share of those singly as well.
    assert 200 + 188 + 88 < figures.calls < 200 + 188 + 88 + 70


@pytest.mark.slow
def test_what_was_learned_serves_the_next_run_and_the_share_goes_on(fresh, tmp_path):
    modest = AUTO | {"agreement": 0.8, "largest": 8}
    a_plan = plan(tmp_path, endpoint(fresh.base_url), hedge=False)
    ask(a_plan, TEXTS[:250], **modest)
    seen = evidence(tmp_path)[8]["colour"][1]
    _, figures = ask(a_plan, TEXTS, **modest)
    assert figures.from_journal == 250
    assert 650 / 8 < figures.calls < 82 + 65
    assert evidence(tmp_path)[8]["colour"][1] > seen


def test_where_even_pairs_disagree_everything_is_asked_singly(fresh, tmp_path):
    fresh.set_script(script(packs={"size_loss": 0.3}))
    table, figures = ask(plan(tmp_path, endpoint(fresh.base_url), hedge=False), TEXTS[:300], **AUTO)
    assert labels(table) == right(TEXTS[:300])
    assert sorted(evidence(tmp_path)) == [2]
    assert figures.calls == 300 + 100


@pytest.mark.slow
def test_agreement_that_is_lost_later_makes_packs_smaller(fresh, tmp_path):
    a_plan = plan(tmp_path, endpoint(fresh.base_url), hedge=False)
    ask(a_plan, TEXTS[:250], **AUTO)
    fresh.set_script(script(packs={"size_loss": 0.1}))
    ask(a_plan, TEXTS, **(AUTO | {"random_share": 0.5}))
    fresh.reset()
    _, figures = ask(a_plan, transcripts(1100), **AUTO)
    assert figures.calls >= 200 / 4


def test_too_few_conversations_to_learn_from_are_asked_singly(fresh, tmp_path):
    table, figures = ask(plan(tmp_path, endpoint(fresh.base_url), hedge=False), TEXTS[:15], **AUTO)
    assert (figures.calls, table.num_rows) == (15, 15)
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.slow
def test_a_group_learns_for_all_its_classifiers_and_single_answers_are_paid_once(fresh, tmp_path):
    a_plan = plan(tmp_path, endpoint(fresh.base_url), hedge=False)
    colour, first = ask(a_plan, TEXTS, prompts=PROMPTS, **AUTO)
    shape, second = ask(a_plan, TEXTS, target="shape", prompts=PROMPTS, **AUTO)
    assert set(evidence(tmp_path)[2]) == {"colour", "shape"}
    assert second.calls == 0
    assert total(colour, "attempts") + total(shape, "attempts") == first.calls == fresh.stats()["calls"]
    assert columns(colour, shape)[0] == fresh.stats()["prompt_tokens"]
