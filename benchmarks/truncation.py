"""Truncation: strategies and budgets, agreement against tokens.

    python benchmarks/truncation.py [--conversations 300]

ShareGPT (real conversations): the embedded model's labels of the cut conversation against its own labels of the whole
one, with Wilson intervals (95 %). AB-ReDial (dialogues, satisfaction judged by people): agreement with people, of the
embedded model and of logistic regression on the pipeline's embeddings (five-fold), each on what the cut left. Reads
shared/data beside the checkout. Writes benchmarks/results/truncation.md and .png.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "evals")]

from benchmarks.own_answers import RESULTS, Judge, agreement, markdown, sharegpt, shown  # noqa: E402
from semtel_dagster.classifiers import Task  # noqa: E402
from semtel_dagster.embedding.embedded import EmbeddedProvider  # noqa: E402
from semtel_dagster.evaluation.agreement import measure  # noqa: E402
from semtel_dagster.evaluation.golden import load_golden  # noqa: E402
from semtel_dagster.prompts.loader import load_classifiers  # noqa: E402
from semtel_dagster.settings import TruncateSettings  # noqa: E402
from semtel_dagster.stages.truncate import Truncated, truncate_turns  # noqa: E402
from semtel_dagster.transcript import Turn  # noqa: E402

STRATEGIES = ("head", "tail", "head_tail", "last_turns")
BUDGETS = (125, 250, 500, 1000, 2000)
DIALOGUE_BUDGETS = (50, 100, 200, 400)
WHOLE = TruncateSettings(max_tokens=10_000_000)

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--conversations", type=int, default=300)
    arguments = parser.parse_args()
    print(f"## ShareGPT, {arguments.conversations} conversations: agreement with the labels of the whole, %\n")
    first = list(own_labels(sharegpt(arguments.conversations)))
    print(markdown([table_row(row) for row in first]))
    print("\n## AB-ReDial satisfaction: agreement with people, %\n")
    second = list(peoples_labels())
    print(markdown([table_row(row) for row in second]))
    RESULTS.mkdir(exist_ok=True)
    tables = "\n\n".join(markdown([table_row(row) for row in rows]) for rows in (first, second))
    (RESULTS / "truncation.md").write_text(f"{(__doc__ or '').splitlines()[0]}\n\n{tables}\n", encoding="utf-8")
    plot(first + second, RESULTS / "truncation.png")


def settings_of(budgets: Sequence[int]) -> Iterator[tuple[str, str, TruncateSettings]]:
    for budget in budgets:
        for strategy in STRATEGIES:
            yield strategy, f"{budget:,}", TruncateSettings(max_tokens=budget, strategy=strategy)
    yield "whole", "", WHOLE


def own_labels(conversations: list[list[Turn]]) -> Iterator[Row]:
    judge = Judge(load_classifiers().values())
    before = judge.labels([each.text for each in truncate_turns(conversations, WHOLE)])
    for strategy, budget, options in settings_of(BUDGETS):
        cut = truncate_turns(conversations, options)
        shares = agreement(judge.labels([each.text for each in cut]), before, judge.tasks)
        yield row("ShareGPT", strategy, budget, cut, shares)


def peoples_labels() -> Iterator[Row]:
    task, conversations, people = dialogues()
    judge = Judge(load_classifiers(CHECKOUT / "evals" / "prompts", ("redial_satisfaction",)).values())
    wanted = [people[case] for case in conversations]
    for strategy, budget, options in settings_of(DIALOGUE_BUDGETS):
        cut = truncate_turns(list(conversations.values()), options)
        texts = [each.text for each in cut]
        said = {
            "embedded model": [labels[task.name] for labels in judge.labels(texts)],
            "trained on people": trained(texts, wanted),
        }
        shares = {}
        for who, labels in said.items():
            accuracy = measure(task, list(zip(wanted, labels, strict=True))).accuracy
            shares[who] = (accuracy.value or 0.0, accuracy.low or 0.0, accuracy.high or 0.0)
        yield row("AB-ReDial", strategy, budget, cut, shares)


def dialogues() -> tuple[Task, dict[str, list[Turn]], dict[str, str]]:
    """The dialogues, and by dialogue the label that most people gave."""
    import make_golden

    prompt = load_classifiers(CHECKOUT / "evals" / "prompts", ("redial_satisfaction",))["redial_satisfaction"]
    (task,) = prompt.classifier.tasks
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        sys.argv = ["make_golden", folder]
        if make_golden.main():
            sys.exit(2)
        golden = load_golden([f"{folder}/redial_satisfaction.jsonl"])
    people = golden.gold(task)
    turns = {case: list(golden.conversations[case]) for case in sorted(people) if case in golden.conversations}
    return task, turns, people


def trained(transcripts: list[str], labels: list[str]) -> list[str]:
    words = ["\n".join(line[2:] for line in text.split("\n") if line.startswith("> ")) for text in transcripts]
    vectors = np.asarray(EmbeddedProvider().embed(words))
    model = LogisticRegression(C=10.0, max_iter=500, class_weight="balanced")
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
    return list(cross_val_predict(model, vectors, labels, cv=folds))


def row(data: str, strategy: str, budget: str, cut: list[Truncated], shares: dict[str, tuple[float, ...]]) -> Row:
    tokens = sum(each.n_tokens for each in cut)
    kept = tokens / sum(each.n_tokens_before for each in cut)
    return {"data": data, "strategy": strategy, "budget": budget, "tokens": tokens / len(cut), "kept": kept} | {
        "shares": shares
    }


def table_row(figures: Row) -> dict[str, object]:
    fixed = {
        "budget": figures["budget"],
        "strategy": figures["strategy"],
        "tokens each": f"{figures['tokens']:,.0f}",
        "of all": f"{figures['kept']:.0%}",
    }
    return fixed | {name: shown(share) for name, share in figures["shares"].items()}


def plot(rows: list[Row], path: Path) -> None:
    import altair as alt

    values = [
        {"task": f"{each['data']}: {name}", "strategy": each["strategy"], "tokens": each["tokens"],
         "agreement": share[0], "low": share[1], "high": share[2]}
        for each in rows for name, share in each["shares"].items()
    ]  # fmt: skip
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("tokens:Q", scale=alt.Scale(type="log"), title="tokens a conversation"), color="strategy:N"
    )
    lines = base.mark_line(point=True).encode(y=alt.Y("agreement:Q", title="agreement", scale=alt.Scale(zero=False)))
    bands = base.mark_rule(opacity=0.4).encode(y=alt.Y("low:Q", title="agreement"), y2="high:Q")
    panel = alt.layer(lines, bands).properties(width=260, height=180)
    panel.facet(facet=alt.Facet("task:N", title=None), columns=3).resolve_scale(x="independent", y="independent").save(
        path
    )


if __name__ == "__main__":
    main()
