"""The worst model for packs: one that obeys every attack, and gives a whole prompt the label that it demands.

    python -m benchmarks.pack_obeyed [--conversations 4000] [--sizes 4 8 16 32] [--reach 2]

The attacks of evals/injections and four that aim at packs, and 120 more on packs that were written without sight of the
screen's words, stand once each among ShareGPT's conversations. A scripted server gives every conversation its true
label, 40, 30, 20 and 10 % of them one of four, but wherever an attack stands in a prompt with others, all of them the
label that it demands; with `--reach` only so many of them, which is harder to see.

What is counted are the neighbours: harmless conversations that end with another label than the true one. Once as if
nothing were done against it, once with the screen alone (`packing.screening`), which keeps attacks that it recognises
away from others, once with nothing but a look at the labels (`packing.alike`), and as the product does it: with the
attacks and in peace, each without and with `grade: again`, which asks once more in other company. Beside it what that
costs: calls and input tokens, against packs without attacks and protection.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from unittest import mock

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.pack_attacks import LABELS, aimed, attacks, background, conversation, prompt, turns_of
from semtel_dagster.evaluation.injections import load_attacks, shipped_attacks
from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.packing import session
from semtel_dagster.packing.asking import AskInCompany, Company
from semtel_dagster.packing.packs import Conversation
from semtel_dagster.packing.rounds import as_batch
from semtel_dagster.reducers import Grade, PackSettings
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, RequestSettings

SHARES = (0.4, 0.7, 0.9, 1.0)  # cumulative, of the labels
SHIPPED = 60
SCREEN, LOOK = "the screen alone", "a look at the labels alone"
BOTH, PEACE = "both, as the product", "both, and nobody attacks"
AGAIN, AGAIN_IN_PEACE = "both, and asked again", "asked again, and nobody attacks"
WAYS = ("nothing", SCREEN, LOOK, BOTH, PEACE, AGAIN, AGAIN_IN_PEACE)


def true_label(one: Conversation) -> str:
    drawn = int(one.content_hash[:8], 16) / 2**32
    return next(label for label, share in zip(LABELS, SHARES, strict=True) if drawn < share)


def demands() -> dict[str, tuple[Conversation, str]]:
    """The attacking conversations and the labels that they demand, by content hash."""
    unseen = load_attacks(shipped_attacks().parent / "packs.jsonl")
    both = [
        (conversation(turns_of(one, label)), label) for some in (attacks(SHIPPED), unseen) for one, label in aimed(some)
    ]
    return {one.content_hash: (one, label) for one, label in both}


@contextmanager
def protected(way: str) -> Iterator[None]:
    """Takes parts of the protection away."""
    with ExitStack() as stack:
        if way in ("nothing", LOOK):
            stack.enter_context(mock.patch.object(session, "most_together", lambda some, _: [None] * len(some)))
        if way in ("nothing", SCREEN):
            stack.enter_context(mock.patch.object(session, "disbelieving", lambda packs, _: list(packs)))
            stack.enter_context(mock.patch.object(session.Likeness, "__call__", lambda _, packs: [False] * len(packs)))
        yield


def ask(
    server: LoopbackServer, some: Sequence[Conversation], size: int, grade: Grade = False
) -> tuple[dict[str, str], Figures]:
    """The labels by content hash, and the last figures."""
    seen: list[Figures] = []
    with tempfile.TemporaryDirectory() as journal:
        endpoint = EndpointSettings(name="obedient", base_url=server.base_url, model="scripted")
        plan = RequestPlan((endpoint,), RequestSettings(max_in_flight=16), journal, hedge=False)
        company = Company({"subject": prompt()}, PackSettings(conversations=size, max_tokens=64_000, grade=grade))
        rows = pa.Table.from_batches(list(AskInCompany("subject", company, plan, seen.append)(iter([as_batch(some)]))))
    said = zip(rows["content_hash"].to_pylist(), rows["raw_text"].to_pylist(), strict=True)
    return {one: json.loads(text)["subject"] for one, text in said}, seen[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=4000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--reach", type=int, help="neighbours that an attack moves, at most; unset: all")
    given = parser.parse_args()
    harmless = list({one.content_hash: one for one in background(given.conversations)}.values())
    attacking = demands()
    everybody = [*harmless, *(one for one, _ in attacking.values())]
    truth = {one.content_hash: {"subject": true_label(one)} for one in everybody}
    slot = dict(zip(("before", "after"), (prompt().messages[1].before, prompt().messages[1].after), strict=True))
    script = Script(
        answers={"style": "confusion", "truth": truth, "accuracy": 1.0},
        packs={"obeyed": {one: label for one, (_, label) in attacking.items()}, "obeyed_by": given.reach},
        slot=slot,
    )
    columns = ("conversations in a prompt", "against attacks", "neighbours moved", "kept out of packs",
               "not believed", "calls", "input tokens")  # fmt: skip
    shown = Table(
        *columns,
        title=f"{len(attacking)} attacks among {len(harmless):,} conversations, obeyed by {given.reach or 'all'}",
    )
    with serve(script) as server:
        for size in given.sizes:
            with protected("nothing"):
                _, usual = ask(server, harmless, size)
            for way in WAYS:
                some = harmless if way in (PEACE, AGAIN_IN_PEACE) else everybody
                with protected(way):
                    labels, figures = ask(server, some, size, "again" if way in (AGAIN, AGAIN_IN_PEACE) else False)
                moved = sum(labels[one.content_hash] != true_label(one) for one in harmless)
                shown.add_row(
                    str(size), way, f"{moved:,} ({moved / len(harmless):.1%})", f"{figures.kept_apart:,}",
                    f"{figures.disbelieved:,}", f"{figures.calls:,} (x {figures.calls / usual.calls:.2f})",
                    f"x {figures.input_tokens / usual.input_tokens:.2f}",
                )  # fmt: skip
    Console(width=150).print(shown)


if __name__ == "__main__":
    main()
