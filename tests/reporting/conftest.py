from dataclasses import dataclass
from pathlib import Path

import pytest

from semtel_dagster.estimation.change import changes
from semtel_dagster.estimation.suppression import hidden_cells
from semtel_dagster.reporting.report import Statistics
from tests.reporting.synthetic import Synthetic

STATISTICS = Statistics(changes, hidden_cells)


@dataclass(frozen=True)
class Stored:
    storage: str
    weeks: list


@pytest.fixture(scope="session")
def stored(tmp_path_factory) -> Stored:
    """Four weeks of about 400 conversations."""
    folder: Path = tmp_path_factory.mktemp("storage")
    return Stored(str(folder), Synthetic().write(folder))


@pytest.fixture(scope="session")
def statistics() -> Statistics:
    return STATISTICS
