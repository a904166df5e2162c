"""The embedded model on human labels, beside the commonest label and a model that is trained on those labels.

    python benchmarks/golden.py

Golden sets from evals/make_golden.py (CLINC150 domains, HWU64 scenarios, AB-ReDial satisfaction; they need shared/data
beside the checkout), then the demo's own 252 labelled conversations for every shipped classifier. The trained line is
logistic regression on the pipeline's own embeddings, five-fold: what a few hundred human labels buy. The demo's gold is
a development set of the embedded model: the evidence for level and acts was chosen on it, by weeks left out where it is
a number. Intervals are bootstraps over cases. Writes benchmarks/results/golden.md.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

CHECKOUT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
FOLDS = 5
DEMO = CHECKOUT / "evals" / "demo"

sys.path.insert(0, str(CHECKOUT / "evals"))

import make_golden  # noqa: E402

from semtel_dagster.classifiers import CompiledPrompt  # noqa: E402
from semtel_dagster.embedding import zero_shot  # noqa: E402
from semtel_dagster.embedding.embedded import EmbeddedProvider  # noqa: E402
from semtel_dagster.evaluation.agreement import Agreement, Estimate, measure  # noqa: E402
from semtel_dagster.evaluation.golden import GoldenSet, load_golden  # noqa: E402
from semtel_dagster.prompts.loader import load_classifiers  # noqa: E402
from semtel_dagster.settings import load_settings  # noqa: E402
from semtel_dagster.trials.cases import golden_cases  # noqa: E402


def main() -> None:
    lines = [
        "| golden set | labels | cases | answers from | accuracy | macro F1 | kappa |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["make_golden", folder]
        if make_golden.main():
            return
        sets = [
            (load_classifiers(CHECKOUT / "evals" / "prompts"), load_golden([f"{folder}/*.jsonl"])),
            (load_classifiers(), load_golden([str(DEMO / "gold" / "*.jsonl")])),
        ]
    for prompts, golden in sets:
        for prompt in prompts.values():
            for place, task in enumerate(prompt.classifier.tasks):
                for who, agreement in answers(prompt, place, golden).items():
                    lines.append(
                        f"| {task.name} | {len(agreement.labels)} | {agreement.n} | {who} | {row(agreement)} |"
                    )
    text = f"{(__doc__ or '').splitlines()[0]}\n\n" + "\n".join(lines) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "golden.md").write_text(text, encoding="utf-8")
    print(text)


def row(agreement: Agreement) -> str:
    kind = " (quadratic)" if agreement.quadratic else ""
    return " | ".join(shown(each) for each in (agreement.accuracy, agreement.macro_f1, agreement.kappa)) + kind


def answers(prompt: CompiledPrompt, place: int, golden: GoldenSet) -> dict[str, Agreement]:
    task = prompt.classifier.tasks[place]
    nowhere = tempfile.gettempdir() + "/no-such-storage"
    source = {"path": str(DEMO / "conversations" / "*.jsonl")}
    cases = golden_cases(golden, [task.name], load_settings(None, storage=nowhere, source=source))
    texts = {row["content_hash"]: row["text"] for row in cases.texts.to_pylist()}
    gold = {case: label for case, label in golden.gold(task).items() if case in cases.hashes}
    ids = sorted(gold)
    wanted, asked = [gold[case] for case in ids], [texts[cases.hashes[case]] for case in ids]
    said = _labels(prompt, place, asked)
    vectors = EmbeddedProvider().embed([_words(text) for text in asked])
    return {
        "the commonest label": measure(task, [(g, Counter(wanted).most_common(1)[0][0]) for g in wanted]),
        "the embedded model": measure(task, list(zip(wanted, said, strict=True))),
        f"embedding + logistic regression, {FOLDS}-fold": measure(
            task, list(zip(wanted, trained(vectors, wanted), strict=True))
        ),
    }


def _labels(prompt: CompiledPrompt, place: int, texts: list[str]) -> list[str | None]:
    from semtel_dagster.labels.answers import parse_answer

    raw = zero_shot.load().answer(prompt, texts)
    return [parse_answer(answer, prompt.classifier)[place].label for answer in raw]


def _words(transcript: str) -> str:
    """What was said, without markers and quotes."""
    return "\n".join(line[2:] for line in transcript.split("\n") if line.startswith("> "))


def trained(vectors: np.ndarray, gold: list[str]) -> list[str]:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    model = LogisticRegression(C=10.0, max_iter=500, class_weight="balanced")
    return cross_val_predict(model, vectors, gold, cv=folds).tolist()


def shown(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


if __name__ == "__main__":
    main()
