"""A run in company, window by window: look up, pack, split what failed, check, grade, ask the rest singly.

Belongs here: the order of the rounds, and what becomes of each conversation. The calls of a round belong in `rounds`.

Packs are formed from windows of conversations that lack an answer, in the order in which they come; windows end by
rows and tokens, not by batches. So on one engine the packs of a run follow from its input and the seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf

import numpy as np
import pyarrow as pa

from semtel_dagster.packing.again import Again, AgainRecord
from semtel_dagster.packing.agreement import compare
from semtel_dagster.packing.alike import Likeness
from semtel_dagster.packing.arranging import AGAIN, Window, arrange, elsewhere
from semtel_dagster.packing.charges import Charge
from semtel_dagster.packing.finished import Finished, failed_row
from semtel_dagster.packing.learning import Learning
from semtel_dagster.packing.packs import Conversation, Pack, form, halves, is_drawn, order
from semtel_dagster.packing.rounds import Answers, Ended, Rounds, Row
from semtel_dagster.packing.screening import Screen, disbelieving, most_together, named_in
from semtel_dagster.packing.shelf import DOUBTFUL, Shelf
from semtel_dagster.packing.unseen import distrusted, noted

Groups = dict[tuple[tuple[str, ...], int | None], list[Conversation]]
"""By the classifiers that are lacking, and the most conversations in a pack if that is less than usual."""


class Session:
    """One call of the row function."""

    def __init__(self, rounds: Rounds, shelves: Mapping[str, Shelf], models: Sequence[str]) -> None:
        """Starts with nothing asked.

        Args:
            rounds: Makes the calls.
            shelves: The answers that are there, of every classifier of the group.
            models: The models that answer.
        """
        self._rounds, self._shelves = rounds, shelves
        self._target, self._settings, self._tally = rounds.target, rounds.pack, rounds.tally
        self._learning = Learning(rounds, models)
        self._screen = Screen.of(rounds.prompts.values(), rounds.pack.apart)
        own = rounds.prompts[rounds.target].fingerprint
        self._again_record = AgainRecord(rounds.plan.journal, own, tuple(models))
        self._counts: dict[int, Again] = {}
        self._likeness = Likeness({name: prompt.classifier for name, prompt in rounds.prompts.items()})
        self._finished = Finished(self._tally)
        self._lacking: list[Conversation] = []
        self._singles: dict[str, Conversation] = {}
        self._again: list[Pack] = []
        self._replaced = 0
        self._alive = False
        self._ungraded: list[tuple[Conversation, Row]] = []

    def run(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of RESPONSES, one row per input row; the same text twice in a window shares one answer."""
        window = Window()
        shelf = self._shelves[self._target]
        shelf.distrust(distrusted(self._rounds.plan.journal, self._target, shelf, self._likeness))
        for batch in batches:
            yield from self._look_up(batch)
            for each in self._lacking:
                if window.add(each):
                    yield from self._ask(window.take())
        yield from self._ask(window.take())
        self._again_record.add(self._counts)
        self._tally.show()

    # what is there

    def _look_up(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Yields the answers that are there; what is to be asked is left in `_lacking`, what to be graded in line."""
        hashes, texts = batch.column("content_hash"), batch.column("text")
        found = {name: shelf.find(hashes) for name, shelf in self._shelves.items()}
        own = found[self._target]
        for rows in self._shelves[self._target].read(own, own.there & ~own.ungraded):
            self._tally.from_journal += rows.num_rows
            yield self._finished.counted(rows)
        names, tokens = hashes.to_pylist(), batch.column("n_tokens").to_pylist()
        lacks = {name: ~each.there for name, each in found.items()}
        alone = {name: each.doubted for name, each in found.items()}

        def conversation(at: int, members: tuple[str, ...]) -> Conversation:
            return Conversation(names[at], texts[at].as_py(), tokens[at] or 0, members)

        self._lacking = []
        for at in np.flatnonzero(lacks[self._target]).tolist():
            members = tuple(sorted(name for name in found if lacks[name][at] and not alone[name][at]))
            # What a grader doubted in a pack is asked singly.
            self._lacking.append(conversation(at, () if alone[self._target][at] else members))
        if own.ungraded.any():
            by_hash = {
                row["content_hash"]: row
                for rows in self._shelves[self._target].read(own, own.ungraded)
                for row in rows.to_pylist()
            }
            for at in np.flatnonzero(own.ungraded).tolist():
                self._ungraded.append((conversation(at, (self._target,)), by_hash[names[at]]))

    # one window

    def _ask(self, window: Sequence[Conversation]) -> Iterator[pa.RecordBatch]:
        copies = Counter(each.content_hash for each in window)
        groups: Groups = {}
        distinct = list({each.content_hash: each for each in reversed(window)}.values())[::-1]
        together = most_together(distinct, self._screen) if self._settings.is_on else [None] * len(distinct)
        self._tally.kept_apart += len(distinct) - together.count(None)
        for each, most in zip(distinct, together, strict=True):
            groups.setdefault((each.lacks, most), []).append(each)
        for (members, most), conversations in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or inf)):
            yield from self._finished.with_copies(self._ask_alike(members, conversations, most), copies)
        yield from self._finished.with_copies(self._grade_leftovers(), copies)
        yield from self._finished.with_copies(self._ask_singles(), copies)

    def _ask_alike(
        self, members: tuple[str, ...], conversations: list[Conversation], most: int | None
    ) -> Iterator[pa.RecordBatch]:
        """Conversations that lack the answers of the same classifiers, in packs of at most `most`, if given."""
        learns = self._settings.conversations == "auto" and most is None
        if learns and members and self._learning.size(members) is None:
            sample = self._learning.sample(conversations)
            rows = self._learning.learn(members, sample) if sample else None
            if rows is not None:
                self._finished.owe(sample[0].content_hash, self._learning.spent)
                yield from map(self._finished.out, rows)
                asked = {each.content_hash for each in sample}
                conversations = [each for each in conversations if each.content_hash not in asked]
        usual = self._size(members)
        size = usual if most is None else min(usual, most)
        named = named_in(conversations, self._screen) if most is not None and most > 1 else None
        packs, singles = arrange(conversations, members, size, self._rounds.room, self._settings.seed, named)
        if named is not None:
            packs = disbelieving(packs, named)
        self._singles |= {each.content_hash: each for each in singles}
        before = len(self._singles) + self._replaced
        yield from self._ask_packs(packs, size)
        again, self._again = self._again, []
        yield from self._ask_packs(again, size, last=True)
        packed = sum(len(pack.conversations) for pack in packs)
        further = Again(packed, len(again) + len(self._singles) + self._replaced - before)
        if size < usual:  # the plan takes them for packs like the others
            further = Again(len(conversations), further.calls + len(packs) + len(singles) - len(conversations) // usual)
        self._counts[usual] = self._counts.get(usual, Again()) + further

    def _size(self, members: tuple[str, ...]) -> int:
        wanted = self._settings.conversations
        if isinstance(wanted, int) or not members:
            return wanted if isinstance(wanted, int) else 1
        return self._learning.size(members) or 1

    def _ask_packs(self, packs: Sequence[Pack], size: int, *, last: bool = False) -> Iterator[pa.RecordBatch]:
        """One round about packs. What came of it is seen as a whole before any of it goes on."""
        came: list[tuple[Ended, dict[str, Row]]] = []
        self._alive = False
        with noted(self._rounds.plan.journal, packs):
            for ended in self._rounds.ask(packs):
                self._alive |= ended.row["status"] == "answered"
                rows = ended.records(self._target)
                self._sort_out(ended, rows, last=last)
                if ended.pack.framed:
                    came.append((ended, rows))
                    self._tally.waiting += len(rows)
                else:
                    self._finished.add(rows.values())
                yield from self._finished.flush()
            yield from self._weigh(came, size)

    def _weigh(self, came: Sequence[tuple[Ended, dict[str, Row]]], size: int) -> Iterator[pa.RecordBatch]:
        """What becomes of the answers of a round: singly instead, both ways, before a grader, or as they are."""
        checked: list[tuple[Pack, dict[str, Row]]] = []
        proposed: Answers = {}
        instead: dict[tuple[str, ...], Answers] = {}
        both: dict[tuple[str, ...], Answers] = {}
        alike = self._likeness([ended.answers() for ended, _ in came])
        for (ended, rows), suspicious in zip(came, alike, strict=True):
            self._tally.waiting -= len(rows)
            pack, answers = ended.pack, ended.answers()
            for content_hash in list(rows) if suspicious else self._drawn(rows):
                self._hold(content_hash, pack, rows.pop(content_hash))
                # The companions' packed answers give way to single ones as well, and count in no run of theirs.
                self._finished.owe(content_hash, ended.charge_of(content_hash, but=self._target))
                (instead if suspicious else both).setdefault(pack.members, {})[content_hash] = answers[content_hash]
            if self._settings.grade and rows:
                answered = tuple(each for each in pack.conversations if each.content_hash in rows)
                checked.append((replace(pack, conversations=answered), rows))
                proposed |= answers
            else:
                self._finished.add(rows.values())
            yield from self._finished.flush()
        yield from self._grade(checked, proposed)
        for members, answers in both.items():
            yield from self._compare(members, answers, size)
        for members, answers in instead.items():
            self._tally.disbelieved += len(answers)
            self._replaced += len(answers) * len(members)
            rows_of_target, _ = self._singly(members, answers)
            yield from map(self._finished.out, rows_of_target)

    def _sort_out(self, ended: Ended, rows: Mapping[str, Row], *, last: bool) -> None:
        """What becomes of the conversations of a call that got no answer for the target, and of what it cost."""
        missing = tuple(each for each in ended.pack.conversations if each.content_hash not in rows)
        if not missing:
            return
        left = ended.charge_left
        if not ended.may_be_split(alive=self._alive):
            for at, each in enumerate(missing):
                self._finished.add([failed_row(ended.row, each, left if at == 0 else Charge())])
            return
        self._finished.owe(missing[0].content_hash, left)
        if ended.pack.disbelieved:
            self._tally.disbelieved += len(missing)
            self._singles |= {each.content_hash: each for each in missing}
            return
        for part in [missing] if last or len(missing) == 1 else halves(missing):
            if last or len(part) == 1 or not ended.pack.framed:
                self._singles |= {each.content_hash: each for each in part}
            else:
                again = tuple(order(part, self._settings.seed, turn=1))
                self._again.append(Pack(ended.pack.members, again, self._settings.seed))

    # the grader

    def _grade(self, checked: Sequence[tuple[Pack, dict[str, Row]]], proposed: Answers,
               company: str = "") -> Iterator[pa.RecordBatch]:  # fmt: skip
        """Has answers checked; the doubtful ones, and those that nothing usable is said about, are asked singly."""
        held = {one: row for _, rows in checked for one, row in rows.items()}
        packs = [pack for pack, _ in checked]
        if self._settings.grade == "again":
            packs = elsewhere(packs, self._rounds.room, self._settings.seed)
        for ended in self._rounds.grade(packs, proposed, company):
            rows = {each.content_hash: held.pop(each.content_hash) for each in ended.pack.conversations}
            verdicts = ended.records(self._target)
            for content_hash, row in rows.items():
                verdict = verdicts.get(content_hash)
                whole = row | (Charge.of(row) + (Charge.of(verdict) if verdict else Charge())).as_dict()
                if verdict is None or verdict["raw_text"] == DOUBTFUL:
                    self._hold(content_hash, ended.pack, whole)
                else:
                    self._finished.add([whole])
            if not verdicts:
                self._finished.owe(next(iter(rows)), ended.charge_left)
            yield from self._finished.flush()

    def _grade_leftovers(self) -> Iterator[pa.RecordBatch]:
        """Answers of an earlier run that ended before the grader saw them, in packs of their own."""
        waiting, self._ungraded = self._ungraded, []
        by_company: dict[str, dict[str, tuple[Conversation, Row]]] = {}
        for each, row in waiting:
            by_company.setdefault(row["prompt_fingerprint"], {})[each.content_hash] = (each, row)
        for company, found in sorted(by_company.items()):
            members, size = (self._target,), max(self._size((self._target,)), 2)
            conversations = order([each for each, _ in found.values()], self._settings.seed, turn=AGAIN)
            checked = [
                (Pack(members, some, self._settings.seed),
                 {each.content_hash: found[each.content_hash][1] for each in some})
                for some in form(conversations, size, self._rounds.room(members, size), self._settings.seed)
            ]  # fmt: skip
            proposed = {content_hash: {self._target: row["raw_text"]} for content_hash, (_, row) in found.items()}
            yield from self._grade(checked, proposed, company)

    # both ways

    def _drawn(self, rows: Mapping[str, Row]) -> list[str]:
        """The packed conversations of the random share, which are asked singly as well."""
        if self._settings.conversations != "auto":
            return []
        return [one for one in rows if is_drawn(one, self._settings.seed, self._settings.random_share)]

    def _compare(self, members: tuple[str, ...], answers: Answers, size: int) -> Iterator[pa.RecordBatch]:
        """Asks the random share singly, notes how far both ways agree; the single answer is the one that counts."""
        rows, singly = self._singly(members, answers)
        packed = {name: {one: parts[name] for one, parts in answers.items() if name in parts} for name in members}
        self._learning.record(members).add(size, compare(self._rounds.prompts, singly, packed))
        yield from map(self._finished.out, rows)

    def _singly(
        self, members: tuple[str, ...], held: Iterable[str]
    ) -> tuple[list[pa.RecordBatch], dict[str, dict[str, str]]]:
        """Asks every member about conversations that are held: the target's rows, and the raw texts."""
        return self._learning.singly(members, [self._singles.pop(one) for one in held])

    # singly

    def _ask_singles(self) -> Iterator[pa.RecordBatch]:
        singles, self._singles = list(self._singles.values()), {}
        for rows in self._rounds.singly(singles, self._target):
            yield self._finished.out(rows)

    def _hold(self, content_hash: str, pack: Pack, row: Row) -> None:
        """A packed answer that a single one will replace; what it cost goes along."""
        self._singles[content_hash] = next(each for each in pack.conversations if each.content_hash == content_hash)
        self._finished.owe(content_hash, Charge.of(row))
