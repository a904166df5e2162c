"""All stages on all weeks of a data set, on one engine: what `parity` computes again and again.

Belongs here: which options, which answers, in which order. What is compared with what belongs in `parity`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

from assets.classify import ask
from semtel_dagster.classifiers import CompiledPrompt, PromptMessage
from semtel_dagster.embedding import near_duplicates
from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.loopback.script import Script
from semtel_dagster.prompts.schema import response_schema
from semtel_dagster.reducers import BatchSettings
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.settings import SampleSettings, Stratum
from semtel_dagster.stages import embed_dedupe
from tests.engines.classify_apart import SLOT
from tests.engines.stage_chain import CLASSIFIER, Chain
from tests.requests.builders import AFTER, BEFORE, endpoint, plan

WEEKS = tuple(dt.date(2026, 9, 21) + dt.timedelta(weeks=number) for number in range(8))
CELLS = "by cells"
STAGES = ("sample", "truncate", "embed", "deduplicate", "classify", "parse", "aggregate")
# Nearly all conversations go through all stages, with weights of several sizes.
FOREIGN = Stratum(name="foreign", values=("zh", "ar", "fi", "fr", "ko"), rate=0.95)
SAMPLING = {
    "sharegpt": SampleSettings(rate=0.98, per_week=8400, max_per_user=8, strata=(FOREIGN,), seed=7),
    "recllmsim": SampleSettings(max_per_user=25, strata=(FOREIGN,), seed=7),
}
SCRIPT = Script(
    answers={"style": "dirty", "dirty_share": 0.3},
    faults={"filtered_400": 0.02, "filtered_200": 0.01, "context_length": 0.01},
    cache_from_tokens=None,  # which call is the first one is a matter of luck
    slot=SLOT,
)
PROMPT = CompiledPrompt(
    classifier=CLASSIFIER,
    messages=(PromptMessage("system", "Answer about the transcript."), PromptMessage("user", BEFORE, AFTER)),
    response_schema=response_schema(CLASSIFIER),
    options={"temperature": 0, "max_tokens": 60},
    fingerprint="f" * 16,
    static_tokens=10,
)


@dataclass(frozen=True)
class Ask:
    """Asks a server as the asset does, each storage with a journal of its own."""

    base_url: str
    journal: Path

    def __call__(self, distinct: Frame, engine: Engine) -> Frame:
        a_plan = plan(self.journal, endpoint(self.base_url), hedge=False)
        return ask(distinct, ClassifyBatches(PROMPT, a_plan), engine, BatchSettings(), "2026-11-09")


@dataclass(frozen=True)
class WholeChain(Chain):
    """The stages over all weeks as one; only the source is read by week."""

    def read(self, table: str) -> Frame:
        return self.engine.scan([str(folder) for folder in sorted((self.storage / table).glob("week=*"))])


@dataclass(frozen=True)
class Run:
    """All stages, from the tables in one storage into another one.

    Attributes:
        chain: The engine and where it reads.
        into: Where it writes.
    """

    chain: Chain
    into: Path

    def stages(self) -> Iterator[tuple[list[Path], float]]:
        """Computes stage by stage: the folders of its tables below the storage, and seconds."""
        for compute in (self._conversations, *(partial(self._stage, stage) for stage in STAGES), self._by_cells):
            began = time.perf_counter()
            folders = compute()
            yield folders, time.perf_counter() - began

    def _conversations(self) -> list[Path]:
        weeks = [replace(self.chain, week=week) for week in WEEKS]
        return [folder for each in weeks for folder in self._write(each, each.tables("conversations"))]

    def _stage(self, stage: str) -> list[Path]:
        return self._write(self.chain, self.chain.tables(stage))

    def _by_cells(self) -> list[Path]:
        """The duplicates again, searched as among very many."""
        with patch.object(near_duplicates, "EXACT_BELOW", 1), patch.object(embed_dedupe, "EXACT_BELOW", 1):
            return self._write(self.chain, self.chain.tables("deduplicate"), Path(CELLS))

    def _write(self, chain: Chain, frames: Mapping[str, Frame], below: Path = Path()) -> list[Path]:
        folders = {below / table / chain.folder(table).name: frame for table, frame in frames.items()}
        for folder, frame in folders.items():
            (self.into / folder).mkdir(parents=True)
            chain.engine.write(frame, str(self.into / folder))
        return list(folders)
