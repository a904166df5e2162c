"""Learning how many conversations a pack may have: asking a sample both ways.

Belongs here: what is asked for the sake of learning. Counts and bounds belong in `agreement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.packing.agreement import Counts, Evidence, Record, compare
from semtel_dagster.packing.charges import Charge
from semtel_dagster.packing.names import BROUGHT
from semtel_dagster.packing.packs import Conversation, Pack, form, order
from semtel_dagster.packing.rounds import Rounds
from semtel_dagster.reducers import PackSettings
from semtel_dagster.requests.journal import Journal
from semtel_dagster.requests.parts import PartWriter

_SAMPLE_TURN = 1_000  # the sample's draw is apart from the orders of packs
FEWEST = 20


class Learning:
    """Learns pack sizes for one classifier's run, one size for each set of classifiers that is asked together.

    Attributes:
        spent: What packs cost whose answers count for nothing but learning, in this run.
    """

    def __init__(self, rounds: Rounds, models: Sequence[str]) -> None:
        """Knows what earlier runs recorded."""
        self._rounds, self._models = rounds, tuple(models)
        self._settings = rounds.pack
        self.spent = Charge()

    def record(self, members: Sequence[str]) -> Record:
        """The record about classifiers that are asked together."""
        prompts = [self._rounds.prompts[name] for name in members]
        return Record(self._rounds.plan.journal, prompts, self._models)

    def size(self, members: Sequence[str]) -> int | None:
        """The size that the evidence allows; None while nothing was tried."""
        prompts = [self._rounds.prompts[name] for name in members]
        return size_learned(self._settings, prompts, self._rounds.plan.journal, self._models)

    def sample(self, conversations: Iterable[Conversation]) -> list[Conversation]:
        """The conversations to try sizes on; none where there are too few to learn anything."""
        drawn = order(conversations, self._settings.seed, _SAMPLE_TURN)[: self._settings.sample]
        return drawn if len(drawn) >= FEWEST else []

    def learn(self, members: Sequence[str], sample: Sequence[Conversation]) -> list[pa.RecordBatch] | None:
        """Asks the sample singly, then in packs of growing size until they agree too little.

        Returns:
            The target's rows of RESPONSES about the sample, from the single calls; None where another process has
            learned in the meantime, and the sample was not asked.
        """
        record = self.record(members)
        with record.alone():
            if record.read().tried:
                return None
            rows, singly = self.singly(members, sample)
            record.write(self._try_sizes(members, sample, singly, Evidence({}, tried=True)))
        return rows

    def singly(
        self, members: Sequence[str], conversations: Sequence[Conversation]
    ) -> tuple[list[pa.RecordBatch], dict[str, dict[str, str]]]:
        """Single answers of every member: the target's rows, and the raw texts by classifier and content hash."""
        rounds, target_rows = self._rounds, []
        singly: dict[str, dict[str, str]] = {}
        for name in members:
            store = (
                None if name == rounds.target else _Brought(rounds.plan.journal, name, rounds.prompts[name].fingerprint)
            )
            batches = list(rounds.singly(conversations, name, store))
            if name == rounds.target:
                target_rows = batches
            singly[name] = {
                content_hash: raw_text or ""
                for batch in batches
                for content_hash, raw_text in zip(
                    batch.column("content_hash").to_pylist(), batch.column("raw_text").to_pylist(), strict=True
                )
            }
        return target_rows, singly

    def _try_sizes(
        self, members: Sequence[str], sample: Sequence[Conversation], singly: dict[str, dict[str, str]],
        evidence: Evidence,
    ) -> Evidence:  # fmt: skip
        size = 2
        while size <= min(self._settings.largest, len(sample)):
            evidence = evidence.plus(size, self._agreement(members, sample, singly, size))
            if evidence.size(self._settings.agreement, self._settings.confidence) < size:
                break
            size *= 2
        return evidence

    def _agreement(
        self, members: Sequence[str], sample: Sequence[Conversation], singly: dict[str, dict[str, str]], size: int
    ) -> Counts:
        settings, rounds = self._settings, self._rounds
        ordered = order(sample, settings.seed, size)
        packs = [
            Pack(tuple(members), pack, settings.seed)
            for pack in form(ordered, size, rounds.room(members, size), settings.seed)
        ]
        packed: dict[str, dict[str, str]] = {}
        for ended in rounds.ask(packs, probe=size):
            self.spent += Charge.of(ended.row)
            for content_hash, answers in ended.answers().items():
                for name, raw_text in answers.items():
                    packed.setdefault(name, {})[content_hash] = raw_text
        return compare(rounds.prompts, singly, packed)


def size_learned(
    settings: PackSettings, prompts: Sequence[CompiledPrompt], journal: str, models: Sequence[str]
) -> int | None:
    """The size of packs that the recorded evidence allows for classifiers asked together; None: nothing was tried."""
    evidence = Record(journal, prompts, models).read()
    return evidence.size(settings.agreement, settings.confidence) if evidence.tried else None


class _Brought(Journal):
    """A companion's own journal for reading, and the folder of what others bring for writing.

    A companion's single answer that is there already serves as it is; a new one is counted in the companion's own run.
    """

    def __init__(self, journal: str, classifier: str, fingerprint: str) -> None:
        super().__init__(journal, classifier, fingerprint)
        self._brought = Path(journal) / classifier / (fingerprint + BROUGHT)

    def writer(self) -> PartWriter:
        """A writer into the folder of what others bring."""
        return PartWriter(self._brought)
