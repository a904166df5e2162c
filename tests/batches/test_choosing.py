"""What waits hangs on content hashes, rooms and the settings alone, and no conversation gets two places."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.batches.choosing import choose, may_wait, price_factor
from semtel_dagster.batches.store import REQUESTED
from semtel_dagster.reducers import BatchSettings
from tests.requests.builders import hash_of

TOKENS = st.lists(st.integers(1, 500), max_size=60)


def requested(tokens):
    hashes = [hash_of(str(number)) for number in range(len(tokens))]
    return pa.table([pa.array(hashes, pa.large_string()), pa.array(tokens, pa.int64())], schema=REQUESTED)


def settings(**fields):
    return BatchSettings(enabled=True, **{"min_requests": 1, **fields})


@given(TOKENS, st.integers(0, 5000), st.none() | st.integers(0, 5000), st.integers(1, 20))
def test_no_endpoint_gets_more_than_its_room_and_nobody_is_chosen_twice(tokens, east, west, least):
    shares = choose(requested(tokens), settings(min_requests=least), {"east": east, "west": west})
    rooms = {"east": east, "west": west}
    for share in shares:
        room = rooms[share.endpoint]
        assert room is None or sum(share.requested["tokens"].to_pylist()) <= room
    chosen = [value for share in shares for value in share.requested["content_hash"].to_pylist()]
    assert len(chosen) == len(set(chosen))
    assert not chosen or len(chosen) >= min(least, len(tokens))


@given(TOKENS, st.randoms())
def test_the_order_of_rows_changes_nothing(tokens, random):
    table = requested(tokens)
    order = list(range(len(tokens)))
    random.shuffle(order)
    rooms = {"east": 3000}
    assert choose(table, settings(share=0.7), rooms) == choose(
        table.take(pa.array(order, pa.int64())), settings(share=0.7), rooms
    )


def test_without_a_known_limit_everything_waits():
    (share,) = choose(requested([10] * 40), settings(), {"east": None})
    assert share.requested.num_rows == 40


def test_a_larger_share_holds_the_smaller_one():
    table = requested([1] * 500)
    few, many = (set(may_wait(table, settings(share=share))["content_hash"].to_pylist()) for share in (0.2, 0.6))
    assert few < many
    assert 60 < len(few) < 140
    assert 240 < len(many) < 360


def test_too_few_for_a_file_are_not_worth_it():
    assert choose(requested([10] * 9), settings(min_requests=10), {"east": None}) == []
    assert choose(requested([10] * 40), settings(min_requests=10), {"east": 50}) == []


@pytest.mark.parametrize(("calls", "fields", "factor"), [
    (1000, {}, 0.5),
    (1000, {"share": 0.5}, 0.75),
    (1000, {"price_factor": 0.8}, 0.8),
    (5, {"min_requests": 10}, 1.0),
    (1000, {"enabled": False}, 1.0),
])  # fmt: skip
def test_a_plan_knows_what_waiting_saves(calls, fields, factor):
    assert price_factor(calls, settings(**fields) if "enabled" not in fields else BatchSettings()) == pytest.approx(
        factor
    )
