"""Servers that fail in every way the loopback knows, alone and together, and what each must come to.

Scripts and the oracle only; running them belongs in `faults` and `soak`. The oracle knows the script: which fault
strikes the nth call of a conversation is a hash, so the right end of every row can be computed beforehand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from semtel_dagster.loopback.answers import Answerer
from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.faults import FaultDraw
from semtel_dagster.loopback.mishaps import BILLED
from semtel_dagster.loopback.script import FAULT_KINDS, ROW_FAULTS, Script
from tests.requests.builders import AFTER, BEFORE, hash_of, prompt
from tests.requests.reasons import REASONS

QUICK = {"median_s": 0.02, "sigma": 0.4}
SHARE = 0.2
BRIEF_TRICKLE_S = 0.5
HARMLESS = {None, "trickle", "content_type"}
UNUSABLE = BILLED - {"trickle", "content_type"}
PROMPT = prompt(max_tokens=400)  # long enough that no dirty answer is cut
RAW_BEGINS = {"truncated": '{"id":', "html_200": "<!DOCTYPE html>"}


def cases(rows: int = 10_000) -> dict[str, Script]:
    """Every fault alone, every kind of limit, every outage, dirty labels, and all together; quotas fit the rows."""
    per_minute = rows * 12
    limits = {"requests_per_minute": per_minute, "window_s": 1}
    scripts = {kind: _faulty({kind: SHARE}) for kind in FAULT_KINDS}
    scripts["knee"] = Script(latency={**QUICK, "full_speed": 32, "overload": 1.5})
    for headers in ("openai", "ten_second", "lying"):
        scripts[f"quota, {headers} headers"] = Script(latency=QUICK, limits={**limits, "headers": headers})
    for said in ("ms", "neither"):
        scripts[f"quota, retry-after {said}"] = Script(
            latency=QUICK, limits={**limits, "headers": "none", "retry_after": said}
        )
    scripts["quota of tokens"] = Script(latency=QUICK, limits={"tokens_per_minute": per_minute * 400, "window_s": 1})
    drop = ({"at_s": 1.0, "capacity": 0.3}, {"at_s": 4.0})
    scripts["quota drops and recovers"] = Script(latency=QUICK, limits=limits, phases=drop)
    for down in ("unavailable", "reset", "hang"):
        scripts[f"down: {down}"] = Script(latency=QUICK, phases=({"at_s": 0.5, "down": down}, {"at_s": 3.0}))
    scripts["dirty labels"] = Script(latency=QUICK, answers={"style": "dirty", "dirty_share": 0.5})
    scripts["all mixed"] = mixed(limits={**limits, "requests_per_minute": 2 * per_minute}, phases=drop)
    return scripts


def mixed(share: float = SHARE, **fields: Any) -> Script:
    """Every fault in equal parts, and dirty labels."""
    return _faulty(dict.fromkeys(FAULT_KINDS, share / len(FAULT_KINDS)), answers={"style": "dirty"}, **fields)


def _faulty(shares: dict[str, float], **fields: Any) -> Script:
    return Script(latency=QUICK, faults={**shares, "trickle_s": BRIEF_TRICKLE_S}, **fields)


@dataclass(frozen=True)
class Call:
    """What the server counted of one conversation."""

    sent: int
    paid: int


class Oracle:
    """Knows how each conversation must end under a script."""

    def __init__(self, script: Script, max_attempts: int) -> None:
        self._draw = FaultDraw(script.faults, script.seed)
        self._answerer = Answerer(script.answers, script.seed)
        self._schema = PROMPT.response_schema
        self._max_attempts = max_attempts

    def faults(self, rows: list[dict[str, Any]], texts: list[str], stats: dict[str, Any]) -> Counter[str]:
        """What is wrong with a table of responses: kinds of mistakes with their counts; empty when all is right."""
        wrong: Counter[str] = Counter()
        by_hash = {row["content_hash"]: row for row in rows}
        wrong["rows twice"] = len(rows) - len(by_hash)
        wrong["rows lost"] = sum(hash_of(text) not in by_hash for text in texts)
        for text in texts:
            row, key = by_hash.get(hash_of(text)), key_of(BEFORE + text + AFTER)
            call = Call(stats["conversations"].get(key.hex(), 0), stats["paid"].get(key.hex(), 0))
            if row is not None:
                wrong.update(self._mistakes(row, key, call))
        return +wrong

    def _mistakes(self, row: dict[str, Any], key: bytes, call: Call) -> list[str]:
        drawn = [self._draw.draw(key, nth) for nth in range(1, call.sent + 1)]
        mistakes = [] if row["attempts"] == call.sent else [f"attempts {row['attempts']}, server counts {call.sent}"]
        if call.paid > 1 + sum(fault in UNUSABLE for fault in drawn) and self._answer(key):
            mistakes.append("a usable answer paid twice")
        if row["status"] == "answered":
            return mistakes + self._mistakes_of_answer(row, key, drawn)
        return mistakes + self._mistakes_of_failure(row, key, drawn)

    def _mistakes_of_answer(self, row: dict[str, Any], key: bytes, drawn: list[str | None]) -> list[str]:
        if drawn[-1] not in HARMLESS:
            return [f"answered, though {drawn[-1]} struck"]
        return [] if row["raw_text"] == self._answer(key) else ["another answer than the server's"]

    def _mistakes_of_failure(self, row: dict[str, Any], key: bytes, drawn: list[str | None]) -> list[str]:
        last = drawn[-1]
        if last in HARMLESS:
            right = not self._answer(key) and row["error"] == "empty_answer (HTTP 200)"
            return [] if right else [f"failed by {row['error']}, though nothing struck"]
        if row["error"] != REASONS[str(last)]:
            return [f"{row['error']} instead of {REASONS[str(last)]}"]
        if last not in ROW_FAULTS and row["attempts"] - row["refusals"] < self._max_attempts:
            return [f"given up early: {last}"]
        begins = RAW_BEGINS.get(str(last), "")
        return [] if (row["raw_text"] or "").startswith(begins) else [f"{last} not kept raw"]

    def _answer(self, key: bytes) -> str:
        return self._answerer.answer(self._schema, key)
