"""What the compression and truncation benchmarks compute: shares with intervals, savings, the break-even price."""

import pytest

from benchmarks.compression import Trial
from benchmarks.own_answers import agreement, markdown
from tests.labels.builders import LEVEL, TOPIC


def trial(tokens: int, cpu_s: float = 3.6) -> Trial:
    return Trial("data", "code", 2000, 1_000_000, tokens, 0.5, cpu_s, 1_200_000, (1.0, 0.9, 1.0))


def test_compression_pays_from_the_price_at_which_saved_tokens_cost_as_much_as_its_time():
    # 3.6 s are a thousandth of an hour, so 0.00005 USD, for 100,000 tokens saved.
    assert trial(900_000).saved == pytest.approx(0.1)
    assert float(trial(900_000).break_even) == pytest.approx(0.0005)


@pytest.mark.parametrize("tokens", [1_000_000, 1_000_001])
def test_what_saves_nothing_never_pays(tokens):
    assert trial(tokens).break_even == "never"


def test_agreement_is_told_by_task_with_an_interval_around_it():
    before = [{TOPIC.name: "food", LEVEL.name: "novice"}] * 10
    now = [*before[:6], *([{TOPIC.name: "travel", LEVEL.name: "novice"}] * 4)]
    found = agreement(now, before, [TOPIC, LEVEL])
    share, low, high = found[TOPIC.name]
    assert share == 0.6
    assert (low, high) == pytest.approx((0.3127, 0.8318), abs=1e-4)
    assert found[LEVEL.name][0] == 1.0


def test_a_table_has_a_line_for_each_row():
    assert markdown([{"a": 1, "b": "x"}]) == "| a | b |\n| --- | --- |\n| 1 | x |"
