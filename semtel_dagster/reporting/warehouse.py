"""The DuckDB file over the tables. What is in the tables is said in `tables.py`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import duckdb

from semtel_dagster.datasets import WAREHOUSE

PORTABLE = "portable.duckdb"
COPIED = ("label_shares",)
VIEWED = (
    "conversations",
    "rejected_conversations",
    "sampled_conversations",
    "truncated_conversations",
    "conversation_embeddings",
    "distinct_conversations",
    "duplicate_groups",
    "responses",
    "labels",
)


def refresh_warehouse(storage: str) -> Path:
    """Makes `<storage>/semtel.duckdb` anew: small tables copied, the others as views over their Parquet parts.

    It is built aside and renamed, so that readers see the old or the new one. A table that has not been written
    is left out. Views name the files by their absolute place: after moving the storage, make it anew.

    Returns:
        The file's path.
    """
    root = Path(storage).absolute()
    return _build(root, root / WAREHOUSE, (*COPIED, *VIEWED))


def portable_warehouse(storage: str) -> Path:
    """Makes `<storage>/portable.duckdb` anew, of the small tables alone: it needs no other file, wherever it goes."""
    root = Path(storage).absolute()
    return _build(root, root / PORTABLE, COPIED)


def _build(root: Path, target: Path, assets: Sequence[str]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    aside = root / f".{target.name}.{uuid.uuid4().hex}"
    try:
        with duckdb.connect(str(aside)) as connection:
            for asset in assets:
                if any((root / asset).glob("week=*/**/*.parquet")):
                    kind = "TABLE" if asset in COPIED else "VIEW"
                    connection.execute(f"CREATE {kind} {asset} AS SELECT * FROM {_parts(root / asset)}")
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def _parts(folder: Path) -> str:
    pattern = str(folder / "week=*" / "**" / "*.parquet").replace("'", "''")
    types = "{'week': DATE, 'classifier': VARCHAR}" if any(folder.glob("week=*/classifier=*")) else "{'week': DATE}"
    return f"read_parquet('{pattern}', hive_partitioning = true, hive_types = {types}, union_by_name = true)"
