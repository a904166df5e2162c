"""Answers read per second on one core: a realistic mix, each kind of answer, and the tests' table of dirty ones.

    python benchmarks/parsing.py

Every answer of the mix differs from the others where models' answers do (scores, remarks, sentences), and the parser
starts with an empty memory. "labels asset" is the Arrow function of the pipeline, from batches of responses to batches
of labels; "parser" reads texts only. CPU seconds of this process count, the best of three rounds. The target is
100,000 answers a second for the mix. Writes benchmarks/results/parsing.md.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from semtel_dagster.classifiers import Classifier
from semtel_dagster.labels.answers import AnswerParser
from semtel_dagster.labels.batches import COLUMNS, ParseResponses
from semtel_dagster.prompts.loader import load_classifiers

CHECKOUT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
BATCH = 8192
ROUNDS = 3
# What share of answers has which form: mostly JSON, as structured outputs or a good prompt give it.
MIX = {"clean": 85, "fenced": 6, "with a remark": 4, "other spelling": 2, "bare": 1, "prose": 1, "dirty table": 1}
WORDS = "they ask the assistant about this and that because it should work with what was said before in some detail"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--answers", type=int, default=100_000, help="of the mix")
    count = options.parse_args().answers
    rows = [(name, *measured(prompt.classifier, count)) for name, prompt in load_classifiers().items()]
    lines = ["| classifier | labels asset, mix | parser, mix |", "|---|---|---|"]
    lines += [f"| {name} | {whole:,.0f} | {parser:,.0f} |" for name, whole, parser, _ in rows]
    kinds = list(MIX)
    lines += ["", "| parser, answers a second | " + " | ".join(kinds) + " |", "|---" * (1 + len(kinds)) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{of[kind]:,.0f}" for kind in kinds) + " |" for name, _, _, of in rows]
    shares = ", ".join(f"{share} % {kind}" for kind, share in MIX.items())
    slowest = min(whole for _, whole, _, _ in rows)
    text = (
        f"# Answers read per second on one core\n\n`python benchmarks/parsing.py --answers {count}`\n\n"
        f"The mix: {shares}. Slowest classifier: {slowest:,.0f} (target 100,000).\n\n" + "\n".join(lines) + "\n"
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "parsing.md").write_text(text, encoding="utf-8")
    print(text)


def measured(classifier: Classifier, count: int) -> tuple[float, float, dict[str, float]]:
    """Answers a second: of the Arrow function and of the parser on the mix, of the parser on each kind."""
    rng = random.Random(0)
    forms = {kind: Form(kind, classifier, rng) for kind in MIX}
    answers = [forms[kind].make() for kind in rng.choices(list(MIX), list(MIX.values()), k=count)]
    found = list(batches(answers))
    function = ParseResponses(classifier)
    whole = rate(lambda: sum(batch.num_rows for batch in function(iter(found))), count)
    parser = rate(lambda: read(AnswerParser(classifier), answers), count)
    each = {}
    for kind, form in forms.items():
        some = [form.make() for _ in range(2_000)]
        each[kind] = rate(lambda some=some: read(AnswerParser(classifier), some), len(some))
    return whole, parser, each


class Form:
    """Makes answers of one form."""

    def __init__(self, kind: str, classifier: Classifier, rng: random.Random) -> None:
        self._kind, self._classifier, self._rng = kind, classifier, rng
        table = (CHECKOUT / "tests" / "labels" / "dirty_answers.jsonl").read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in table if line]
        dirty = [row["raw"] for row in rows if row["classifier"] == classifier.name]
        self._dirty = [raw for raw in dirty if raw.isprintable() or raw.isascii()]  # no lone surrogates: Arrow has none

    def make(self) -> str:
        fields = self._fields(spelled=self._kind == "other spelling")
        if self._kind == "clean":
            return json.dumps(fields)
        if self._kind == "fenced":
            return f"```json\n{json.dumps(fields, indent=2)}\n```"
        if self._kind == "with a remark":
            return json.dumps(fields | {"reason": self._sentence()})
        if self._kind == "other spelling":
            return json.dumps(fields)
        if self._kind == "bare":
            return "\n".join(f"{key}: {value}" for key, value in fields.items()) if len(fields) > 1 else self._label()
        if self._kind == "prose":
            said = " and ".join(f"the {key.replace('_', ' ')} is {value}" for key, value in fields.items())
            return f"{self._sentence()} I would say that {said}, {self._sentence()}"
        return self._rng.choice(self._dirty)

    def _fields(self, *, spelled: bool) -> dict[str, object]:
        fields: dict[str, object] = {}
        for task in self._classifier.tasks:
            label = self._rng.choice(task.labels)
            spellings = [label.name.title(), label.name.upper(), *label.aliases] if spelled else [label.name]
            if task.score:
                fields[task.score.field] = self._rng.randint(int(task.score.minimum), int(task.score.maximum))
            fields[task.name] = self._rng.choice(spellings)
        return fields

    def _label(self) -> str:
        return self._rng.choice(self._classifier.tasks[0].labels).name

    def _sentence(self) -> str:
        words = WORDS.split()
        return " ".join(self._rng.sample(words, k=self._rng.randint(8, len(words)))).capitalize() + "."


def batches(answers: list[str]) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(answers), BATCH):
        some = answers[start : start + BATCH]
        columns = {
            "content_hash": [f"{start + place:032x}" for place in range(len(some))],
            "prompt_fingerprint": ["f" * 16] * len(some),
            "model": ["m"] * len(some),
            "raw_text": some,
            "status": ["answered"] * len(some),
            "error": [None] * len(some),
        }
        yield pa.record_batch({name: pa.array(columns[name], pa.large_string()) for name in COLUMNS})


def read(parser: AnswerParser, answers: list[str]) -> None:
    for answer in answers:
        parser.parse(answer)


def rate(work: Callable[[], object], count: int) -> float:
    """Answers a second of CPU, in the best of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return count / min(seconds)


if __name__ == "__main__":
    main()
