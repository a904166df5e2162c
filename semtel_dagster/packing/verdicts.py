"""Second calls about packs, whose outcome is a verdict on answers that are there.

Belongs here: stores for the row function that file verdicts. What follows from one belongs in `session`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from semtel_dagster.labels.answers import AnswerParser
from semtel_dagster.packing.charges import Charge, divide
from semtel_dagster.packing.filing import Filing, Part, Question, record_of
from semtel_dagster.packing.names import grade_fingerprint
from semtel_dagster.packing.packs import Pack
from semtel_dagster.packing.shelf import DOUBTFUL, FINE
from semtel_dagster.packing.unpacking import doubtful

_Row = dict[str, Any]


class Verdicts(Filing, ABC):
    """A store whose rows are calls that check answers: files a verdict per conversation and classifier.

    The tokens of a call stand with the target's verdicts: a verdict on a companion's answer is not paid for twice.
    """

    again: ClassVar[bool] = False

    def __init__(self, journal: str, question: Question, proposed: Mapping[str, Mapping[str, str]]) -> None:
        """Knows the answers to be checked, by content hash and classifier."""
        super().__init__(journal, question)
        self.proposed = proposed

    @abstractmethod
    def verdicts(self, pack: Pack, row: _Row) -> dict[str, dict[str, str]]:
        """By content hash and classifier; what is missing could not be judged."""

    def take_apart(self, pack: Pack, row: _Row) -> list[Part]:
        """A part for each verdict."""
        if row["status"] != "answered":
            return []
        found, target = self.verdicts(pack, row), self.question.target
        judged = [each for each in pack.conversations if target in found.get(each.content_hash, ())]
        overhead = self.question.static_tokens / len(pack.conversations)
        weights = [each.n_tokens + overhead for each in judged]
        charges = divide(Charge.of(row), weights) if judged else []
        charged = dict(zip((each.content_hash for each in judged), charges, strict=True))
        parts = []
        for one, verdicts in found.items():
            for name, verdict in verdicts.items():
                own = charged[one] if name == target else Charge()
                folder = grade_fingerprint(self.question.fingerprint(name, pack), again=self.again)
                parts.append(Part(name, folder, record_of(row, one, folder, verdict, own)))
        return parts


class Grading(Verdicts):
    """A grader sees a pack with its answers, and names the doubtful ones; that concerns all classifiers."""

    def text(self, pack: Pack) -> str:
        """The pack with the answers to be checked."""
        shown = {each.content_hash: self._shown(each.content_hash, pack) for each in pack.conversations}
        return pack.text(shown)

    def _shown(self, content_hash: str, pack: Pack) -> str:
        parts = [self.proposed[content_hash].get(name, "{}")[1:-1] for name in pack.members]
        return "{" + ", ".join(part for part in parts if part) + "}"

    def verdicts(self, pack: Pack, row: _Row) -> dict[str, dict[str, str]]:
        """None where the grader's answer is unusable or cut."""
        doubted = doubtful(row["raw_text"] or "", pack)
        if doubted is None:
            return {}
        return {
            one: dict.fromkeys(pack.members, DOUBTFUL if one in doubted else FINE)
            for one in (each.content_hash for each in pack.conversations)
        }


class AskingAgain(Verdicts):
    """The same question in other company: an answer is fine where every task has the same label again."""

    again: ClassVar[bool] = True

    def __init__(self, journal: str, question: Question, proposed: Mapping[str, Mapping[str, str]]) -> None:
        """Knows the first answers, by content hash and classifier."""
        super().__init__(journal, question, proposed)
        self._parsers = {name: AnswerParser(prompt.classifier) for name, prompt in question.prompts.items()}

    def verdicts(self, pack: Pack, row: _Row) -> dict[str, dict[str, str]]:
        """None where either answer is missing."""
        found = self.reader(pack.members).read(row["raw_text"] or "", pack)
        return {
            one: {
                name: FINE if self._labels(name, said) == self._labels(name, first[name]) else DOUBTFUL
                for name, said in answers.items()
                if name in first
            }
            for one, answers in found.items()
            if (first := self.proposed.get(one, {}))
        }

    def _labels(self, name: str, raw_text: str) -> list[str | None]:
        return [parsed.label for parsed in self._parsers[name].parse(raw_text)]
