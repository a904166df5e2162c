"""Our whole path: Arrow batches to flushed journal."""

from __future__ import annotations

import tempfile

import pyarrow as pa

from benchmarks.peers.measuring import main
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt


def ask(base_url: str, conversations: list[pa.RecordBatch], in_flight: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        a_plan = plan(folder, endpoint(base_url), requests={"max_in_flight": in_flight}, start_in_flight=in_flight)
        answers = ClassifyBatches(prompt(), a_plan)(iter(conversations))
        return sum(batch.column("status").to_pylist().count("answered") for batch in answers)


if __name__ == "__main__":
    main(ask, lambda texts: list(batches(texts, 1024)))
