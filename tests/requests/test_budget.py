"""A cap holds over every process that shares its ledger, and what was answered before it is kept."""

import threading
from dataclasses import dataclass

import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Latency, Script
from semtel_dagster.requests.budget import Budget, BudgetSpentError, Ledger, Purse, Spent
from semtel_dagster.settings import Price
from tests.requests.builders import endpoint, plan, prompt, run, texts

PRICE = Price(input=1.0, output=4.0)


@pytest.fixture(scope="module")
def server():
    with serve(Script(latency=Latency(median_s=0.01, sigma=0.3))) as running:
        yield running


@dataclass
class Counts:
    """An endpoint's counts."""

    calls: int = 0
    answered: int = 0
    refused: int = 0
    cost_usd: float = 0.0


def test_entries_of_several_processes_add_up(tmp_path):
    path = str(tmp_path / "deep" / "one.ledger")
    one, other = Ledger(path), Ledger(path)
    one.enter(Spent(3, 0.5))
    other.enter(Spent(2, 0.25))
    assert one.read() == other.read() == Ledger(path).read() == Spent(5, 0.75)
    one.enter(Spent(1, 0.0))
    assert other.read() == Spent(6, 0.75)


def test_an_entry_that_is_half_written_is_read_when_it_is_whole(tmp_path):
    path = tmp_path / "one.ledger"
    path.write_text("3 0.5\n2 0.")
    ledger = Ledger(str(path))
    assert ledger.read() == Spent(3, 0.5)
    with path.open("a") as file:
        file.write("25\n")
    assert ledger.read() == Spent(5, 0.75)


def test_others_spending_closes_the_purse(tmp_path):
    budget = Budget(str(tmp_path / "one.ledger"), max_calls=10)
    mine, theirs = Counts(calls=4, answered=4), Counts(calls=6, answered=6)
    first, second = Purse(budget, [mine]), Purse(budget, [theirs])
    assert first.allows(0)
    second.sync()
    first.sync()
    assert not first.allows(0)
    assert not budget.left


def test_without_a_known_cost_one_call_goes_at_a_time(tmp_path):
    counts = Counts()
    purse = Purse(Budget(str(tmp_path / "one.ledger"), max_cost_usd=1.0), [counts])
    assert purse.allows(0)
    counts.calls = 1
    assert not purse.allows(1)
    counts.answered, counts.cost_usd = 1, 0.1
    assert purse.allows(8)
    assert not purse.allows(9)


def test_refused_calls_cost_nothing(tmp_path):
    counts = Counts(calls=9, refused=9)
    assert Purse(Budget(str(tmp_path / "one.ledger"), max_calls=1), [counts]).allows(0)


def test_a_budget_travels_as_a_tag():
    budget = Budget("a/b.ledger", 3, 0.5)
    assert Budget.from_tag(budget.to_tag()) == budget
    with pytest.raises(SettingsError, match="not readable"):
        Budget.from_tag("{}")


def test_calls_stop_at_the_cap_and_the_next_run_asks_for_the_rest_only(server, tmp_path):
    server.reset()
    budget = Budget(str(tmp_path / "one.ledger"), max_calls=30)
    capped = plan(tmp_path / "journal", endpoint(server.base_url), budget=budget)
    with pytest.raises(BudgetSpentError):
        run(capped, texts(100))
    assert server.stats()["calls"] == 30
    assert budget.spent().calls == 30
    with pytest.raises(BudgetSpentError):
        run(capped, texts(100))
    assert server.stats()["calls"] == 30
    table, _ = run(plan(tmp_path / "journal", endpoint(server.base_url)), texts(100))
    assert set(table["status"].to_pylist()) == {"answered"}
    assert server.stats()["calls"] == 100


def test_cost_stays_under_the_cap_but_for_a_few_calls(server, tmp_path):
    calm = endpoint(server.base_url, price=PRICE)
    free, _ = run(plan(tmp_path / "free", calm), texts(200), prompt("a" * 16))
    whole = (
        sum(row["input_tokens"] * PRICE.input + row["output_tokens"] * PRICE.output for row in free.to_pylist()) / 1e6
    )
    budget = Budget(str(tmp_path / "one.ledger"), max_cost_usd=whole / 2)
    with pytest.raises(BudgetSpentError):
        run(plan(tmp_path / "capped", calm, budget=budget), texts(200), prompt("b" * 16))
    assert whole * 0.49 < budget.spent().cost_usd <= whole / 2 + 2 * whole / 200


def test_a_run_that_needs_no_call_ends_well_under_a_spent_budget(server, tmp_path):
    run(plan(tmp_path, endpoint(server.base_url)), texts(20))
    spent = Budget(str(tmp_path / "one.ledger"), max_calls=0)
    table, _ = run(plan(tmp_path, endpoint(server.base_url), budget=spent), texts(20))
    assert table.num_rows == 20


def test_two_runs_at_once_share_the_cap(server, tmp_path):
    server.reset()
    budget = Budget(str(tmp_path / "one.ledger"), max_calls=120)
    faults = []

    def work(name: str) -> None:
        a_plan = plan(tmp_path / name, endpoint(server.base_url, max_in_flight=4), budget=budget,
                      requests={"flush_s": 0.1})  # fmt: skip
        try:
            run(a_plan, texts(400), prompt(name * 16))
        except BudgetSpentError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(faults) == 2
    calls = server.stats()["calls"]
    assert calls == budget.spent().calls
    assert 120 <= calls < 400
