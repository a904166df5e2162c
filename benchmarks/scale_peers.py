"""The work of each stage as one would write it by hand for one data set: what benchmarks/scale.py compares with.

Each query reads the table that the stage reads and writes what the stage writes, with the same rows and values, but
knows only this source: no other format, no quarantine with reasons, no repair beyond one regular expression, no strata,
no cut that respects characters and turns, no suppression. Results go to `peer/` and are checked against the stages'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import quicktok

from benchmarks.scale_stages import NAME, SAMPLE, TRUNCATE, WEEK, table_folder

SHORT = pl.Struct({"text": pl.String, "n_tokens": pl.Int32, "n_tokens_before": pl.Int32})
ENCODING = quicktok.get_encoding("o200k_base")


def result(work: Path, table: str) -> Path:
    folder = work / "peer"
    folder.mkdir(exist_ok=True)
    return folder / f"{table}.parquet"


def table(work: Path, name: str) -> pl.LazyFrame:
    return pl.scan_parquet(table_folder(work, name) / "*.parquet", hive_partitioning=False)


def read_source(work: Path) -> None:
    """Polars: the week's rows, roles in lower case, blank messages dropped, an id once, other columns as JSON."""
    start = pl.datetime(WEEK.year, WEEK.month, WEEK.day, time_unit="us", time_zone="UTC")
    content = pl.element().struct.field("content").str.replace_all("\0", "\ufffd", literal=True)
    role = pl.element().struct.field("role").str.strip_chars().str.to_lowercase()
    message = pl.element().struct.with_fields(role.alias("role"), content.alias("content"))
    blank = pl.element().struct.field("content").str.strip_chars() == ""
    rows = pl.scan_parquet(work / "source" / "*.parquet").filter(
        pl.col("started_at") >= start, pl.col("started_at") < start + pl.duration(weeks=1)
    )
    first = rows.select("conversation_id").with_row_index().unique("conversation_id", keep="first")
    assert first.select(pl.len()).collect().item() == rows.select(pl.len()).collect().item(), "an id stands twice"
    clean = rows.select(
        "conversation_id",
        "user_id",
        "started_at",
        "language",
        messages=pl.col("messages").list.eval(message.filter(~blank)),
        extra=pl.struct("complete").struct.json_encode(),
    ).filter(pl.col("messages").list.eval(pl.element().struct.field("role") == "user").list.any())
    clean.sink_parquet(result(work, "conversations"), compression="zstd", row_group_size=1024)


def take_sample(work: Path) -> None:
    """Polars: rows whose hashed id falls below the rate; its own hash, so other rows than the stage's."""
    draw = pl.col("conversation_id").hash(SAMPLE.seed) / 2.0**64
    rows = table(work, "conversations").filter(draw < SAMPLE.rate)
    weighted = rows.with_columns(
        stratum=pl.lit("rest"), inclusion_probability=pl.lit(SAMPLE.rate), sampling_weight=pl.lit(1 / SAMPLE.rate)
    )
    weighted.sink_parquet(result(work, "sampled_conversations"), compression="zstd", row_group_size=1024)


def cut(work: Path) -> None:
    """Polars and the same tokenizer: quoted transcripts, of those too long the first and last tokens."""
    quoted = pl.format(
        "{}:\n> {}",
        pl.element().struct.field("role"),
        pl.element().struct.field("content").str.replace_all("\n", "\n> ", literal=True),
    )
    rows = table(work, "sampled_conversations").select(
        "conversation_id", "sampling_weight", text=pl.col("messages").list.eval(quoted).list.join("\n")
    )
    shortened = rows.with_columns(
        pl.col("text").map_batches(shorten, return_dtype=SHORT, is_elementwise=True).alias("short")
    )
    named = shortened.drop("text").unnest("short").with_columns(content_hash=pl.col("text").hash())
    named.sink_parquet(result(work, "truncated_conversations"), compression="zstd", row_group_size=1024)


def shorten(texts: pl.Series) -> pl.Series:
    return pl.Series(list(shortened(texts.to_list())), dtype=SHORT)


def shortened(texts: list[str]) -> Iterator[dict[str, object]]:
    tokens, offsets = ENCODING.encode_batch(texts, 1)
    half = (TRUNCATE.max_tokens - 16) // 2
    for number, text in enumerate(texts):
        own = tokens[offsets[number] : offsets[number + 1]]
        before = len(own)
        if before > TRUNCATE.max_tokens:
            head, tail = (ENCODING.decode(part.tolist()) for part in (own[:half], own[-half:]))
            text = f"{head}\n[... {before - 2 * half} tokens cut ...]\n> {tail}"
            own = own[: TRUNCATE.max_tokens]
        yield {"text": text, "n_tokens": len(own), "n_tokens_before": before}


def group(work: Path) -> None:
    """DuckDB: the first row of each text with its group's sums, and who stands for whom."""
    rows = table_folder(work, "truncated_conversations") / "*.parquet"
    duckdb.sql(
        f"""
        COPY (
            SELECT content_hash, conversation_id, text, n_tokens, group_size, group_weight
            FROM '{rows}' JOIN (
                SELECT content_hash, min(conversation_id) AS conversation_id, count(*) AS group_size,
                    sum(sampling_weight) AS group_weight
                FROM '{rows}' GROUP BY content_hash
            ) USING (content_hash, conversation_id)
            ORDER BY content_hash
        ) TO '{result(work, "distinct_conversations")}' (FORMAT parquet, COMPRESSION zstd)
        """
    )
    duckdb.sql(
        f"""
        COPY (
            SELECT conversation_id, min(conversation_id) OVER hash AS representative_id, content_hash,
                1.0::DOUBLE AS similarity,
                if(min(conversation_id) OVER hash = conversation_id, 'representative', 'exact') AS kind,
                user_id, language, stratum, sampling_weight
            FROM '{rows}' WINDOW hash AS (PARTITION BY content_hash)
            ORDER BY conversation_id
        ) TO '{result(work, "duplicate_groups")}' (FORMAT parquet, COMPRESSION zstd)
        """
    )


def label(work: Path) -> None:
    """DuckDB: the answer's fields by regular expressions, joined to every conversation of its group."""
    answers, groups = (table_folder(work, name) / "*.parquet" for name in ("responses", "duplicate_groups"))
    duckdb.sql(
        f"""
        COPY (
            SELECT g.conversation_id, g.user_id, g.language, g.stratum, g.content_hash, '{NAME}' AS task,
                nullif(regexp_extract(r.raw_text, '"{NAME}": "(dissatisfied|neutral|satisfied)"', 1), '') AS label,
                TRY_CAST(regexp_extract(r.raw_text, '"{NAME}_score": (-?[0-9]+)', 1) AS DOUBLE) AS score,
                CASE WHEN r.status = 'answered' THEN 'exact' ELSE 'unanswered' END AS label_status,
                r.error AS reason, g.sampling_weight AS weight, r.prompt_fingerprint, r.model
            FROM '{groups}' g LEFT JOIN '{answers}' r USING (content_hash)
            ORDER BY g.conversation_id
        ) TO '{result(work, "labels")}' (FORMAT parquet, COMPRESSION zstd)
        """
    )


def share(work: Path) -> None:
    """DuckDB: weighted shares per segment with linearised variances over users; nothing hidden."""
    duckdb.sql(
        f"""
        COPY (
            WITH rows AS (
                SELECT segment, coalesce(label, '(' || label_status || ')') AS label, weight, score,
                    coalesce('u:' || user_id, 'c:' || conversation_id) AS cluster
                FROM '{table_folder(work, "labels") / "*.parquet"}',
                    unnest(['all', 'language=' || coalesce(language, '(unknown)')]) AS s(segment)
            ), users AS (
                SELECT segment, label, cluster, sum(weight) AS weight, count(*) AS n, sum(weight * score) AS scored
                FROM rows GROUP BY ALL
            ), totals AS (
                SELECT *, sum(weight) OVER (PARTITION BY segment, cluster) AS total FROM users
            ), cells AS (
                SELECT segment, label, sum(n) AS n, count(*) AS n_users, sum(weight) AS weight,
                    sum(weight * weight) AS squares, sum(weight * total) AS products, sum(scored) AS scored
                FROM totals GROUP BY ALL
            )
            SELECT *, weight / sum(weight) OVER (PARTITION BY segment) AS share,
                sum(products) OVER (PARTITION BY segment) AS whole
            FROM cells
        ) TO '{result(work, "label_shares")}' (FORMAT parquet)
        """
    )


RUNS: dict[str, Callable[[Path], None]] = {
    "conversations": read_source,
    "sample": take_sample,
    "truncate": cut,
    "deduplicate": group,
    "parse": label,
    "aggregate": share,
}


def differences(work: Path) -> dict[str, float]:
    """How far the queries' results are from the stages': rows that differ, and the largest gap between two shares."""
    own, by_hand = table(work, "conversations"), pl.scan_parquet(result(work, "conversations"))
    columns = ["conversation_id", "messages", "extra", "language"]
    labels, labels_by_hand = table(work, "labels"), pl.scan_parquet(result(work, "labels"))
    verdict = ["conversation_id", "label", "score"]
    tokens = table(work, "truncated_conversations").select(pl.col("n_tokens_before").sum()).collect().item()
    tokens_by_hand = pl.scan_parquet(result(work, "truncated_conversations")).select(pl.col("n_tokens_before").sum())
    shares = table(work, "label_shares").filter(~pl.col("suppressed")).select("segment", "label", "share")
    gaps = shares.join(pl.scan_parquet(result(work, "label_shares")), on=["segment", "label"], how="left")
    return {
        "conversations_that_differ": _hash(own, columns)
        .join(_hash(by_hand, columns), on="hash", how="anti")
        .collect()
        .height,
        "labels_that_differ": _hash(labels, verdict)
        .join(_hash(labels_by_hand, verdict), on="hash", how="anti")
        .collect()
        .height,
        "tokens": tokens / tokens_by_hand.collect().item() - 1,
        "largest_gap_between_shares": gaps.select((pl.col("share") - pl.col("share_right")).abs().max())
        .collect()
        .item(),
    }


def _hash(rows: pl.LazyFrame, columns: list[str]) -> pl.LazyFrame:
    return rows.select(hash=pl.struct(columns).hash())
