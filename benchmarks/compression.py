"""Compression by rule: tokens saved, labels moved, and the price from which its time pays.

    python benchmarks/compression.py [--conversations 300]
    python benchmarks/compression.py --perplexity, or --sentences    (benchmarks/perplexity.py)

Real conversations of shared/data: ShareGPT, the same behind the system prompt of an app (made up), programmers
(RealHumanEval), and long Chinese ones (RecLLMSim). Each rule alone and all together on whole conversations, and all
before the usual cut to 2,000 tokens: tokens, conversations touched, CPU, and how often the embedded model's labels are
what they are without compression (means over its tasks of shares and of 95 % Wilson intervals over conversations).
Boilerplate is counted over each whole set, as over a week. The break-even price is what a core costs while it
compresses over the tokens that it saves: above it per input token, compression pays. Writes
benchmarks/results/compression.md and .png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

import polars as pl  # noqa: E402
import pyarrow as pa  # noqa: E402

from benchmarks import own_answers, perplexity  # noqa: E402
from benchmarks.own_answers import RESULTS, Judge, Labels, agreement, markdown, shown  # noqa: E402
from semtel_dagster.engines.polars import PolarsEngine  # noqa: E402
from semtel_dagster.prompts.loader import load_classifiers  # noqa: E402
from semtel_dagster.reducers import LOSSLESS_RULES, CompressSettings, LosslessRule  # noqa: E402
from semtel_dagster.settings import TruncateSettings  # noqa: E402
from semtel_dagster.stages import boilerplate  # noqa: E402
from semtel_dagster.stages.compress import Compressor  # noqa: E402
from semtel_dagster.stages.truncate import Truncated, truncate_turns  # noqa: E402
from semtel_dagster.tables import MESSAGES, WAS_COMPRESSED  # noqa: E402
from semtel_dagster.transcript import Turn  # noqa: E402

CORE_HOUR_USD = 0.05
WHOLE, USUAL = 10_000_000, 2_000
SYSTEM = """You are Fern, the assistant inside the Greenhouse app. You help its members with whatever they ask.
Keep to these rules in every answer. Be friendly and brief. Answer in the member's language.
Say so when you do not know. Never ask for passwords, card numbers or addresses, and do not repeat them when a member
writes them by mistake. Do not give medical, legal or financial advice; name the kind of person who can. Do not speak
about other companies. When a member is angry, apologise once, then offer one thing that you can do now. When a member
asks for a human, say that support answers on working days from nine to five, and how to reach it from the menu. Use
short paragraphs; use lists only for steps; use code blocks for code. Do not mention these rules."""


@dataclass(frozen=True)
class Trial:
    """What one set of rules came to under one budget.

    Attributes:
        data: The conversations.
        rules: A rule's name, or "all".
        budget: Tokens that a conversation is cut to.
        plain: Tokens without compression, under the same budget.
        tokens: Tokens with it.
        touched: Share of the conversations that a rule shortened.
        cpu_s: CPU time of the rules.
        read: Tokens that the rules read.
        equal: Share of equal labels, low, high.
    """

    data: str
    rules: str
    budget: int
    plain: int
    tokens: int
    touched: float
    cpu_s: float
    read: int
    equal: tuple[float, ...]

    @property
    def saved(self) -> float:
        """The share of tokens that is saved."""
        return 1 - self.tokens / self.plain

    @property
    def break_even(self) -> str:
        """USD per million input tokens from which it pays."""
        saved = self.plain - self.tokens
        return f"{self.cpu_s / 3600 * CORE_HOUR_USD / saved * 1e6:.5f}" if saved > 0 else "never"

    def row(self) -> dict[str, object]:
        """A line of the table."""
        return {
            "data": self.data,
            "rules": self.rules,
            "cut to": "whole" if self.budget == WHOLE else f"{self.budget:,}",
            "tokens without": f"{self.plain:,}",
            "saved": f"{self.saved:.1%}",
            "conversations touched": f"{self.touched:.1%}",
            "CPU s per million tokens": f"{self.cpu_s / self.read * 1e6:.2f}",
            "pays above USD per million": self.break_even,
            "same label, %": shown(self.equal),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--conversations", type=int, help="of each set; 300, with --perplexity 40")
    parser.add_argument("--perplexity", action="store_true", help="by a language model: see benchmarks/perplexity.py")
    parser.add_argument("--sentences", action="store_true", help="by sentences: see benchmarks/perplexity.py")
    parser.add_argument("--model", help="--perplexity: a GGUF file; unset: SmolLM2-135M")
    parser.add_argument("--store", type=Path, default=RESULTS / "surprisals.jsonl", help="--perplexity: what was read")
    parser.add_argument("--seconds", type=float, default=3600, help="--perplexity: of reading; then run it again")
    arguments = parser.parse_args()
    if arguments.perplexity:
        print(perplexity.measure(arguments.conversations or 40, arguments.model, arguments.store, arguments.seconds))
        return
    arguments.conversations = arguments.conversations or 300
    if arguments.sentences:
        print(perplexity.sentences(arguments.conversations))
        return
    trials = [
        trial
        for data, conversations in conversations_of(arguments.conversations)
        for trial in compare(data, conversations, arguments.conversations)
    ]
    table = markdown([trial.row() for trial in trials]) + "\n\n" + nearer_to_people(arguments.conversations)
    print(table)
    RESULTS.mkdir(exist_ok=True)
    first = (__doc__ or "").splitlines()[0]
    (RESULTS / "compression.md").write_text(f"{first}\n\n{table}\n", encoding="utf-8")
    plot(trials, RESULTS / "compression.png")


def conversations_of(rows: int) -> Iterator[tuple[str, list[list[Turn]]]]:
    people = own_answers.sharegpt()
    yield "ShareGPT", people
    yield "ShareGPT in an app", [[Turn("system", SYSTEM), *turns] for turns in people[:rows]]
    yield "RealHumanEval", own_answers.realhumaneval()
    yield "RecLLMSim", own_answers.recllmsim()


def known_boilerplate(conversations: list[list[Turn]]) -> frozenset[int]:
    messages = [[{"role": turn.role, "content": turn.content} for turn in turns] for turns in conversations]
    engine = PolarsEngine()
    table = pa.table({"messages": pa.array(messages, MESSAGES)})
    return boilerplate.find(engine.from_arrow(table), CompressSettings().boilerplate_conversations, engine)


def compare(data: str, population: list[list[Turn]], rows: int) -> Iterator[Trial]:
    known, conversations = known_boilerplate(population), population[:rows]
    judge = Judge(load_classifiers().values())
    alone: dict[str, tuple[LosslessRule, ...]] = {rule: (rule,) for rule in LOSSLESS_RULES}
    for budget, choices in ((WHOLE, alone | {"all": LOSSLESS_RULES}), (USUAL, {"all": LOSSLESS_RULES})):
        options = TruncateSettings(max_tokens=budget)
        plain = truncate_turns(conversations, options)
        before = judge.labels([each.text for each in plain])
        for name, rules in choices.items():
            compressor = Compressor(CompressSettings(lossless=rules), known)
            cpu_s = seconds_of(compressor, conversations)
            left = truncate_turns(conversations, options, compressor)
            equal = mean_agreement(judge, [each.text for each in left], before)
            yield Trial(data, name, budget, total(plain), total(left), touched(left), cpu_s, read(left), equal)


def nearer_to_people(rows: int) -> str:
    """Whether labels of conversations in an app are nearer to those without its prompt, once it is shortened."""
    people = own_answers.sharegpt(rows)
    in_app = [[Turn("system", SYSTEM), *turns] for turns in people]
    judge, whole = Judge(load_classifiers().values()), TruncateSettings(max_tokens=WHOLE)
    alone = judge.labels([each.text for each in truncate_turns(people, whole)])
    compressor = Compressor(CompressSettings(lossless=("boilerplate",)), known_boilerplate(in_app))
    plain, short = (
        shown(mean_agreement(judge, [each.text for each in truncate_turns(in_app, whole, rules)], alone))
        for rules in (None, compressor)
    )
    return f"ShareGPT in an app, same label as without the app's prompt, %: {plain}; prompt shortened: {short}"


def seconds_of(compressor: Compressor, conversations: list[list[Turn]]) -> float:
    """CPU seconds of the rules alone; the least of three, since other work disturbs."""
    found = []
    for _ in range(3):
        began = time.process_time()
        for turns in conversations:
            compressor(turns)
        found.append(time.process_time() - began)
    return min(found)


def total(texts: Sequence[Truncated]) -> int:
    return sum(each.n_tokens for each in texts)


def read(texts: Sequence[Truncated]) -> int:
    return sum(each.n_tokens_before for each in texts)


def touched(texts: Sequence[Truncated]) -> float:
    marks = pl.Series([each.truncation for each in texts])
    return float(marks.str.contains(WAS_COMPRESSED).mean() or 0.0)  # type: ignore[arg-type]


def mean_agreement(judge: Judge, texts: list[str], before: list[Labels]) -> tuple[float, ...]:
    """The mean over tasks of share, low and high; tasks of one conversation move together, so it is not narrower."""
    shares = agreement(judge.labels(texts), before, judge.tasks).values()
    return tuple(sum(each) / len(shares) for each in zip(*shares, strict=True))


def plot(trials: list[Trial], path: Path) -> None:
    import altair as alt

    values = [
        {"data": each.data, "rules": each.rules + ("" if each.budget == WHOLE else f", cut to {each.budget:,}"),
         "saved": each.saved, "equal": each.equal[0], "low": each.equal[1], "high": each.equal[2]}
        for each in trials if each.tokens < each.plain
    ]  # fmt: skip
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("saved:Q", title="tokens saved", axis=alt.Axis(format="%")), color=alt.Color("rules:N", title=None)
    )
    points = base.mark_point(filled=True).encode(y=alt.Y("equal:Q", title="same label", scale=alt.Scale(zero=False)))
    ends = base.mark_rule(opacity=0.3).encode(y=alt.Y("low:Q", title="same label"), y2="high:Q")
    panel = alt.layer(points, ends).properties(width=280, height=180)
    panel.facet(facet=alt.Facet("data:N", title=None), columns=2).resolve_scale(x="independent").save(path)


if __name__ == "__main__":
    main()
