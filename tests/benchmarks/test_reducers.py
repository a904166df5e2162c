"""How the reducers' benchmark asks: batches through files at their price, and a run that goes on where one ended."""

import pytest

from benchmarks.reducers_asked import BATCHES, Kept, TimeIsOver, add_batched, plan_to, record
from benchmarks.reducers_data import Data
from benchmarks.reducers_shown import rows_of
from semtel_dagster.loopback.process import serve
from semtel_dagster.tuning.said import Said
from semtel_dagster.tuning.ways import SINGLE, Way
from tests.tuning.builders import NAMES, PROMPTS, sample, script

COUNT = 30


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    a_sample = sample(tmp_path_factory.mktemp("reducers") / "storage", COUNT)
    truth = script(a_sample).answers.truth
    told = {name: {case: truth[key][name] for case, key in a_sample.cut(SINGLE).hashes.items()} for name in NAMES}
    return Data("made up", PROMPTS, a_sample, told)


@pytest.fixture(scope="module")
def server(data):
    with serve(script(data.sample)) as running:
        yield running


def test_batches_are_files_with_the_same_answers_at_their_own_price(data, server):
    recorded = record(data, plan_to(server.base_url), ((SINGLE,),))
    server.reset()
    add_batched(recorded, SINGLE, plan_to(server.base_url), repeats=1)
    single, batched = recorded.measured[SINGLE], recorded.measured[Way(batch=True)]
    assert server.stats(conversations=False)["batches_created"] == len(NAMES)
    assert batched.calls == len(NAMES) * COUNT
    assert (batched.worst.hits, batched.worst.n) == (COUNT, COUNT)
    assert batched.input_tokens == single.input_tokens
    assert batched.cost_usd == pytest.approx(single.cost_usd * BATCHES.price_factor)
    assert recorded.right(Way(batch=True)) == 1
    assert [row.cheaper for row in rows_of(recorded)] == [1, pytest.approx(1 / BATCHES.price_factor)]


def test_what_is_kept_is_not_asked_again_and_nothing_new_is_asked_after_the_time(data, tmp_path):
    def ask_now() -> list[Said]:
        return [Said({}, calls=7)]

    assert Kept(tmp_path).runs(data, SINGLE, ask_now) == ask_now()
    over = Kept(tmp_path, until=0.0)
    assert over.runs(data, SINGLE, lambda: []) == ask_now()
    with pytest.raises(TimeIsOver, match="packs of 4"):
        over.runs(data, Way(pack=4), ask_now)
