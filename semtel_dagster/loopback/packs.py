"""Answers about several conversations in one prompt, and a grader's verdicts on such answers.

Belongs here: finding the conversations in a prompt, answering each as if it stood alone, and then spoiling the whole
as the script's `packs` say. What a single conversation's answer is belongs in `answers`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from semtel_dagster.loopback.answers import Answerer, Schema
from semtel_dagster.loopback.chance import unit
from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.script import PackWork

_BLOCK = re.compile(
    r"^=== conversation (\S+) ===\n(.*?)\n=== end of \1 ===$(?:\n=== answer to check: ([^\n]*)$)?", re.M | re.S
)
_CUT_SHARE = 0.6
_ODD_LETTERS = "qzjxkvbp"


@dataclass(frozen=True)
class Block:
    """A conversation in a prompt: its id, the key of its text, and the answer that a grader is to check."""

    id: str
    key: bytes
    proposed: str | None


def is_packed(schema: Schema | None) -> bool:
    """Whether a request's schema asks for a list of answers with ids, or for a grader's verdict on one."""
    properties = (schema or {}).get("properties", {})
    entry = properties.get("answers", {}).get("items", {})
    return "doubtful" in properties or "id" in entry.get("properties", {})


def blocks_in(text: str) -> tuple[Block, ...]:
    """The conversations of a user message, in order."""
    return tuple(Block(found[1], key_of(found[2]), found[3]) for found in _BLOCK.finditer(text))


class PackAnswerer:
    """Answers packs as a script says."""

    def __init__(self, work: PackWork, answerer: Answerer, seed: int) -> None:
        self._work, self._answerer, self._seed = work, answerer, seed

    def answer(self, schema: Schema, blocks: tuple[Block, ...], key: bytes) -> tuple[str, bool]:
        """The text of the answer to a prompt with these conversations, and whether it was cut.

        Args:
            schema: The request's JSON schema.
            blocks: The conversations.
            key: The prompt's, which decides what strikes it.
        """
        if "doubtful" in schema["properties"]:
            return self._grade(blocks, key), False
        entry = schema["properties"]["answers"]["items"]
        fields = {name: field for name, field in entry["properties"].items() if name != "id"}
        alone = {**entry, "properties": fields}
        entries = [
            {"id": block.id, **self._worsened(alone, block, place, len(blocks), key)}
            for place, block in enumerate(blocks)
        ]
        self._obey(entries, alone, blocks)
        text = orjson.dumps({"answers": self._spoiled(entries, key)}).decode()
        return (text[: int(len(text) * _CUT_SHARE)], True) if self._strikes("cut", key) else (text, False)

    def _worsened(self, schema: Schema, block: Block, place: int, count: int, key: bytes) -> dict[str, Any]:
        """The answer that the conversation alone would get, with labels lost to the company it is in."""
        value: dict[str, Any] = self._answerer.value(schema, block.key)
        loss = self._work.size_loss * (count - 1)
        loss += self._work.position_loss * (place / (count - 1) if count > 1 else 0.0)
        for name, field in schema["properties"].items():
            labels = [label for label in field.get("enum", []) if label != value[name]]
            if labels and unit(self._seed, f"lost {name}", block.key + key) < loss:
                value[name] = labels[int(unit(self._seed, f"other {name}", block.key + key) * len(labels))]
        return value

    def _obey(self, entries: list[dict[str, Any]], schema: Schema, blocks: tuple[Block, ...]) -> None:
        """Gives the others what a conversation demands of them, where it is a label; the last to demand has its way."""
        for place, block in enumerate(blocks):
            label = self._work.obeyed.get(block.key.hex())
            others = [*entries[place + 1 :], *entries[:place]][: self._work.obeyed_by]
            names = [name for name, field in schema["properties"].items() if label in field.get("enum", [])]
            for entry in others:
                entry |= dict.fromkeys(names, label)

    def _spoiled(self, entries: list[dict[str, Any]], key: bytes) -> list[dict[str, Any]]:
        at = int(unit(self._seed, "which", key) * len(entries))
        chosen = entries[at]
        if self._strikes("missing", key):
            entries = entries[:at] + entries[at + 1 :]
        if self._strikes("invented", key):
            entries = [
                {**each, "id": _other_id(each["id"])} if each is chosen else each for each in entries
            ]  # fmt: skip
        if self._strikes("duplicated", key):
            entries = [*entries, chosen]
        # Where its own answer is gone, another one's under its id could not be told from it by anybody.
        if self._strikes("contradicted", key) and any(each is chosen for each in entries):
            entries = [*entries, {**entries[0], "id": chosen["id"]}]
        if self._strikes("reordered", key):
            entries = sorted(entries, key=lambda each: unit(self._seed, "order", key + each["id"].encode()))
        return entries

    def _grade(self, blocks: tuple[Block, ...], key: bytes) -> str:
        named = []
        for block in blocks:
            try:
                proposed = orjson.loads(block.proposed or "")
            except orjson.JSONDecodeError:
                proposed = {}
            right = self._answerer.told(block.key)
            wrong = any(right.get(name, value) != value for name, value in proposed.items()) if right else False
            share = self._work.grader_finds if wrong else self._work.grader_errs
            if unit(self._seed, "graded", block.key + key) < share:
                named.append(block.id)
        return orjson.dumps({"checked": len(blocks), "doubtful": named}).decode()

    def _strikes(self, fault: str, key: bytes) -> bool:
        return unit(self._seed, fault, key) < float(getattr(self._work, fault))


def _other_id(an_id: str) -> str:
    return "".join(_ODD_LETTERS[ord(letter) % len(_ODD_LETTERS)] for letter in reversed(an_id))
