"""Conversations by the million, made of real ones: the input of benchmarks/scale.py.

    python benchmarks/generate.py --conversations 1000000 --into generated           # 5.7 GB of text, one week
    python benchmarks/generate.py --conversations 10000000 --weeks 8 --into generated
    python benchmarks/generate.py --conversations 10000 --bank my.parquet --into generated

Conversation k is the beginning of one real conversation and the end of another, cut at the same turn, so that lengths,
wording and the order of roles stay real; a stated share repeats an earlier conversation's text, exactly or with a word
of thanks at the end. Everything is a function of (seed, k): any stretch can be made alone, in any order, and no more
than a row group is held. Users are few and busy or many and rare; times rise with k over the weeks.

Needs shared/data beside the checkout, or a Parquet file of one's own with `language` and `messages`.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

GROUP_ROWS = 4096
PART_ROWS = 16 * GROUP_ROWS
MONDAY = dt.date(2026, 9, 21)
WEEK_US = 7 * 86_400 * 10**6
THANKS = {"role": "user", "content": "Thanks, that helps."}

MESSAGES = pa.large_list(pa.struct([("role", pa.large_string()), ("content", pa.large_string())]))
SOURCE = pa.schema(
    [
        ("conversation_id", pa.large_string()),
        ("user_id", pa.large_string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("language", pa.large_string()),
        ("complete", pa.bool_()),
        ("messages", MESSAGES),
    ]
)

Numbers = np.ndarray  # int64 or uint64, one per conversation or message


@dataclass(frozen=True)
class Plan:
    """What to generate.

    Attributes:
        conversations: How many.
        weeks: Over how many weeks their times spread.
        duplicates: The share that repeats an earlier text exactly.
        near_duplicates: The share that repeats an earlier text with thanks at the end.
        conversations_per_user: The mean.
        seed: Another seed, other conversations.
    """

    conversations: int
    weeks: int = 1
    duplicates: float = 0.1
    near_duplicates: float = 0.05
    conversations_per_user: float = 5.0
    seed: int = 0


class Bank:
    """Real conversations of two messages or more, their messages laid end to end."""

    def __init__(self, path: Path) -> None:
        rows = pq.read_table(path, columns=["language", "messages"]).combine_chunks()
        rows = rows.filter(pc.greater(pc.list_value_length(rows["messages"]), 1)).combine_chunks()
        messages = pc.cast(rows["messages"].chunk(0), MESSAGES)
        thanks = pa.array([THANKS], MESSAGES.value_type)
        self.languages = rows["language"].chunk(0)
        self.messages = pa.concat_arrays([pc.list_flatten(messages), thanks])
        self.lengths = pc.list_value_length(messages).to_numpy().astype(np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.thanks = len(self.messages) - 1


def draw(plan: Plan, purpose: int, numbers: Numbers) -> Numbers:
    """64 random bits for each number: splitmix64 of seed, purpose and number."""
    with np.errstate(over="ignore"):
        x = numbers.astype(np.uint64) + np.uint64(plan.seed * 1_000_003 + purpose) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        return x + np.uint64(0)


def below(plan: Plan, purpose: int, numbers: Numbers, limits: Numbers | int) -> Numbers:
    """For each number a whole number from 0 to below its limit."""
    return (draw(plan, purpose, numbers) % np.asarray(limits, dtype=np.uint64)).astype(np.int64)


def unit(plan: Plan, purpose: int, numbers: Numbers) -> np.ndarray:
    """For each number a float in [0, 1)."""
    return (draw(plan, purpose, numbers) >> np.uint64(11)) * 2.0**-53


def origins(plan: Plan, numbers: Numbers) -> tuple[Numbers, np.ndarray]:
    """Whose text each conversation has (its own number, or an earlier one's), and whether thanks are added."""
    fate = unit(plan, 1, numbers)
    repeats = (fate < plan.duplicates + plan.near_duplicates) & (numbers > 0)
    origin = np.where(repeats, below(plan, 2, numbers, np.maximum(numbers, 1)), numbers)
    return origin, repeats & (fate >= plan.duplicates)


def rows(plan: Plan, bank: Bank, first: int, last: int) -> pa.RecordBatch:
    """Conversations `first` to below `last`, in schema SOURCE."""
    numbers = np.arange(first, last)
    origin, thanked = origins(plan, numbers)
    begin, end = (below(plan, purpose, origin, len(bank.lengths)) for purpose in (3, 4))
    turns = np.minimum(bank.lengths[begin], bank.lengths[end])
    cut = 1 + below(plan, 5, origin, turns - 1)
    messages, lengths = spliced(bank, begin, end, cut, thanked)
    users = max(1, round(plan.conversations / plan.conversations_per_user))
    user = (users * unit(plan, 6, numbers) ** 2).astype(np.int64)
    moments = int(dt.datetime.combine(MONDAY, dt.time(), dt.UTC).timestamp()) * 10**6
    moments += (numbers * (plan.weeks * WEEK_US / plan.conversations)).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    columns = [
        pa.array([f"{number:016x}" for number in draw(plan, 7, numbers).tolist()], pa.large_string()),
        pa.array([f"user-{number:07}" for number in user.tolist()], pa.large_string()),
        pa.array(moments, pa.int64()).cast(SOURCE.field("started_at").type),
        bank.languages.take(pa.array(begin)).cast(pa.large_string()),
        pa.array(np.ones(len(numbers), dtype=bool)),
        pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), bank.messages.take(pa.array(messages))),
    ]
    arrays = [column.cast(kind) for column, kind in zip(columns, SOURCE.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SOURCE)


def spliced(bank: Bank, begin: Numbers, end: Numbers, cut: Numbers, thanked: np.ndarray) -> tuple[Numbers, Numbers]:
    """The bank's messages that make up each conversation, end to end, and how many each has."""
    lengths = bank.lengths[end] + thanked
    conversation = np.repeat(np.arange(len(end)), lengths)
    turn = np.arange(len(conversation)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    source = np.where(turn < cut[conversation], begin[conversation], end[conversation])
    return np.where(turn < bank.lengths[end][conversation], bank.starts[source] + turn, bank.thanks), lengths


def batches(plan: Plan, bank: Bank) -> Iterator[pa.RecordBatch]:
    """All conversations, a row group at a time."""
    for first in range(0, plan.conversations, GROUP_ROWS):
        yield rows(plan, bank, first, min(first + GROUP_ROWS, plan.conversations))


def write(plan: Plan, bank: Bank, folder: Path) -> None:
    """Writes `part-*.parquet` files of PART_ROWS rows each."""
    folder.mkdir(parents=True, exist_ok=True)
    writer: pq.ParquetWriter | None = None
    for number, batch in enumerate(batches(plan, bank)):
        if number % (PART_ROWS // GROUP_ROWS) == 0:
            if writer:
                writer.close()
            part = number * GROUP_ROWS // PART_ROWS
            writer = pq.ParquetWriter(folder / f"part-{part:05}.parquet", SOURCE, compression="zstd")
        assert writer
        writer.write_batch(batch)
    if writer:
        writer.close()


def default_bank() -> Path:
    """The ShareGPT conversations of shared/data beside the checkout."""
    relative = Path("shared") / "data" / "sharegpt" / "conversations.parquet"
    found = next(
        (folder / relative for folder in Path(__file__).resolve().parents if (folder / relative).exists()), None
    )
    if found is None:
        raise SystemExit(f"{relative} is not beside this checkout; name a Parquet file of conversations with --bank")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--weeks", type=int, default=1)
    parser.add_argument("--duplicates", type=float, default=Plan.duplicates)
    parser.add_argument("--near-duplicates", type=float, default=Plan.near_duplicates)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bank", type=Path, default=None, help="Parquet file with language and messages")
    parser.add_argument("--into", type=Path, required=True)
    options = parser.parse_args()
    plan = Plan(options.conversations, options.weeks, options.duplicates, options.near_duplicates, seed=options.seed)
    write(plan, Bank(options.bank or default_bank()), options.into)
    print(f"{plan.conversations} conversations in {options.into}")


if __name__ == "__main__":
    main()
