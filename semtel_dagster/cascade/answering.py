"""The row function of the cascade: the student answers where it is sure, everything else goes on to be asked.

Belongs here: telling the rows apart, and the answers' rows. Whether a student may answer at all is decided in
`standing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.cascade.chosen import ASKED_ANYWAY, chosen
from semtel_dagster.cascade.student import Prediction
from semtel_dagster.cascade.training import Trained
from semtel_dagster.engines.base import ArrowFunction
from semtel_dagster.labels.parsed import PREDICTED_MARK
from semtel_dagster.packing.asking import Company
from semtel_dagster.requests.journal import Journal

ENDPOINT = "cascade"
VECTOR, VECTOR_MODEL = "embedding", "embedding_model"
CONFIDENCE_DECIMALS = 3

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answered:
    """Where answers that were paid for are looked up; they win over the student's.

    Attributes:
        journal: The journal's folder.
        classifier: Who asks.
        fingerprint: Its prompt's.
        models: The models whose answers count.
        company: Whom it is asked with, if anybody.
    """

    journal: str
    classifier: str
    fingerprint: str
    models: tuple[str, ...]
    company: Company | None = None

    @contextmanager
    def opened(self) -> Iterator[Callable[[pa.Array], Bools]]:
        """Says of content hashes which have an answer, as things were when it was opened."""
        if self.company is not None:
            shelf = self.company.shelf(self.classifier, self.journal, self.models)
            with closing(shelf):
                yield lambda content_hashes: shelf.find(content_hashes).there
            return
        journal = Journal(self.journal, self.classifier, self.fingerprint)
        with closing(journal):
            yield lambda content_hashes: np.asarray(journal.find(content_hashes, self.models) >= 0)


@dataclass(frozen=True)
class SureOrAsk:
    """Rows that the student is sure of are answered by it; all others go on to `ask`. Picklable, as that is.

    A share of all rows, chosen by hash, always goes on: it shows whether the student still agrees.

    Attributes:
        ask: Answers rows online, in batches, or from the journal.
        trained: The student and its thresholds.
        answered: What was paid for.
    """

    ask: ArrowFunction
    trained: Trained
    answered: Answered

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of RESPONSES, one row per input row, in any order.

        Args:
            batches: Columns content_hash, text and n_tokens, and the stored vectors as `with_vectors` adds them.
        """
        predicted: list[pa.RecordBatch] = []
        for answers in self.ask(self.left(batches, predicted)):
            yield answers
            while predicted:
                yield predicted.pop()
        yield from predicted

    def left(self, batches: Iterator[pa.RecordBatch], predicted: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Passes on what is to be asked, and puts the student's answers into `predicted`."""
        with self.answered.opened() as there:
            for batch in batches:
                sure, said = self.sure(batch, there)
                if said is not None and sure.any():
                    predicted.append(self._responses(batch.column("content_hash").filter(pa.array(sure)), said))
                if not sure.all():
                    yield batch.drop_columns([VECTOR, VECTOR_MODEL]).filter(pa.array(~sure))

    def sure(self, batch: pa.RecordBatch, there: Callable[[pa.Array], Bools]) -> tuple[Bools, Prediction | None]:
        """Which rows of a batch the student answers, and what it says about these."""
        rows = np.zeros(batch.num_rows, dtype=np.bool_)
        hashes = batch.column("content_hash")
        embedded = [model == self.trained.embedding for model in batch.column(VECTOR_MODEL).to_pylist()]
        may = np.array(embedded, dtype=np.bool_) & ~chosen(hashes.to_pylist(), self.trained.random_share, ASKED_ANYWAY)
        if may.any():
            may[may] = ~there(hashes.filter(pa.array(may)))
        if not may.any():
            return rows, None
        said = self.trained.student.predict(_matrix(batch.column(VECTOR).filter(pa.array(may))))
        sure = self.trained.answers(said)
        rows[may] = sure
        return rows, Prediction(said.labels[sure], said.confidences[sure], said.scores[sure])

    def _responses(self, hashes: pa.Array, said: Prediction) -> pa.RecordBatch:
        tasks = [head.task for head in self.trained.student.heads]
        names, confidences = self.trained.student.names(said.labels), said.scores.round(CONFIDENCE_DECIMALS).tolist()
        texts = [
            orjson.dumps(dict(zip(tasks, labels, strict=True)) | {"confidence": confidence}).decode()
            for labels, confidence in zip(names, confidences, strict=True)
        ]
        fixed: dict[str, Any] = {
            "prompt_fingerprint": self.trained.prompt_fingerprint,
            "model": PREDICTED_MARK + self.trained.version,
            "endpoint": ENDPOINT,
            "finish_reason": "stop",
            **dict.fromkeys(("input_tokens", "cached_tokens", "output_tokens", "attempts", "refusals"), 0),
            "latency_s": 0.0,
            "from_journal": False,
            "status": "answered",
        }
        columns: dict[str, Any] = {"content_hash": hashes.to_pylist(), "raw_text": texts}
        arrays = [
            pa.array(columns.get(field.name) or [fixed.get(field.name)] * len(hashes), field.type)
            for field in tables.RESPONSES
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=tables.RESPONSES)


@dataclass(frozen=True)
class LeftToAsk:
    """The row function that keeps what `first` would ask: batches of conversations, without its student's rows."""

    first: SureOrAsk

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Conversations with vectors to conversations without."""
        yield from self.first.left(batches, [])


def _matrix(vectors: pa.Array) -> npt.NDArray[np.float32]:
    """A column of embeddings without gaps, as either engine gives it, of shape [n, d]."""
    flat = vectors.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(vectors), -1)
