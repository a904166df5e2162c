"""The cascade on Spark: the same conversations are answered by the student, with the same words, as on Polars."""

import numpy as np
import polars as pl
import pytest

from semtel_dagster import tables
from semtel_dagster.cascade.answering import Answered
from semtel_dagster.cascade.standing import Cascade
from semtel_dagster.cascade.training import train
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.engines.session import SparkSessions
from semtel_dagster.engines.spark import SparkEngine
from tests.cascade.builders import OPTIONS, ask_model, clouds, examples, name
from tests.packing.test_spark import closing_session

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(300)]
ROWS = 400


def stored(folder):
    """A week's distinct conversations and embeddings, in two parts each; one conversation has no embedding."""
    vectors, _ = clouds(ROWS, seed=4)
    hashes = sorted(name(number) for number in range(ROWS))
    distinct = pl.DataFrame(
        {
            "content_hash": hashes,
            "conversation_id": hashes,
            "text": "> hello",
            "n_tokens": pl.Series(np.full(ROWS, 3), dtype=pl.Int32),
            "group_size": 1,
            "group_weight": 1.0,
        }
    )
    vectors = pl.Series("embedding", vectors, dtype=pl.Array(pl.Float32, 8))
    embedded = pl.DataFrame({"content_hash": hashes, "embedding": vectors, "model": "clouds"})[1:]
    for table, rows in (("distinct", distinct), ("vectors", embedded)):
        (folder / table).mkdir()
        for number, part in enumerate((rows[:150], rows[150:])):
            part.write_parquet(folder / table / f"part-{number}.parquet")


def answered(folder, engine, trained):
    into = folder / engine.name
    into.mkdir()
    cascade = Cascade("a student answers", trained, str(folder / "vectors"))
    function = cascade.answering(ask_model, Answered(str(folder / "journal"), "topic", "f", ("model",)))
    conversations = cascade.with_vectors(engine.scan([str(folder / "distinct")]), engine)
    made = engine.map_batches(engine.spread(conversations, "content_hash"), function, tables.RESPONSES)
    engine.write(made.sort("content_hash"), str(into))
    return pl.read_parquet(f"{into}/*.parquet").sort("content_hash")


def test_both_engines_ask_the_same_conversations_and_predict_the_same_answers(tmp_path):
    pytest.importorskip("pyspark")
    stored(tmp_path)
    trained = train(examples(2000), ("topic",), "0123456789abcdef", OPTIONS)
    here = answered(tmp_path, PolarsEngine(), trained)
    sessions = SparkSessions({"master": "local[2]", "spark.ui.enabled": "false"})
    with closing_session(sessions):
        there = answered(tmp_path, SparkEngine(sessions), trained)
    assert here.height == ROWS
    assert here.equals(there)
    assert 0.5 < (here["endpoint"] == "cascade").mean() < 1
