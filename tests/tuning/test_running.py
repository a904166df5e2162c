"""A tuning against a server whose labels get worse in company: what is measured, what is chosen, what is asked."""

import json
from dataclasses import replace
from operator import attrgetter

import pytest
import yaml
from typer.testing import CliRunner

from semtel_dagster.cli import app
from semtel_dagster.errors import EndpointError, SettingsError
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.reducers import CompressSettings, SentenceSettings
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, RequestSettings, load_settings
from semtel_dagster.tuning.asking import ask
from semtel_dagster.tuning.running import remote, run
from semtel_dagster.tuning.sample import sample_of
from semtel_dagster.tuning.ways import SINGLE, Way
from tests.tuning.builders import NAMES, PROMPTS, sample, script, tuning, write_tables

COUNT = 80
KEPT = CompressSettings(sentences=SentenceSettings(keep=0.5))


@pytest.fixture(scope="module")
def server():
    with serve() as running:
        yield running


def found_by(a_tuning):
    *_, (_, found) = run(a_tuning)
    return found


def measured(found):
    return {each.way: each for each in found.measured}


@pytest.fixture(scope="module")
def lossless(server, tmp_path_factory):
    """A server that company costs nothing, asked twice in every way, and then the same tuning again."""
    a_sample = sample(tmp_path_factory.mktemp("lossless"), COUNT)
    server.set_script(script(a_sample))
    server.reset()
    first = found_by(tuning(a_sample, server.base_url, agreement=0.9))
    stats = server.stats(conversations=False)
    again = found_by(tuning(a_sample, server.base_url, agreement=0.9))
    return first, stats, again, server.stats(conversations=False)


def test_where_company_costs_nothing_the_cheapest_way_is_taken(lossless):
    found, *_ = lossless
    by_way = measured(found)
    assert found.choice.chosen.cost_usd == min(each.cost_usd for each in found.measured)
    assert found.choice.chosen.way.combine
    assert found.choice.chosen.way.pack == 32
    assert all(rate.value == 1 for each in found.measured for rate in each.agreement.values())
    assert by_way[SINGLE].calls == 2 * COUNT
    assert by_way[Way(combine=True)].calls == COUNT
    assert by_way[Way(pack=4)].calls == 2 * COUNT / 4
    assert by_way[Way(combine=True, pack=8)].calls == COUNT / 8
    assert by_way[Way(pack=4)].flips.value == 0
    assert by_way[SINGLE].tokens > 3 * by_way[Way(combine=True, pack=8)].tokens


def test_every_call_and_every_token_is_counted(lossless):
    found, stats, _, _ = lossless
    assert found.made == stats["calls"] == 2 * sum(each.calls for each in found.measured)
    for column, name in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")):
        assert stats[column] == pytest.approx(2 * sum(getattr(each, name) for each in found.measured), rel=0.02)


def test_a_second_tuning_costs_nothing_and_finds_the_same(lossless):
    first, stats, again, after = lossless
    assert again.made == 0
    assert after["calls"] == stats["calls"]
    assert again.choice == first.choice
    assert again.measured == first.measured


def test_where_company_costs_labels_the_sequence_ends_and_single_calls_stay(server, tmp_path):
    a_sample = sample(tmp_path, COUNT)
    server.set_script(script(a_sample, size_loss=0.4, position_loss=0.2))
    by_way = measured(found := found_by(tuning(a_sample, server.base_url, agreement=0.9)))
    assert by_way[Way(pack=2)].worst.value < 0.9
    assert Way(pack=4) not in by_way
    assert Way(pack=2) not in found.choice.passed
    assert by_way[Way(pack=2)].flips.value > 0.1  # other packs, other losses
    assert found.choice.chosen.way == Way(combine=True)


def test_a_shorter_text_is_taken_only_where_its_labels_stay(server, tmp_path):
    lossy = sample(tmp_path / "lossy", 60, words=150)
    assert lossy.budgets
    server.set_script(script(lossy, spoiled=0.3))
    found = found_by(tuning(lossy, server.base_url, agreement=0.9, repeats=1))
    assert found.choice.chosen.way.max_tokens is None
    assert any(each.way.max_tokens for each in found.measured)
    harmless = sample(tmp_path / "harmless", 60, words=150)
    server.set_script(script(harmless))
    chosen = found_by(tuning(harmless, server.base_url, agreement=0.9, repeats=1)).choice.chosen
    assert chosen.way.max_tokens == min(harmless.budgets)


def test_the_batch_api_is_a_price_for_single_calls_only(server, tmp_path):
    a_sample = sample(tmp_path, COUNT)
    server.set_script(script(a_sample, size_loss=0.4))
    cheap = found_by(tuning(a_sample, server.base_url, agreement=0.9, repeats=1, batch_factor=0.1)).choice.chosen
    assert cheap.way == Way(batch=True)
    assert cheap.cost_usd == pytest.approx(found_by(
        tuning(a_sample, server.base_url, agreement=0.9, repeats=1)).measured[0].cost_usd / 10)  # fmt: skip


def test_a_sample_too_small_to_show_anything_says_how_many_it_takes(server, tmp_path):
    a_sample = sample(tmp_path, 30)
    server.set_script(script(a_sample))
    found = found_by(tuning(a_sample, server.base_url, agreement=0.99, repeats=1))
    assert found.choice.chosen.way == SINGLE
    assert any("at least" in note and "--sample" in note for note in found.notes)


def test_an_endpoint_that_answers_nothing_judges_nothing(server, tmp_path):
    server.set_script(Script(faults={"context_length": 1.0}))
    with pytest.raises(EndpointError, match="30 of 30 conversations got no answer"):
        found_by(tuning(sample(tmp_path, 30), server.base_url))


def test_the_embedded_model_is_not_tuned():
    plan = RequestPlan((EndpointSettings(name="here", kind="embedded"),), RequestSettings(), "unused")
    with pytest.raises(SettingsError, match="nothing to tune"):
        remote(plan)


def test_without_a_prepared_week_there_is_nothing_to_try_on(tmp_path):
    with pytest.raises(SettingsError, match="no prepared week"):
        sample_of(sample(tmp_path, 1).settings, 10)


def test_the_command_writes_what_it_chose_only_when_told_to(server, tmp_path):
    write_tables(tmp_path / "data", COUNT)
    server.set_script(script(sample(tmp_path, COUNT)))
    file = tmp_path / "semtel.yaml"
    given = {
        "storage": "./data",
        "classifiers": list(NAMES),
        "endpoints": [{"name": "one", "base_url": server.base_url, "model": "m", "price": {"input": 1.0}}],
    }
    file.write_text("# mine\n" + yaml.safe_dump(given))
    before = file.read_text()
    options = ["tune", "--agreement", "0.9", "--repeats", "1", "--settings", str(file)]
    shown = CliRunner().invoke(app, options)
    assert shown.exit_code == 0, shown.output
    assert "✓" in shown.stdout
    assert "Chosen    combined, packs of 32\n" in shown.stdout
    assert file.read_text() == before
    done = CliRunner().invoke(app, [*options, "--json", "--write"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["calls_made"] == 0
    assert document["settings"] == {"pack": {"conversations": 32}, "combine": [list(NAMES)]}
    assert (tmp_path / "data" / "tuning" / "frontier.svg").read_text().startswith("<svg")
    assert file.read_text().startswith("# mine\n")
    tuned = load_settings(file)
    assert (tuned.combine, tuned.pack.conversations) == ((NAMES,), 32)
    assert "thing31" not in shown.output + done.output  # no text of a conversation


def test_sentences_are_left_out_only_where_that_saves_and_the_settings_do_not_do_so_already(tmp_path):
    long = sample(tmp_path, 3, words=900)
    assert long.keeps == (0.7, 0.4)
    assert long.tokens(Way(keep=0.4)) < long.tokens(Way(keep=0.7)) < long.tokens(SINGLE)
    assert sample(tmp_path, 3).keeps == ()
    given = replace(long, settings=long.settings.model_copy(update={"compress": KEPT}))
    assert given.keeps == ()


def test_packs_of_shortened_conversations_are_formed_apart_from_those_of_whole_ones(server, tmp_path):
    long = sample(tmp_path, 8, words=900)
    server.set_script(script(long))
    one = tuning(long, server.base_url)
    whole = ask(Way(pack=4), long, PROMPTS, one.plan)
    kept = ask(Way(keep=0.4, pack=4), long, PROMPTS, one.plan)
    assert whole.calls == kept.calls == 4
    folders = {path.name for path in (tmp_path / "tuning" / "journal").iterdir()}
    assert len(folders) == 2


def test_what_a_pack_cost_that_was_not_believed_is_counted_once_and_not_forgotten(server, tmp_path):
    a_sample, way = sample(tmp_path, COUNT), Way(combine=True, pack=16)
    (task,) = PROMPTS["intent"].classifier.tasks
    server.set_script(script(a_sample, obeyed={a_sample.cut(way).hashes["c0005"]: task.labels[0].name}))
    server.reset()
    one = tuning(a_sample, server.base_url)
    first = ask(way, a_sample, PROMPTS, one.plan)
    stats = server.stats(conversations=False)
    again = ask(way, a_sample, PROMPTS, one.plan)
    assert first.calls == first.made == stats["calls"] >= COUNT / 16 + 2 * 16
    assert first.input_tokens == pytest.approx(stats["prompt_tokens"], rel=0.02)
    assert again.made == 0
    spent = attrgetter("labels", "calls", "input_tokens", "cached_tokens", "output_tokens")
    assert spent(again) == spent(first)
