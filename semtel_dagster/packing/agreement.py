"""How far packs of a size agree with single calls, and which size that allows.

Belongs here: counts, the bound, and where they are kept. Asking both ways belongs in `learning`.

Sizes are tried from small to large, and the first that fails ends the search. So the chance that a size is taken
whose true agreement lies below the wanted one is at most 1 - confidence, however many sizes are tried (tests in a
fixed sequence, Maurer et al. 1995). The bound is Clopper and Pearson's, one-sided, of each task; the lowest decides.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import orjson

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.labels.answers import AnswerParser
from semtel_dagster.prompts.together import template_fingerprint

FOLDER = ".packs"

Counts = dict[str, tuple[int, int]]
"""By task: conversations on which both ways agree, and conversations."""


@dataclass(frozen=True)
class Evidence:
    """What is known about pack sizes for some classifiers and models.

    Attributes:
        counts: By size, the counts of each task.
        tried: Whether the sizes were tried; until then nothing is packed.
    """

    counts: Mapping[int, Counts]
    tried: bool = False

    def size(self, wanted: float, confidence: float) -> int:
        """The largest size whose lower bound reaches the wanted agreement, as do all smaller ones tried; 1: none."""
        best = 1
        for size in sorted(self.counts):
            if bound(self.counts[size], confidence) < wanted:
                break
            best = size
        return best

    def plus(self, size: int, counts: Counts) -> Evidence:
        """With further counts."""
        before = self.counts.get(size, {})
        together = {
            task: (agree + before.get(task, (0, 0))[0], n + before.get(task, (0, 0))[1])
            for task, (agree, n) in counts.items()
        }
        return Evidence({**self.counts, size: together}, self.tried)


def bound(counts: Counts, confidence: float) -> float:
    """The lowest of the tasks' lower confidence bounds (Clopper-Pearson, one-sided); 0 without evidence."""
    from scipy.stats import beta

    if not counts:
        return 0.0
    return min(float(beta.ppf(1 - confidence, k, n - k + 1)) if k else 0.0 for k, n in counts.values())


def compare(prompts: Mapping[str, CompiledPrompt], singly: Mapping[str, Mapping[str, str]],
            packed: Mapping[str, Mapping[str, str]]) -> Counts:  # fmt: skip
    """Counts, by task, on how many conversations a pack's answer has the label of the single call.

    Args:
        prompts: The classifiers' prompts.
        singly: Raw texts by classifier and content hash.
        packed: The same, from packs; what is missing there does not agree.
    """
    counts: Counts = {}
    for name, answers in singly.items():
        parser = AnswerParser(prompts[name].classifier)
        for at, task in enumerate(prompts[name].classifier.tasks):
            agree = total = 0
            for content_hash, raw_text in answers.items():
                label = parser.parse(raw_text)[at].label
                if label is None:
                    continue
                total += 1
                other = packed.get(name, {}).get(content_hash)
                agree += other is not None and parser.parse(other)[at].label == label
            counts[task.name] = (agree, total)
    return {task: found for task, found in counts.items() if found[1]}


class Record:
    """The evidence about some classifiers and models, as a file that several processes share."""

    def __init__(self, journal: str, prompts: Sequence[CompiledPrompt], models: Sequence[str]) -> None:
        """Opens nothing; a changed prompt, model or template begins a new record."""
        parts = [*sorted(prompt.fingerprint for prompt in prompts), *sorted(models), template_fingerprint()]
        name = blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
        self._path = Path(journal) / FOLDER / f"{name}.json"

    def read(self) -> Evidence:
        """What is known."""
        try:
            content = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return Evidence({})
        counts = {int(size): {task: (k, n) for task, (k, n) in each.items()} for size, each in content["sizes"].items()}
        return Evidence(counts, content["tried"])

    def add(self, size: int, counts: Counts) -> Evidence:
        """Adds counts to what is there; no other process may be in between."""
        with self.alone():
            evidence = self.read().plus(size, counts)
            self._write(evidence)
        return evidence

    def write(self, evidence: Evidence) -> None:
        """Replaces what is there; call it while `alone`."""
        self._write(evidence)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until no other process learns about the same."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, evidence: Evidence) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_bytes(orjson.dumps(
            {"tried": evidence.tried, "sizes": {str(size): each for size, each in sorted(evidence.counts.items())}},
            option=orjson.OPT_INDENT_2,
        ))  # fmt: skip
        os.replace(draft, self._path)
