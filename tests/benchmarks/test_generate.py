"""Generated conversations are real in wording and length, as many and as alike as asked, and always the same."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import generate
from benchmarks.generate import GROUP_ROWS, SOURCE, Bank, Plan, batches, rows, write
from tests.shared_data import shared_file


def talk(number: int, turns: int) -> dict[str, object]:
    roles = ("user", "assistant")
    said = [{"role": roles[turn % 2], "content": f"{number}-{turn} " + "word " * (number % 7)} for turn in range(turns)]
    return {"language": ("en", "de")[number % 2], "messages": said}


@pytest.fixture
def bank(tmp_path):
    path = tmp_path / "bank.parquet"
    schema = pa.schema([SOURCE.field("language"), SOURCE.field("messages")])
    pq.write_table(pa.Table.from_pylist([talk(n, 1 + n % 6) for n in range(300)], schema=schema), path)
    return Bank(path)


def made(plan: Plan, bank: Bank) -> pl.DataFrame:
    return pl.DataFrame(pa.Table.from_batches(batches(plan, bank), schema=SOURCE))


def texts(conversations: pl.DataFrame) -> list[tuple[str, ...]]:
    return [tuple(turn["content"] for turn in turns) for turns in conversations["messages"].to_list()]


def test_there_are_as_many_as_asked_each_with_its_own_id_in_the_order_of_time(bank):
    found = made(Plan(GROUP_ROWS + 17), bank)
    assert found["conversation_id"].n_unique() == found.height == GROUP_ROWS + 17
    assert found["started_at"].is_sorted()


def test_each_is_the_beginning_of_one_real_conversation_and_the_end_of_another_cut_at_the_same_turn(bank):
    for turns in texts(made(Plan(500, near_duplicates=0.0), bank)):
        origins = [text.split(" ")[0].split("-") for text in turns]
        assert [int(turn) for _, turn in origins] == list(range(len(turns)))
        numbers = [number for number, _ in origins]
        assert len(numbers) >= 2
        assert sum(before != after for before, after in pairwise(numbers)) <= 1


def test_the_stated_shares_repeat_an_earlier_text_exactly_or_with_thanks(bank):
    found = texts(made(Plan(4000, duplicates=0.2, near_duplicates=0.1), bank))
    thanked = [turns for turns in found if turns[-1] == generate.THANKS["content"]]
    assert len(thanked) / len(found) == pytest.approx(0.1, abs=0.02)
    fresh = texts(made(Plan(4000, duplicates=0.0, near_duplicates=0.0), bank))
    changed = sum(turns != own for turns, own in zip(found, fresh, strict=True))
    assert changed / len(found) == pytest.approx(0.3, abs=0.03)
    assert {turns[:-1] if turns in thanked else turns for turns in found} <= set(fresh)


def test_any_stretch_can_be_made_alone(bank):
    plan = Plan(1000)
    whole = pa.Table.from_batches(batches(plan, bank), schema=SOURCE)
    assert rows(plan, bank, 700, 900).equals(whole.slice(700, 200).combine_chunks().to_batches()[0])


def test_another_seed_gives_other_conversations_and_ids(bank):
    first, second = (made(Plan(200, seed=seed), bank) for seed in (1, 2))
    assert not set(first["conversation_id"]) & set(second["conversation_id"])
    assert texts(first) != texts(second)


def test_times_fill_the_weeks_and_users_are_few_and_busy_or_many_and_rare(bank):
    found = made(Plan(4000, weeks=3, conversations_per_user=5.0), bank)
    assert found["started_at"].dt.truncate("1w").dt.date().n_unique() == 3
    per_user = found["user_id"].value_counts()["count"]
    assert per_user.mean() == pytest.approx(5, rel=0.1)
    assert per_user.max() > 5 * per_user.median()


def test_parts_hold_a_bounded_number_of_rows_in_bounded_groups(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "GROUP_ROWS", 100)
    monkeypatch.setattr(generate, "PART_ROWS", 300)
    write(Plan(750), bank, tmp_path / "out")
    files = [pq.ParquetFile(path) for path in sorted((tmp_path / "out").iterdir())]
    assert [file.metadata.num_rows for file in files] == [300, 300, 150]
    groups = [file.metadata.row_group(g).num_rows for file in files for g in range(file.metadata.num_row_groups)]
    assert groups == [100] * 7 + [50]
    assert all(file.schema_arrow.names == SOURCE.names for file in files)


@pytest.mark.shared
def test_lengths_are_those_of_real_conversations():
    path = shared_file("sharegpt/conversations.parquet")
    real = pl.read_parquet(path, columns=["messages"]).filter(pl.col("messages").list.len() > 1)
    found = made(Plan(4000, near_duplicates=0.0), Bank(path))
    characters = pl.col("messages").list.eval(pl.element().struct.field("content").str.len_chars()).list.sum()
    for share in (0.25, 0.5, 0.75):
        expected, got = (frame.select(characters.quantile(share)).item() for frame in (real, found))
        assert got == pytest.approx(expected, rel=0.15)
