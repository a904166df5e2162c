"""Company: what packs and combined classifiers save, what they lose, and whether a row is ever lost or swapped.

    python benchmarks/packs.py [--rows 10000] [--compared 1000]

Three classifiers (topic, intent, complexity) against a scripted server whose single calls are right on 90 % of the
labels, and which loses further labels to company: 0.3 % for each other conversation in the prompt, up to 2 % more
towards its end. Its grader finds 80 % of the wrong labels and doubts 2 % of the right ones. First every mode on the
same conversations: calls, tokens, cost, agreement with single calls, accuracy, and labels that change in a run with
another seed (other packs). Then 10,000 conversations in packs of ten while answers are cut, reordered, duplicated,
contradicted, left out and given under invented ids: rows lost and swapped. Then the same with a kill -9 in the middle:
conversations paid for twice, beside those not yet synced at the kill.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from semtel_dagster import tables
from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.loopback.script import Latency, Script
from semtel_dagster.packing.asking import AskInCompany, Company
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.reducers import PackSettings
from semtel_dagster.repair import AskAndRepair
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, Price, RequestSettings
from semtel_dagster.transcript import Turn, content_hash, render

NAMES = ("complexity", "intent", "topic")
PRICE = Price(input=0.15, cached_input=0.075, output=0.60)
SLOT = {"before": "Transcript:\n\n", "after": "\n\nEnd of the transcript. Answer with the JSON object only."}
STRIKES = dict.fromkeys(("cut", "reordered", "duplicated", "contradicted", "missing", "invented"), 0.1)
COMPANY = {"size_loss": 0.003, "position_loss": 0.02, "grader_finds": 0.8, "grader_errs": 0.02}
IN_FLIGHT = 64
TOKENS = 300  # of a conversation
PROMPTS = load_classifiers(names=NAMES)


@dataclass
class Outcome:
    """What one way of asking came to, over the classifiers."""

    calls: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def cost_usd(self) -> float:
        cached = self.tokens["cached_tokens"]
        fresh = self.tokens["input_tokens"] - cached
        return (fresh * PRICE.input + cached * 0.075 + self.tokens["output_tokens"] * PRICE.output) / 1e6


def conversations(rows: int) -> pa.RecordBatch:
    texts = [
        render([Turn("user", f"Question {number}: " + "how do the parts of this go together? " * 20),
                Turn("assistant", "They go together like this, step by step. " * 15)])
        for number in range(rows)
    ]  # fmt: skip
    return pa.record_batch(
        {
            "content_hash": pa.array([content_hash(text) for text in texts], pa.large_string()),
            "text": pa.array(texts, pa.large_string()),
            "n_tokens": pa.array([TOKENS] * rows, pa.int32()),
        }
    )


def truth(batch: pa.RecordBatch) -> dict[str, dict[str, str]]:
    told = {}
    for one in batch.column("content_hash").to_pylist():
        number = int(one[:12], 16)
        told[one] = {}
        for name in NAMES:
            (task,) = PROMPTS[name].classifier.tasks
            number, at = divmod(number, len(task.labels))
            told[one][task.name] = task.labels[at].name
    return told


def script(told: dict[str, dict[str, str]], accuracy: float, **packs: float) -> Script:
    return Script(
        answers={"style": "confusion", "truth": told, "accuracy": accuracy},
        slot=SLOT,
        packs=packs,
        latency={"median_s": 0.02, "sigma": 0.3},
    )


def plan_to(journal: str, base_url: str) -> RequestPlan:
    one = EndpointSettings(name="one", base_url=base_url, model="m", price=PRICE)
    return RequestPlan((one,), RequestSettings(max_in_flight=IN_FLIGHT), journal, hedge=False)


def ask(plan: RequestPlan, batch: pa.RecordBatch, group: tuple[str, ...], pack: PackSettings | None) -> Outcome:
    """Asks every classifier of the group, one after the other as Dagster's runs do."""
    came, began = Outcome(tokens=dict.fromkeys(("input_tokens", "cached_tokens", "output_tokens"), 0)), time.monotonic()
    for name in group:
        if pack is None:
            function: Any = AskAndRepair(ClassifyBatches(PROMPTS[name], plan))
        else:
            members = group if len(group) > 1 else (name,)
            function = AskInCompany(name, Company({member: PROMPTS[member] for member in members}, pack), plan)
        table = pa.Table.from_batches(list(function(iter([batch]))), schema=tables.RESPONSES)
        came.calls += pa.compute.sum(table["attempts"]).as_py()
        for column in came.tokens:
            came.tokens[column] += pa.compute.sum(table[column]).as_py()
        texts = zip(table["content_hash"].to_pylist(), table["raw_text"].to_pylist(), strict=True)
        came.labels[name] = {one: json.loads(text)[name] for one, text in texts if text}
    came.seconds = time.monotonic() - began
    return came


def together(one: dict[str, dict[str, str]], other: dict[str, dict[str, str]]) -> float:
    """The share of labels that are the same, over the classifiers."""
    same = [labels.get(each) == label for name, each_label in other.items() for each, label in each_label.items()
            for labels in (one.get(name, {}),)]  # fmt: skip
    return sum(same) / len(same)


MODES: dict[str, tuple[bool, dict[str, Any] | None]] = {
    "single calls": (False, None),
    "packs of 4": (False, {"conversations": 4}),
    "packs of 8": (False, {"conversations": 8}),
    "packs of 16": (False, {"conversations": 16}),
    "packs of 8, graded": (False, {"conversations": 8, "grade": True}),
    "packs of 8, asked again": (False, {"conversations": 8, "grade": "again"}),
    "packs, size learned (.95)": (False, {"conversations": "auto"}),
    "combined": (True, {}),
    "combined, packs of 8": (True, {"conversations": 8}),
    "combined, packs of 16": (True, {"conversations": 16}),
    "combined, packs of 16, asked again": (True, {"conversations": 16, "grade": "again"}),
    "combined, packs, learned (.95)": (True, {"conversations": "auto"}),
}


def compare(rows: int, console: Console) -> None:
    batch = conversations(rows)
    told = truth(batch)
    right = {name: {one: labels[name] for one, labels in told.items()} for name in NAMES}
    shown = Table("mode", "calls", "input tokens", "cached", "output", "cost", "tokens saved", "agreement", "accuracy",
                  "flips", "s", title=f"{rows:,} conversations, three classifiers")  # fmt: skip
    single = Outcome()
    with serve(script(told, 0.9, **COMPANY)) as server:
        for mode, (combine, pack) in MODES.items():
            runs = []
            for seed in (0, 1):
                settings = None if pack is None else PackSettings(**(pack | {"seed": seed}))
                groups = [NAMES] if combine else [(name,) for name in NAMES]
                with tempfile.TemporaryDirectory() as journal:
                    parts = [ask(plan_to(journal, server.base_url), batch, group, settings) for group in groups]
                runs.append(merged(parts))
            first, second = runs
            single = first if pack is None else single
            all_tokens, before = (
                each.tokens["input_tokens"] + each.tokens["output_tokens"] for each in (first, single)
            )
            shown.add_row(
                mode, f"{first.calls:,}", f"{first.tokens['input_tokens']:,}", f"{first.tokens['cached_tokens']:,}",
                f"{first.tokens['output_tokens']:,}", f"{first.cost_usd:.3f} $", f"{before / all_tokens:.1f} x",
                f"{together(first.labels, single.labels):.3f}", f"{together(first.labels, right):.3f}",
                f"{1 - together(first.labels, second.labels):.3f}", f"{first.seconds:.0f}",
            )  # fmt: skip
    console.print(shown)


def merged(parts: list[Outcome]) -> Outcome:
    whole = Outcome(tokens=dict.fromkeys(parts[0].tokens, 0))
    for part in parts:
        whole.calls += part.calls
        whole.seconds += part.seconds
        whole.labels |= part.labels
        for column in whole.tokens:
            whole.tokens[column] += part.tokens[column]
    return whole


def strike(rows: int, console: Console) -> None:
    batch = conversations(rows)
    told = truth(batch)
    columns = ("10 to a prompt", "rows", "lost", "swapped", "calls", "beyond the packs", "tokens uncounted", "s")
    shown = Table(*columns,
                  title="answers cut, reordered, duplicated, contradicted, missing, invented: 10 % each")  # fmt: skip
    with serve(script(told, 1.0, **STRIKES)) as server:
        for name, group, pack in (
            ("one classifier", ("topic",), {"conversations": 10}),
            ("three combined", NAMES, {"conversations": 10}),
            ("one, graded", ("topic",), {"conversations": 10, "grade": True}),
            ("one, asked again", ("topic",), {"conversations": 10, "grade": "again"}),
        ):
            server.reset()
            with tempfile.TemporaryDirectory() as journal:
                came = ask(plan_to(journal, server.base_url), batch, group, PackSettings(**pack))
            stats = server.stats(conversations=False)
            lost = sum(rows - len(labels) for labels in came.labels.values())
            swapped = sum(label != told[one][task] for task, labels in came.labels.items()
                          for one, label in labels.items())  # fmt: skip
            packs = -(-rows // 10) * (2 if pack.get("grade") else 1)
            uncounted = stats["prompt_tokens"] - came.tokens["input_tokens"]
            shown.add_row(name, f"{rows * len(group):,}", str(lost), str(swapped), f"{came.calls:,}",
                          f"{came.calls - packs:,}", str(uncounted), f"{came.seconds:.0f}")  # fmt: skip
            assert lost == swapped == uncounted == 0
    console.print(shown)


def kill(rows: int, console: Console) -> None:
    batch = conversations(rows)
    told = truth(batch)
    slow = script(told, 1.0).model_copy(update={"latency": Latency(median_s=0.3, sigma=0.3)})
    with serve(slow) as server, tempfile.TemporaryDirectory() as journal:
        process = subprocess.Popen([sys.executable, __file__, "--worker", journal, server.base_url, str(rows)])
        while sum(server.stats()["paid_in_packs"].values()) < rows * 0.6 and process.poll() is None:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(1.0)
        paid = len(server.stats()["paid_in_packs"])
        kept = len(Company({"topic": PROMPTS["topic"]}, PackSettings(conversations=10)).shelf("topic", journal, ("m",)))
        came = ask(plan_to(journal, server.base_url), batch, ("topic",), PackSettings(conversations=10))
        twice = twice_paid(server)
    bound = round(10 * (IN_FLIGHT + 0.3 * IN_FLIGHT / 0.31))
    columns = ("rows", "paid at the kill", "of these kept", "paid for twice", "bound: in flight + 0.3 s", "lost")
    shown = Table(*columns, title="kill -9 and resume, ten to a prompt")
    lost = rows - len(came.labels["topic"])
    shown.add_row(f"{rows:,}", f"{paid:,}", f"{kept:,}", f"{twice:,}", f"{bound:,}", str(lost))
    console.print(shown)
    assert twice <= bound
    assert lost == 0


def twice_paid(server: LoopbackServer) -> int:
    return sum(times > 1 for times in server.stats()["paid_in_packs"].values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--compared", type=int, default=1_000)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        journal, base_url, rows = given.worker
        ask(plan_to(journal, base_url), conversations(int(rows)), ("topic",), PackSettings(conversations=10))
        return
    console = Console(width=170)
    compare(given.compared, console)
    strike(given.rows, console)
    kill(given.rows, console)


if __name__ == "__main__":
    main()
