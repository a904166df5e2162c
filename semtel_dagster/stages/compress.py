"""Compression: turns without what repeats, says nothing or can be guessed, before they are cut to the budget.

Belongs here: which rules run, in which order, and what they left of a conversation. What a rule does belongs in
`compress_repeats` and `compress_patterns`, finding a week's boilerplate in `boilerplate`, going by sentences in
`compress_sentences`.

A rule sees normalised lines and replaces some of them by a mark in square brackets that says what stood there. It
never adds, drops, merges or moves a turn, and depends on the conversation and the week's boilerplate alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from semtel_dagster.reducers import CompressSettings
from semtel_dagster.stages.boilerplate import shorten_boilerplate
from semtel_dagster.stages.compress_patterns import shorten_blobs, shorten_code, shorten_logs, squeeze_white_space
from semtel_dagster.stages.compress_repeats import shorten_repeats
from semtel_dagster.stages.compress_sentences import SentenceRule
from semtel_dagster.transcript import Turn, normalise

Rule = Callable[[list[list[str]]], list[list[str]]]


@dataclass(frozen=True)
class Compressed:
    """What is left of a conversation.

    Attributes:
        turns: As many as before, by the same roles, in the same order.
        rules: The rules that shortened something.
    """

    turns: list[Turn]
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Compressor:
    """Shortens conversations, each by itself.

    Attributes:
        options: Which rules run.
        boilerplate: Names of the week's boilerplate paragraphs (`boilerplate.find`).
        by_sentence: Takes out sentences, after the rules.
    """

    options: CompressSettings
    boilerplate: frozenset[int] = frozenset()
    by_sentence: SentenceRule | None = None

    def __call__(self, turns: list[Turn]) -> Compressed:
        """The conversation, shortened by every rule that finds something."""
        roles = [turn.role for turn in turns]
        left = [normalise(turn.content).split("\n") for turn in turns]
        rules: list[str] = []
        for name in self.options.lossless:
            before, left = left, self._rule(name, roles)(left)
            if left != before:
                rules.append(name)
        contents = ["\n".join(lines) for lines in left]
        if self.by_sentence is not None:
            shorter = self.by_sentence(roles, contents)
            rules += [self.by_sentence.name] if shorter != contents else []
            contents = shorter
        if not rules:
            return Compressed(turns, ())
        return Compressed([Turn(role, content) for role, content in zip(roles, contents, strict=True)], tuple(rules))

    def _rule(self, name: str, roles: list[str]) -> Rule:
        rules: dict[str, Rule] = {
            "boilerplate": partial(shorten_boilerplate, roles=roles, known=self.boilerplate),
            "repeats": shorten_repeats,
            "code": partial(shorten_code, keep=self.options.code_lines),
            "logs": shorten_logs,
            "blobs": shorten_blobs,
            "white_space": squeeze_white_space,
        }
        return rules[name]
