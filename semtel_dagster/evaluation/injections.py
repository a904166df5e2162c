"""Attacks on a classifier from inside a conversation, their clean twins, and how many labels they move.

An attack file is JSONL: id, kind, `messages` with the attack in them, and `clean`, the same without it. In the
attack's words `{task}`, `{label}` and `{definition}` stand for what it wants: a label other than the clean twin's.
Asking a model belongs in `trials`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from semtel_dagster.classifiers import Classifier, Label, Task
from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation.agreement import CONFIDENCE, Estimate
from semtel_dagster.transcript import Turn


@dataclass(frozen=True)
class Attack:
    """An attack and its clean twin; `kind` is the trick it uses."""

    id: str
    kind: str
    messages: tuple[Turn, ...]
    clean: tuple[Turn, ...]

    def aimed(self, task: Task, target: Label) -> tuple[Turn, ...]:
        """The conversation with the attack asking for a label."""
        wants = {"{task}": task.name, "{label}": target.name, "{definition}": target.definition}
        turns = []
        for turn in self.messages:
            content = turn.content
            for place, word in wants.items():
                content = content.replace(place, word)
            turns.append(Turn(turn.role, content))
        return tuple(turns)


@dataclass(frozen=True)
class Aim:
    """What an attack was made to ask for."""

    attack: Attack
    task: str
    label: str


@dataclass(frozen=True)
class Robustness:
    """How one task withstands the attacks.

    Attributes:
        n: Attacks.
        moved: Share whose label is another than the clean twin's.
        aimed: Of these attacks, how many asked for a label of this task.
        obeyed: Share of those that got it.
        moved_by_kind: Attacks that moved the label, and attacks in all, by kind.
    """

    task: str
    n: int
    moved: Estimate
    aimed: int
    obeyed: float
    moved_by_kind: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def load_attacks(path: Path | None = None) -> tuple[Attack, ...]:
    """Reads attacks; unset: the shipped ones.

    Raises:
        SettingsError: The file is missing or a line is no attack.
    """
    file = path or shipped_attacks()
    attacks = []
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:
        raise SettingsError(f"the file of attacks {file} cannot be read; give another path") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
                attacks.append(Attack(row["id"], row["kind"], _turns(row["messages"]), _turns(row["clean"])))
            except (ValueError, KeyError, TypeError):
                raise SettingsError(
                    f"{file.name}, line {number} is no attack; it needs id, kind, messages and clean"
                ) from None
    return tuple(attacks)


def shipped_attacks() -> Path:
    """The checkout's attacks, else the wheel's."""
    package = Path(str(files("semtel_dagster")))
    checkout = package.parent / "evals" / "injections"
    return (checkout if checkout.is_dir() else package / "_data" / "injections") / "attacks.jsonl"


def aim(attack: Attack, classifier: Classifier, clean: Mapping[str, str | None]) -> tuple[Aim, tuple[Turn, ...]]:
    """Points an attack at a label that the clean twin did not get; which one, a hash of its id decides.

    Args:
        attack: The attack.
        classifier: Its tasks and labels.
        clean: The clean twin's label by task.
    """
    digest = hashlib.blake2b(attack.id.encode(), digest_size=8).digest()
    task = classifier.tasks[digest[0] % len(classifier.tasks)]
    others = [label for label in task.labels if label.name != clean.get(task.name)]
    target = others[int.from_bytes(digest[1:], "big") % len(others)]
    return Aim(attack, task.name, target.name), attack.aimed(task, target)


def robustness(
    task: str,
    aims: Sequence[Aim],
    clean: Sequence[str | None],
    attacked: Sequence[str | None],
) -> Robustness:
    """Compares a task's labels of clean twins and attacked conversations, in the order of the aims."""
    from scipy.stats import binomtest

    moved = [one != other for one, other in zip(clean, attacked, strict=True)]
    # A bootstrap of "none moved" would have no width.
    ends = binomtest(sum(moved), len(moved)).proportion_ci(CONFIDENCE, "wilson")
    hits = [aimed.label == said for aimed, said in zip(aims, attacked, strict=True) if aimed.task == task]
    kinds = Counter(aimed.attack.kind for aimed in aims)
    fell = Counter(aimed.attack.kind for aimed, gone in zip(aims, moved, strict=True) if gone)
    return Robustness(
        task=task,
        n=len(aims),
        moved=Estimate(sum(moved) / len(moved), float(ends.low), float(ends.high)),
        aimed=len(hits),
        obeyed=sum(hits) / len(hits) if hits else 0.0,
        moved_by_kind={kind: (fell[kind], kinds[kind]) for kind in sorted(kinds)},
    )


def _turns(messages: Sequence[Mapping[str, str]]) -> tuple[Turn, ...]:
    return tuple(Turn(message["role"], message["content"]) for message in messages)
