"""One round of calls: about packs, by a grader, or singly.

Belongs here: composing the prompt of a round, running it through the request engine, handing back what came, call by
call. Which rounds there are belongs in `session`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.packing.charges import Charge
from semtel_dagster.packing.filing import Filing, Part, Question
from semtel_dagster.packing.packs import Conversation, Pack
from semtel_dagster.packing.tally import Tally
from semtel_dagster.packing.verdicts import AskingAgain, Grading
from semtel_dagster.prompts.together import combined, grading, packed
from semtel_dagster.reducers import PackSettings
from semtel_dagster.repair import AskAndRepair
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.stores import Store

OWN_FAULTS = frozenset(
    {
        "bad_request", "content_filter", "context_length", "empty_answer", "model_refusal", "poisoned_reply",
        "text_not_unicode", "timeout", "unprocessable",
    }
)  # fmt: skip
"""Failures that what was asked may have caused: a part of it may go through."""
DOUBTFUL_FAULTS = frozenset({"connection_lost", "overloaded", "server_error"})
"""Failures that it may have caused where the endpoint answered other calls of the same round."""
PACKS_FLUSH_S = 0.1  # an answer about many conversations is dearer to lose than one about one
UNKNOWN_LENGTH = 64  # tokens of an answer whose prompt sets no limit

Row = dict[str, Any]
Answers = dict[str, dict[str, str]]
"""Raw texts by content hash and classifier."""


class Ended(NamedTuple):
    """A call in company that has ended.

    Attributes:
        pack: What it was about.
        row: Its row of RESPONSES, with the whole answer and charge.
        parts: What was filed of it.
    """

    pack: Pack
    row: Row
    parts: list[Part]

    def may_be_split(self, *, alive: bool) -> bool:
        """Whether a part of the pack may get an answer; `alive`: the endpoint answered other calls of the round."""
        if self.row["status"] == "answered":
            return True
        code = str(self.row["error"]).split(" (")[0]
        return code in OWN_FAULTS or (alive and code in DOUBTFUL_FAULTS)

    def records(self, target: str) -> dict[str, Row]:
        """The target's rows of RESPONSES by content hash."""
        names = tables.RESPONSES.names
        return {
            part.record[0]: dict(zip(names, part.record, strict=False))
            for part in self.parts
            if part.classifier == target
        }

    def answers(self) -> Answers:
        """What it says about each conversation, by classifier."""
        answers: Answers = {}
        for part in self.parts:
            answers.setdefault(part.record[0], {})[part.classifier] = part.record[4]
        return answers

    def charge_of(self, content_hash: str, but: str) -> Charge:
        """What the filed rows about a conversation carry, of all classifiers but one."""
        return _sum(part for part in self.parts if part.record[0] == content_hash and part.classifier != but)

    @property
    def charge_left(self) -> Charge:
        """What no filed row carries."""
        whole, filed = Charge.of(self.row).as_dict(), _sum(self.parts).as_dict()
        return Charge(**{name: whole[name] - filed[name] for name in whole})


@dataclass(frozen=True)
class Rounds:
    """Runs rounds for one classifier's run.

    Attributes:
        target: The classifier.
        prompts: Its prompt and those of its group, by name.
        plan: Endpoints and how to treat them.
        pack: The settings of packs.
        tally: Counts over the rounds.
    """

    target: str
    prompts: Mapping[str, CompiledPrompt]
    plan: RequestPlan
    pack: PackSettings
    tally: Tally

    def room(self, members: Sequence[str], size: int) -> int:
        """Tokens that a pack's text may have, so that prompt and answer fit in the model's context; 0: none fits."""
        return room(self.pack, [self.prompts[name] for name in members], size)

    def ask(self, packs: Iterable[Pack], probe: int = 0) -> Iterator[Ended]:
        """Asks about packs; every pack ends once."""
        for (members, framed), some in _alike(packs):
            prompts = [self.prompts[name] for name in members]
            prompt = packed(prompts, max(len(pack.conversations) for pack in some)) if framed else combined(prompts)
            question = Question(self.target, self.prompts, prompt.static_tokens, probe)
            yield from self._through(prompt, Filing(self.plan.journal, question), some)

    def grade(self, packs: Iterable[Pack], proposed: Answers, company: str = "") -> Iterator[Ended]:
        """Has the answers about packs checked, by a grader or by asking again; verdicts are the parts' raw texts."""
        compose, filing = (packed, AskingAgain) if self.pack.grade == "again" else (grading, Grading)
        for (members, _), some in _alike(packs):
            prompt = compose([self.prompts[name] for name in members], max(len(pack.conversations) for pack in some))
            question = Question(self.target, self.prompts, prompt.static_tokens, company=company)
            yield from self._through(prompt, filing(self.plan.journal, question, proposed), some)

    def singly(
        self, conversations: Sequence[Conversation], member: str, store: Store | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Asks one classifier about one conversation at a time, as without this room; rows of RESPONSES."""
        if conversations:
            classify = ClassifyBatches(self.prompts[member], self._plan(), self.tally.see, store=store)
            ask = AskAndRepair(classify) if store is None else classify
            yield from ask(iter([as_batch(conversations)]))
            self.tally.end_round()

    def _through(self, prompt: CompiledPrompt, filing: Filing, packs: Sequence[Pack]) -> Iterator[Ended]:
        plan = self._plan()
        often = plan.requests.model_copy(update={"flush_s": min(PACKS_FLUSH_S, plan.requests.flush_s)})
        classify = ClassifyBatches(prompt, replace(plan, requests=often), self.tally.see, store=filing)
        for batch in classify(filing.feed(packs)):
            for row in batch.to_pylist():
                yield Ended(*_in_order(filing, row))
        self.tally.end_round()

    def _plan(self) -> RequestPlan:
        """The plan, begun with as many calls in flight as the round before had learned."""
        learned = self.tally.in_flight
        return replace(self.plan, start_in_flight=learned) if learned else self.plan


def room(settings: PackSettings, prompts: Sequence[CompiledPrompt], size: int) -> int:
    """Tokens that the text of a pack of so many conversations may have; at most `max_tokens`."""
    prompt = packed(prompts, size)
    longest = next((int(prompt.options[name]) for name in ("max_tokens", "max_completion_tokens")
                    if prompt.options.get(name)), size * UNKNOWN_LENGTH)  # fmt: skip
    return max(0, min(settings.max_tokens, settings.context - prompt.static_tokens - longest))


def as_batch(conversations: Sequence[Conversation]) -> pa.RecordBatch:
    """Conversations as input of the row function."""
    return pa.record_batch(
        {
            "content_hash": pa.array([each.content_hash for each in conversations], pa.large_string()),
            "text": pa.array([each.text for each in conversations], pa.large_string()),
            "n_tokens": pa.array([each.n_tokens for each in conversations], pa.int32()),
        }
    )


def _sum(parts: Iterable[Part]) -> Charge:
    total = Charge()
    for part in parts:
        total += Charge.of(dict(zip(tables.RESPONSES.names, part.record, strict=False)))
    return total


def _in_order(filing: Filing, row: Row) -> tuple[Pack, Row, list[Part]]:
    pack, parts = filing.done(row)
    return pack, row, parts


def _alike(packs: Iterable[Pack]) -> Iterator[tuple[tuple[tuple[str, ...], bool], list[Pack]]]:
    """The packs by what one prompt can ask: the same classifiers, framed or not."""

    def kind(pack: Pack) -> tuple[tuple[str, ...], bool]:
        return pack.members, pack.framed

    for key, some in groupby(sorted(packs, key=kind), key=kind):
        yield key, list(some)
