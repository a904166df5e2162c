"""All answers that count for one classifier: singly or in company, in its own runs or brought along by others'.

Belongs here: looking answers up over several journals, and taking over what others brought. What counts is decided in
`names`; making answers belongs in `session`.

What another classifier's run brings along lies in a folder beside, and moves to the classifier's own when its own
run takes it: in that run it counts as made now, without a call. So each token that an endpoint charged is counted
in one run and one table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.packing.names import BROUGHT, accepted, grade_fingerprint
from semtel_dagster.reducers import Grade
from semtel_dagster.requests.journal import Journal, compact
from semtel_dagster.requests.parts import PartWriter

DOUBTFUL, FINE = "doubtful", "fine"


class Shelf:
    """The answers of one classifier, as they were when it was opened."""

    def __init__(
        self,
        journal: str,
        classifier: str,
        own: str,
        group: Sequence[str],
        models: Sequence[str],
        *,
        packing: bool,
        grading: Grade,
    ) -> None:
        """Opens the journals that are there.

        Args:
            journal: The journal's folder.
            classifier: The classifier's name.
            own: Its prompt's fingerprint.
            group: The other classifiers that it may be combined with.
            models: Answers of these count.
            packing: Whether answers from packs count.
            grading: Whether they count only after a grader, or asking again, passed them.
        """
        self._models = tuple(models)
        self._books: list[_Book] = []
        for fingerprint, packed in accepted(own, group, packing=packing):
            for name in (fingerprint, fingerprint + BROUGHT):
                if (Path(journal) / classifier / name).is_dir():
                    self._books.append(_Book(journal, classifier, name, packed=packed, grading=grading))
        self._distrusted = pa.array([], pa.large_string())

    def __len__(self) -> int:
        return sum(len(book.answers) for book in self._books)

    def packed(self, content_hashes: Sequence[str]) -> dict[str, str]:
        """The raw texts of answers from packs, by content hash; a hash that has none is left out."""
        hashes = pa.array(content_hashes, pa.large_string())
        said: dict[str, str] = {}
        for book in self._books:
            at = book.answers.find(hashes, self._models) if book.packed else np.empty(0, dtype=np.int64)
            if (at >= 0).any():
                rows = book.answers.read(at[at >= 0])
                texts = zip(rows["content_hash"].to_pylist(), rows["raw_text"].to_pylist(), strict=True)
                said = {one: text for one, text in texts if text is not None} | said
        return said

    def distrust(self, content_hashes: Iterable[str]) -> None:
        """Answers about these that came from packs are doubted, as if a grader did."""
        self._distrusted = pa.array(sorted(content_hashes), pa.large_string())

    def find(self, content_hashes: pa.Array) -> Found:
        """What is there about these hashes."""
        rows = len(content_hashes)
        book, position = np.full(rows, -1, dtype=np.int64), np.full(rows, -1, dtype=np.int64)
        ungraded, doubted = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
        for number, each in enumerate(self._books):
            at = each.answers.find(content_hashes, self._models)
            unseen, bad = each.verdicts(content_hashes, self._models)
            if each.packed and len(self._distrusted):
                bad |= pc.is_in(content_hashes, value_set=self._distrusted).to_numpy(zero_copy_only=False)
            doubted |= (at >= 0) & bad
            new = (at >= 0) & ~bad & (book < 0)
            book[new], position[new], ungraded[new] = number, at[new], unseen[new]
        return Found(book, position, ungraded, doubted & (book < 0))

    def read(self, found: Found, rows: npt.NDArray[np.bool_]) -> list[pa.RecordBatch]:
        """Answers as rows of RESPONSES; what others brought becomes the classifier's own.

        Args:
            found: What `find` gave.
            rows: Which of its rows to read; each must be there.
        """
        books = np.where(rows, found.book, -1)
        return [
            self._books[number].read(found.position[books == number])
            for number in np.unique(books[books >= 0]).tolist()
        ]

    def close(self) -> None:
        """Closes the files."""
        for book in self._books:
            book.close()


@dataclass(frozen=True)
class Found:
    """Where answers lie, by row.

    Attributes:
        book: The number of its journal; -1 where there is no answer that counts.
        position: Where in the journal.
        ungraded: The answer is there, and a grader has yet to see it.
        doubted: There is none but one that a grader doubts.
    """

    book: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    ungraded: npt.NDArray[np.bool_]
    doubted: npt.NDArray[np.bool_]

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """Whether there is an answer, graded or not."""
        return self.book >= 0


class _Book:
    """One journal, with the verdicts on its answers where these need one."""

    def __init__(self, journal: str, classifier: str, name: str, *, packed: bool, grading: Grade) -> None:
        self.packed = packed
        compact(journal, classifier, name)
        self.answers = Journal(journal, classifier, name)
        self._brought = name.endswith(BROUGHT)
        self._own = Path(journal) / classifier / name.removesuffix(BROUGHT)
        self._writer: PartWriter | None = None
        self._grades: Journal | None = None
        self._fine: npt.NDArray[np.bool_] | None = None
        if packed and grading:
            company = name.removesuffix(BROUGHT)
            self._grades = Journal(journal, classifier, grade_fingerprint(company, again=grading == "again"))

    def verdicts(
        self, content_hashes: pa.Array, models: Sequence[str]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """By hash, whether its answer needs a grade and has none, and whether it is doubtful."""
        rows = len(content_hashes)
        if self._grades is None:
            return np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
        found = self._grades.find(content_hashes, models)
        graded = found >= 0
        bad = np.zeros(rows, dtype=bool)
        if graded.any():
            said = self._grades.read(found[graded]).column("raw_text").to_pylist()
            bad[graded] = [verdict == DOUBTFUL for verdict in said]
        return ~graded, bad

    def read(self, positions: npt.NDArray[np.int64]) -> pa.RecordBatch:
        if not self._brought:
            return self.answers.read(positions)
        rows = self.answers.read(positions, as_made=True)
        if self._writer is None:
            self._writer = PartWriter(self._own)
        self._writer.append(rows)
        return rows

    def close(self) -> None:
        for journal in (self.answers, self._grades):
            if journal is not None:
                journal.close()
        if self._writer is not None:
            self._writer.close()
