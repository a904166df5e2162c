"""Taking the answers of calls in company apart, and filing each part where it belongs before anybody sees it.

Belongs here: a store for the row function whose rows are calls (packs), and what it files: one row of RESPONSES per
conversation and classifier, in that classifier's own journal. So a killed run keeps every answer that was synced,
whatever its pack, and the journal of a classifier looks as if it had been asked alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.packing.charges import Charge, divide
from semtel_dagster.packing.names import BROUGHT, fingerprint_in_company, probe_fingerprint
from semtel_dagster.packing.packs import Pack
from semtel_dagster.packing.unpacking import AnswerReader
from semtel_dagster.requests.parts import PartWriter
from semtel_dagster.requests.row import Record, to_batch

FED_AT_ONCE = 64

_Row = dict[str, Any]


class Part(NamedTuple):
    """A row of RESPONSES and where it is filed."""

    classifier: str
    folder: str
    record: Record


@dataclass(frozen=True)
class Question:
    """How calls in company are to be taken apart.

    Attributes:
        target: The classifier whose run this is.
        prompts: The prompts of all classifiers that may be asked, by name.
        static_tokens: Of a call, shared by all its conversations.
        probe: The size of packs that only learn whether it will do; 0: the answers count.
        company: The fingerprint of answers from earlier packs that a grader sees in new ones; empty: follows from
            the pack.
    """

    target: str
    prompts: Mapping[str, CompiledPrompt]
    static_tokens: int = 0
    probe: int = 0
    company: str = ""

    def fingerprint(self, member: str, pack: Pack) -> str:
        """What a member's answers in a pack are filed under."""
        if self.company:
            return self.company
        others = [name for name in pack.members if name != member]
        company = fingerprint_in_company(self.prompts[member].fingerprint, others, packed=pack.framed)
        return probe_fingerprint(company, self.probe) if self.probe else company

    def folder(self, member: str, pack: Pack) -> str:
        """The folder of the classifier's journal."""
        brought = member != self.target and not self.probe
        return self.fingerprint(member, pack) + (BROUGHT if brought else "")


class Filing:
    """A store whose rows are packs.

    Attributes:
        parts: By the pack's key, what was filed of its answer. Filled in the recorder's thread, before the pack's own
            row comes out.
        question: How they are taken apart.
    """

    def __init__(self, journal: str, question: Question) -> None:
        """Knows no pack yet."""
        self.parts: dict[str, list[Part]] = {}
        self.question = question
        self._journal = journal
        self._packs: dict[str, Pack] = {}
        self._readers: dict[tuple[str, ...], AnswerReader] = {}

    def feed(self, packs: Sequence[Pack]) -> Iterator[pa.RecordBatch]:
        """The packs as input of the row function; their texts are written as they are pulled."""
        for at in range(0, len(packs), FED_AT_ONCE):
            some = packs[at : at + FED_AT_ONCE]
            self._packs |= {pack.key: pack for pack in some}
            yield pa.record_batch(
                {
                    "content_hash": pa.array([pack.key for pack in some], pa.large_string()),
                    "text": pa.array([self.text(pack) for pack in some], pa.large_string()),
                    "n_tokens": pa.array([pack.n_tokens for pack in some], pa.int32()),
                }
            )

    def text(self, pack: Pack) -> str:
        """What is sent about a pack."""
        return pack.text()

    def done(self, row: _Row) -> tuple[Pack, list[Part]]:
        """The pack of a finished row, and what was filed of it; forgets both."""
        return self._packs.pop(row["content_hash"]), self.parts.pop(row["content_hash"], [])

    def take_apart(self, pack: Pack, row: _Row) -> list[Part]:
        """What a call's answer holds, each part with its share of the tokens; the target's parts come first.

        The calls stand in the target's first part; where it has none, they are the caller's to count.
        """
        reader = self.reader(pack.members)
        found = reader.read(row["raw_text"] or "", pack)
        slots = [(each, name) for each in pack.conversations for name in found.get(each.content_hash, ())]
        slots.sort(key=lambda slot: slot[1] != self.question.target)
        if not slots:
            return []
        overhead = self.question.static_tokens / len(pack.conversations)
        charges = divide(Charge.of(row).tokens, [each.n_tokens + overhead for each, _ in slots])
        if slots[0][1] == self.question.target:
            charges[0] += Charge.of(row).calls
        return [
            Part(
                name,
                self.question.folder(name, pack),
                record_of(row, each.content_hash, self.question.fingerprint(name, pack),
                        found[each.content_hash][name], charge),
            )
            for (each, name), charge in zip(slots, charges, strict=True)
        ]  # fmt: skip

    def reader(self, members: tuple[str, ...]) -> AnswerReader:
        """Reads the answers to calls that ask these classifiers."""
        if members not in self._readers:
            self._readers[members] = AnswerReader({name: self.question.prompts[name] for name in members})
        return self._readers[members]

    def file(self, row: _Row) -> list[Part]:
        """Takes a row apart and remembers the parts until it is done."""
        parts = self.take_apart(self._packs[row["content_hash"]], row)
        self.parts[row["content_hash"]] = parts
        return parts

    # the protocol of a store: packs are never looked up, their parts are

    def find(self, content_hashes: pa.Array, models: Iterable[str]) -> npt.NDArray[np.int64]:
        """Never anything."""
        return np.full(len(content_hashes), -1, dtype=np.int64)

    def read(self, positions: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Nothing is ever found."""
        raise LookupError("packs are not looked up")

    def writer(self) -> FilingWriter:
        """A writer that takes packs apart."""
        return FilingWriter(self._journal, self)

    def close(self) -> None:
        """Holds no files."""


@dataclass
class FilingWriter:
    """Writes the parts of finished packs to the journals of their classifiers."""

    journal: str
    filing: Filing
    _writers: dict[tuple[str, str], PartWriter] = field(default_factory=dict)

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes a batch of packs apart and writes the parts.

        Raises:
            OSError: The journal cannot be written.
        """
        by_folder: dict[tuple[str, str], list[Record]] = {}
        for row in batch.to_pylist():
            for part in self.filing.file(row):
                by_folder.setdefault((part.classifier, part.folder), []).append(part.record)
        for (classifier, folder), records in by_folder.items():
            writer = self._writers.setdefault(
                (classifier, folder), PartWriter(Path(self.journal) / classifier / folder)
            )  # fmt: skip
            writer.write(to_batch(records)[0])

    def sync(self) -> None:
        """Waits until the parts are on the disk; may be called from another thread than `write`."""
        for writer in list(self._writers.values()):
            writer.sync()

    def close(self) -> None:
        """Lets the files go."""
        for writer in self._writers.values():
            writer.close()


def record_of(row: _Row, content_hash: str, fingerprint: str, raw_text: str, charge: Charge) -> Record:
    """A row of RESPONSES for a part of a call."""
    return (
        content_hash, fingerprint, row["model"], row["endpoint"], raw_text, row["finish_reason"], None,
        charge.input_tokens, charge.cached_tokens, charge.output_tokens, row["latency_s"], charge.attempts,
        charge.refusals, False, "answered", None, True,
    )  # fmt: skip
