"""Every fault alone and all together, on fewer rows than the benchmark: each row ends once, and rightly."""

import pytest

from benchmarks.fault_cases import HARMLESS, PROMPT, Oracle, cases, mixed
from benchmarks.faults import play
from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.faults import FaultDraw
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import FAULT_KINDS, Script
from tests.requests.builders import AFTER, BEFORE, hash_of

ROWS = 150


@pytest.fixture(scope="module")
def server():
    with serve(Script()) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_row_ends_once_with_the_right_answer_or_reason(server):
    wrong = {}
    for case, script in cases(ROWS).items():
        result = play(server, case, script, ROWS)
        wrong[case] = dict(result.wrong) if result.rows == ROWS else f"{result.rows} rows"
    assert {case: what for case, what in wrong.items() if what} == {}
    assert set(FAULT_KINDS) < set(wrong)


TEXTS = [f"conversation {number}" for number in range(60)]


def ideal(script):
    """The table and the counts of a client that does everything right."""
    draw, oracle = FaultDraw(script.faults, script.seed), Oracle(script, 6)
    rows, stats = [], {"conversations": {}, "paid": {}}
    for text in TEXTS:
        key = key_of(BEFORE + text + AFTER)
        calls = next(nth for nth in range(1, 20) if draw.draw(key, nth) in HARMLESS)
        stats["conversations"][key.hex()], stats["paid"][key.hex()] = calls, 1
        raw = oracle._answer(key)
        rows.append(
            {"content_hash": hash_of(text), "status": "answered", "error": None, "raw_text": raw, "attempts": calls,
             "refusals": 0}
        )  # fmt: skip
    return rows, stats


@pytest.fixture
def script():
    return Script(faults={"error_500": 0.3})


def test_the_oracle_finds_nothing_wrong_with_an_ideal_client(script):
    rows, stats = ideal(script)
    assert not Oracle(script, 6).faults(rows, TEXTS, stats)


def _lose(rows, stats):
    rows.pop()


def _repeat(rows, stats):
    rows.append(rows[0])


def _swap(rows, stats):
    rows[0]["raw_text"] = '{"colour":"purple"}'


def _pay_twice(rows, stats):
    stats["paid"] = dict.fromkeys(stats["paid"], 2)


def _give_up(rows, stats):
    rows[0].update(status="failed", error="server_error (HTTP 500)")


@pytest.mark.parametrize("mistake", [_lose, _repeat, _swap, _pay_twice, _give_up])
def test_the_oracle_finds_every_kind_of_mistake(script, mistake):
    rows, stats = ideal(script)
    mistake(rows, stats)
    assert Oracle(script, 6).faults(rows, TEXTS, stats)


def test_the_mixture_holds_every_fault_and_its_prompt_leaves_room_for_dirt():
    assert [name for name, _ in mixed().faults.shares()] == list(FAULT_KINDS)
    assert PROMPT.options["max_tokens"] == 400
