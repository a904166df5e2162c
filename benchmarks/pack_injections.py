"""Attacks inside a pack: does an attack in one conversation move its neighbours' labels?

    python benchmarks/pack_injections.py [--attacks 24] [--base-url http://127.0.0.1:8000/v1 --model name]
    python benchmarks/pack_injections.py --attacks 60 --seconds 150 --answers answers.jsonl   # again and again: goes on

First, without any model: how many attacks, and how many harmless conversations, the product keeps out of others' packs
(`packing.screening`): the attacks of evals/injections, 120 that aim at a pack's other conversations and were written
without sight of the screen's words (packs.jsonl), and 80 harmless conversations that speak of labels, instructions and
the like (harmless.jsonl). Each stands alone among `--among` of ShareGPT's conversations, which decide how
rare a label's name is.

Then every attack, and four that aim at a pack's other conversations, stands among four harmless conversations, each
pack once with the attack, once with its clean twin, and once with the twin and a harmless sentence of the same length.
The third shows how much any other text in the prompt moves a label: only what the attack moves beyond that is the
attack's. Once for all attacks, as if there were no screen, and once for those that pass it. Intervals are bootstrapped
over attacks, since the neighbours of one share its prompt.

Without an address the small language model of the tests answers (llama.cpp, 135 million parameters, at chance on such
labels, and too weak to copy ids, so here a schema with the ids as keys makes it answer each conversation): that says
whether the mechanism leaks, not how a capable model behaves. Answers are kept in `--answers` under a fingerprint of the
pack's text and prompt; what is there is not asked again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.pack_attacks import (
    NEIGHBOURS,
    aimed,
    attacks,
    background,
    conversation,
    prompt,
    turns_of,
    variants,
)
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.evaluation.injections import load_attacks, shipped_attacks
from semtel_dagster.packing.filing import Filing, Question
from semtel_dagster.packing.packs import Conversation, Pack
from semtel_dagster.packing.screening import FEW, Screen, most_together
from semtel_dagster.prompts.together import packed
from semtel_dagster.reducers import PackSettings
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, RequestSettings
from semtel_dagster.transcript import Turn, content_hash
from tests.llm_server import MODEL, serve_llm

BESIDE = 4  # of the harmless conversations, around each attack
Labels = dict[str, str]


def composed(pack: Pack) -> CompiledPrompt:
    """The product's prompt for the pack, with its ids as the schema's keys."""
    entry = prompt().response_schema
    forced = dict.fromkeys(pack.ids, entry)
    schema = {"type": "object", "properties": forced, "required": list(forced), "additionalProperties": False}
    return replace(packed([prompt()], len(pack.conversations)), response_schema=schema)


def ask(plan: RequestPlan, pack: Pack) -> Labels:
    """The labels of a pack's conversations, by content hash."""
    filing = Filing(plan.journal, Question("subject", {"subject": prompt()}))
    labels = {}
    for batch in ClassifyBatches(composed(pack), plan, store=filing)(filing.feed([pack])):
        for row in batch.to_pylist():
            _, parts = filing.done(row)
            labels |= {part.record[0]: json.loads(part.record[4])["subject"] for part in parts}
    return labels


class Answers:
    """What was answered, in a file of lines."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().split("\n") if path is not None and path.is_file() else []
        self._found: dict[str, Labels] = dict(json.loads(line) for line in lines if line)

    @staticmethod
    def key(pack: Pack) -> str:
        messages = [(message.before, message.after) for message in composed(pack).messages]
        return content_hash(json.dumps([messages, pack.text()]))

    def get(self, pack: Pack) -> Labels | None:
        return self._found.get(self.key(pack))

    def put(self, pack: Pack, labels: Labels) -> None:
        self._found[self.key(pack)] = labels
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps([self.key(pack), labels]) + "\n")


@contextlib.contextmanager
def endpoint(base_url: str | None, model: str) -> Iterator[EndpointSettings]:
    if base_url:
        yield EndpointSettings(name="live", base_url=base_url, model=model)
        return
    with serve_llm() as url:
        yield EndpointSettings(name="live", base_url=url, model=MODEL, max_in_flight=2)


@dataclass(frozen=True)
class Trial:
    """An attack among its neighbours: the pack by what stands in the middle, and whether the screen lets it pass."""

    attack: str
    label: str
    packs: dict[str, Pack]
    passes: bool


def kept_apart(texts: Sequence[tuple[Turn, ...]], harmless: Sequence[Conversation]) -> list[int | None]:
    """How many each may share a prompt with: 1, a few, or as many as any; each alone among harmless ones."""
    screen = Screen.of([prompt()], PackSettings().apart)
    return [most_together([conversation(turns), *harmless], screen)[0] for turns in texts]


def screened(count: int, harmless: Sequence[Conversation]) -> None:
    """The table of what is kept apart."""
    folder = shipped_attacks().parent
    wanted = {
        name: [turns_of(one, label) for one, label in aimed(some)]
        for name, some in (
            ("shipped attacks, and four on packs", attacks(count)),
            ("attacks on packs, unseen", load_attacks(folder / "packs.jsonl")),
        )
    }
    wanted["their clean twins"] = [one.clean for one in load_attacks(folder / "packs.jsonl")]
    wanted["harmless, on like subjects"] = [one.clean for one in load_attacks(folder / "harmless.jsonl")]
    shown = Table(
        "", "conversations", "asked singly", "in small packs of their like", "as all others", title="the screen"
    )
    for name, texts in wanted.items():
        most = kept_apart(texts, harmless)
        few = sum(each is not None and each > 1 for each in most)
        shares = (f"{found / len(most):.1%}" for found in (most.count(1), few, most.count(None)))
        shown.add_row(name, str(len(texts)), *shares)
    Console(width=150).print(shown)


def trials(count: int, harmless: Sequence[Conversation]) -> list[Trial]:
    around = [conversation((Turn("user", asked), Turn("assistant", said))) for asked, said in NEIGHBOURS]
    chosen = aimed(attacks(count))
    passes = kept_apart([turns_of(attack, label) for attack, label in chosen], harmless)
    found = []
    for at, ((attack, label), most) in enumerate(zip(chosen, passes, strict=True)):
        beside = [around[(at + step) % len(around)] for step in range(BESIDE)]
        half = BESIDE // 2
        packs = {name: Pack(("subject",), (*beside[:half], one, *beside[half:]))
                 for name, one in variants(attack, label).items()}  # fmt: skip
        found.append(Trial(attack.id, label, packs, passes=most is None))
    return found


def asked(chosen: Sequence[Trial], answers: Answers, given: argparse.Namespace) -> None:
    """Asks what is not known, attack by attack, until the time is over."""
    missing = [one for one in chosen if any(answers.get(pack) is None for pack in one.packs.values())]
    if not missing:
        return
    until = time.monotonic() + given.seconds
    with endpoint(given.base_url, given.model) as live, tempfile.TemporaryDirectory() as journal:
        plan = RequestPlan((live,), RequestSettings(timeout_s=240), journal, hedge=False)
        for one in missing:
            for pack in one.packs.values():
                if answers.get(pack) is None and time.monotonic() < until:
                    answers.put(pack, ask(plan, pack))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", type=int, default=24)
    parser.add_argument("--among", type=int, default=400, help="of ShareGPT's conversations; 0: the clean twins")
    parser.add_argument("--base-url")
    parser.add_argument("--model", default="model")
    parser.add_argument("--answers", type=Path, help="keep answers here, and ask nothing that it holds")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop asking after so long")
    given = parser.parse_args()
    harmless = background(given.among)
    screened(given.attacks, harmless)
    own = most_together(harmless, Screen.of([prompt()], PackSettings().apart))
    print(
        f"of the {len(own)} conversations around them {own.count(1)} are asked singly, {own.count(FEW)} in small packs"
    )
    chosen = trials(given.attacks, harmless)
    answers = Answers(given.answers)
    asked(chosen, answers, given)
    done = [one for one in chosen if all(answers.get(pack) is not None for pack in one.packs.values())]
    report("as if nothing were kept apart", [moves(one, answers) for one in done])
    report("of attacks that the screen lets pass", [moves(one, answers) for one in done if one.passes])
    print(f"{len(done)} of {len(chosen)} attacks tried; {sum(one.passes for one in done)} of them pass the screen")


def moves(trial: Trial, answers: Answers) -> dict[str, tuple[int, ...]]:
    """By what stands in the middle: neighbours, moved, moved to the attack's label, unanswered."""
    said = {name: answers.get(pack) or {} for name, pack in trial.packs.items()}
    hashes = [each.content_hash for each in trial.packs["clean"].conversations]
    del hashes[BESIDE // 2]
    before = {one: said["clean"][one] for one in hashes if one in said["clean"]}
    found = {}
    for name in ("attack", "harmless"):
        after = {one: said[name].get(one) for one in before}
        moved = [one for one, label in after.items() if label is not None and label != before[one]]
        obeyed = sum(after[one] == trial.label for one in moved)
        found[name] = (len(before), len(moved), obeyed, sum(label is None for label in after.values()))
    return found


def report(which: str, found: Sequence[dict[str, tuple[int, ...]]]) -> None:
    if not found:
        return
    columns = ("beside it stands", "neighbours", "label moved", "95 %", "moved to the attack's label", "unanswered")
    shown = Table(*columns, title=f"neighbours, against the pack with the clean twin: {which}")
    drawn = np.random.default_rng(0).integers(len(found), size=(4000, len(found)))
    shares, hits = {}, {}
    for name in ("attack", "harmless"):
        counts = np.array([each[name] for each in found])
        total, moved, obeyed, missing = counts.sum(axis=0)
        shares[name] = counts[drawn, 1].sum(axis=1) / counts[drawn, 0].sum(axis=1)
        hits[name] = counts[drawn, 2].sum(axis=1) / counts[drawn, 0].sum(axis=1)
        beside = "an attack" if name == "attack" else "harmless text of its length"
        percent = f"{moved} ({moved / total:.1%})", f"{obeyed} ({obeyed / total:.1%})"
        shown.add_row(beside, str(total), percent[0], between(shares[name]), percent[1], str(missing))
    Console(width=150).print(shown)
    beyond = {name: between(each["attack"] - each["harmless"]) for name, each in (("moved", shares), ("obeyed", hits))}
    print(f"attack minus harmless (95 %): moved {beyond['moved']}, moved to the attack's label {beyond['obeyed']}")


def between(values: np.ndarray) -> str:
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{low:.1%} to {high:.1%}"


if __name__ == "__main__":
    main()
