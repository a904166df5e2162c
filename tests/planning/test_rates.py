"""Rates: what a call takes before anything is known, with several endpoints, and what a budget allows of a plan."""

import pytest

from semtel_dagster.planning.history import History
from semtel_dagster.planning.plan import Plan, PlannedPartition, within
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.rates import Rates, rates_of
from semtel_dagster.requests.budget import Budget
from semtel_dagster.settings import Price
from tests.pipeline import EMBEDDED, project


def endpoint(name, **price):
    return {"name": name, "base_url": "http://127.0.0.1:9/v1", "model": "m", "price": price}


def rates(tmp_path, *endpoints):
    settings = project(tmp_path, [], endpoints=list(endpoints))
    nothing = History({"responses": {}}, {})
    return rates_of(Project.of(settings), nothing, "intent"), Project.of(settings).prompts["intent"]


def test_before_the_first_answer_a_call_takes_the_prompt_and_the_markup_of_a_chat(tmp_path):
    found, prompt = rates(tmp_path, endpoint("east", input=1.0, output=2.0))
    assert prompt.static_tokens < found.fixed_tokens < prompt.static_tokens + 20
    assert 5 < found.output_tokens < 15
    assert found.cached_share == 0
    assert found.input_tokens(10, 500) == round(500 + 10 * found.fixed_tokens)


def test_endpoints_share_the_calls_alike_until_more_is_known(tmp_path):
    found, _ = rates(tmp_path, endpoint("east", input=1.0, output=2.0), endpoint("west", input=3.0, output=6.0))
    assert (found.price.input, found.price.output, found.counted) == (2.0, 4.0, 1.0)


def test_the_embedded_models_part_of_the_calls_costs_nothing(tmp_path):
    found, _ = rates(tmp_path, endpoint("east", input=1.0), *EMBEDDED)
    assert (found.price.input, found.counted) == (1.0, 0.5)


def test_cached_tokens_have_their_own_price():
    half = Rates(100.0, 10.0, 0.5, Price(input=1.0, cached_input=0.5, output=2.0), 1.0)
    assert half.cost_usd(10, 1000) == pytest.approx((2000 * 0.75 + 100 * 2.0) / 1e6)


def partition(classifier, calls, cost):
    return PlannedPartition("2026-10-05", classifier, "missing", 10, calls, 0, cost)


def test_a_budget_allows_what_begins_under_it_and_all_that_is_free(tmp_path):
    plan = Plan((partition("a", 5, 0.5), partition("b", 6, 0.6), partition("c", 1, 0.1), partition("d", 0, 0.0)))
    names = [
        [each.classifier for each in part.partitions]
        for caps in ((5, None), (6, None), (None, 0.5), (0, None), (None, None))
        for part in within(plan, Budget(str(tmp_path / "none.ledger"), *caps))
    ]
    assert names == [
        ["a", "d"], ["b", "c"],
        ["a", "b", "d"], ["c"],
        ["a", "d"], ["b", "c"],
        ["d"], ["a", "b", "c"],
        ["a", "b", "c", "d"], [],
    ]  # fmt: skip
