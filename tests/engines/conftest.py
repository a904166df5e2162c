"""The engines that the contract is checked on, one Spark session at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from semtel_dagster.engines.base import Engine
from tests.engines.sessions import engine_of

ENGINES = [
    "polars",
    pytest.param("local", marks=pytest.mark.spark),
    *(pytest.param(each, marks=[pytest.mark.spark, pytest.mark.slow]) for each in ("cluster", "connect")),
]


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine; tests that share one run together, so that a session starts once."""
    if request.param != "polars":
        pytest.importorskip("pyspark")
    with engine_of(request.param, tmp_path_factory.mktemp(request.param)) as engine:
        yield engine
