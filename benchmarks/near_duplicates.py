"""Near duplicates: what cosine .95 means on real conversations, and how fast and complete the search is.

    python benchmarks/near_duplicates.py            # needs shared/data beside the checkout for the first two parts
    python benchmarks/near_duplicates.py --rows 20000 --no-peers

hnswlib and semhash run in an environment of their own, made when first needed. Growth to a million rows is measured by
near_duplicates_growth.py. Prints three tables and writes them to benchmarks/results/near_duplicates.md with a chart of
the second. The truth is the Jaccard similarity of word 3-shingles of whole texts (a character of Chinese or Japanese is
a word).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import orjson
import pyarrow.parquet as pq
import zstandard

from benchmarks.peers.environments import python_of
from semtel_dagster.embedding.base import rounded, unit_rows
from semtel_dagster.embedding.cells import build_cells
from semtel_dagster.embedding.embedded import EmbeddedProvider, summed
from semtel_dagster.embedding.near_duplicates import Comparisons, find_groups
from semtel_dagster.embedding.shingles import sketch
from semtel_dagster.embedding.static_vectors import load_static_vectors

RESULTS = Path(__file__).parent / "results"
THRESHOLD = 0.95
PEERS = ("hnswlib", "semhash")
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
CHARACTERS = 8000
WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+|[^\w\s]")


def shared(relative: str) -> Path | None:
    candidates = [folder / "shared" / "data" / relative for folder in Path(__file__).resolve().parents]
    return next((path for path in candidates if path.is_file()), None)


def conversations(name: str) -> list[str]:
    path = shared(f"{name}/conversations.parquet")
    if path is None:
        return []
    messages = pq.read_table(path, columns=["messages"]).column("messages").to_pylist()
    texts = ("\n".join(message["content"] for message in each) for each in messages)
    return sorted(
        {text if len(text) <= CHARACTERS else text[: CHARACTERS // 2] + text[-CHARACTERS // 2 :] for text in texts}
    )


def requests() -> dict[str, str]:
    path = shared("clinc150/clinc150.jsonl.zst")
    if path is None:
        return {}
    lines = zstandard.ZstdDecompressor().stream_reader(path.open("rb")).read().decode().split("\n")
    return {row["text"]: row["label"] for row in map(orjson.loads, filter(None, lines))}


def shingles(text: str) -> frozenset[int]:
    words = [word.lower() for word in WORDS.findall(text)]
    return frozenset(hash(tuple(words[i : i + 3])) for i in range(max(len(words) - 2, 1)))


def jaccard(a: frozenset[int], b: frozenset[int]) -> float:
    return len(a & b) / max(len(a | b), 1)


def true_pairs(sets: list[frozenset[int]], least: float) -> set[tuple[int, int]]:
    """Pairs with at least this Jaccard similarity; candidates by sketches of 1,024 places, whose cosine errs by .03."""
    sketched = np.empty((len(sets), 1024), dtype=np.float32)
    for row, each in enumerate(sets):
        hashes = np.fromiter(each, np.int64, len(each)).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        signs = 1.0 - 2.0 * (hashes >> np.uint64(63)).astype(np.float64)
        sketched[row] = np.bincount((hashes >> np.uint64(40)).astype(np.int64) & 1023, weights=signs, minlength=1024)
    every = np.arange(len(sets))
    near = Comparisons(rounded(sketched.astype(np.float64)), 2 * least / (1 + least) - 0.2).edges(every, every)
    pairs = zip(near.left.tolist(), near.right.tolist(), strict=True)
    return {(a, b) for a, b in pairs if jaccard(sets[a], sets[b]) >= least}


def representations(texts: list[str]) -> dict[str, np.ndarray]:
    """Plain means of token vectors, which one would reach for first, and the embedding at several wording shares."""
    vectors = load_static_vectors()
    cased = vectors.token_ids(texts)
    plain = np.stack([vectors.table[ids].mean(axis=0) if len(ids) else np.zeros(256) for ids in cased])
    lowered = vectors.token_ids([text.lower() for text in texts])
    semantic = unit_rows(summed(vectors, lowered))
    wording = unit_rows(np.stack([sketch(ids, 256) for ids in lowered]))
    mixes = {f"wording share {s}": rounded(np.sqrt(1 - s) * semantic + np.sqrt(s) * wording) for s in SHARES}
    return {"mean of token vectors": rounded(plain)} | mixes


def meaning(name: str, texts: list[str], labels: dict[str, str]) -> list[dict[str, object]]:
    sets = [shingles(text) for text in texts]
    truth = true_pairs(sets, 0.8)
    rows: list[dict[str, object]] = []
    for representation, vectors in representations(texts).items():
        every = np.arange(len(texts))
        edges = Comparisons(vectors, THRESHOLD).edges(every, every)
        pairs = list(zip(edges.left.tolist(), edges.right.tolist(), strict=True))
        alike = np.array([jaccard(sets[a], sets[b]) for a, b in pairs[:20_000]] or [0.0])
        agree = np.mean([labels[texts[a]] == labels[texts[b]] for a, b in pairs]) if labels and pairs else None
        rows.append(
            {
                "data": name,
                "vectors": representation,
                "pairs at .95": len(pairs),
                "Jaccard < .3": f"{(alike < 0.3).mean():.3f}" if pairs else "-",
                "precision (Jaccard >= .5)": f"{(alike >= 0.5).mean():.3f}" if pairs else "-",
                "recall (Jaccard >= .8)": f"{len(truth & set(pairs))} of {len(truth)}",
                "same intent": "-" if agree is None else f"{agree:.3f}",
            }
        )
    return rows


def completeness(name: str, vectors: np.ndarray) -> list[dict[str, object]]:
    """The candidate plan, forced on fewer rows than it is used for, against all pairs."""
    every, rows = np.arange(len(vectors)), []
    plan = build_cells(vectors)
    for threshold in (0.95, 0.9, 0.8):
        exact = Comparisons(vectors, threshold).edges(every, every)
        found = Comparisons(vectors, threshold, plan.assign(vectors)).edges(every, every)
        share = f"{len(found.left) / len(exact.left):.4f}" if len(exact.left) else "-"
        rows.append(
            {"data": name, "rows": len(vectors), "threshold": threshold, "edges": len(exact.left), "found": share}
        )
    return rows


def planted(rows: int, dimensions: int = 256) -> np.ndarray:
    """A fifth of the rows lies at cosine .98 to another; the others lie around 200 topics."""
    rng = np.random.default_rng(0)
    originals = rows * 4 // 5
    topics = unit_rows(rng.normal(size=(200, dimensions)))
    base = 0.6 * topics[rng.integers(200, size=originals)] + 0.8 * unit_rows(rng.normal(size=(originals, dimensions)))
    base = unit_rows(base)
    source, noise = (
        base[rng.integers(originals, size=rows - originals)],
        rng.normal(size=(rows - originals, dimensions)),
    )
    noise = unit_rows(noise - (noise * source).sum(axis=1, keepdims=True) * source)
    copies = 0.98 * source + np.sqrt(1 - 0.98**2) * noise
    return np.concatenate([base, copies])[rng.permutation(rows)].astype(np.float32)


def timed(function: Callable[[], object]) -> tuple[object, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def ivf_pairs(vectors: np.ndarray) -> set[tuple[int, int]]:
    cells = int(4 * np.sqrt(len(vectors)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[: cells * 40])
    index.add(vectors)
    index.nprobe = 8
    limits, _, neighbours = index.range_search(vectors, THRESHOLD)
    left = np.repeat(np.arange(len(vectors)), np.diff(limits.astype(np.int64)))
    return {(a, b) for a, b in zip(left.tolist(), neighbours.tolist(), strict=True) if a < b}


def asked_peer(peer: str, vectors: np.ndarray) -> dict[str, object]:
    """A peer's figures from a process in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/vectors.npy", vectors)
        script = Path(__file__).parent / "peers" / "ask_near_duplicates.py"
        command = [python_of("near_duplicates"), script, peer, folder, str(THRESHOLD)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout) | {"pairs": set(map(tuple, np.load(f"{folder}/pairs.npy").tolist()))}


def speed(rows: int, repeats: int, peers: tuple[str, ...]) -> list[dict[str, object]]:
    """Our search, faiss and other peers over the same rows; a peer runs once, since it is slow."""
    vectors, every = planted(rows), np.arange(rows)

    def edges() -> set[tuple[int, int]]:
        found = Comparisons(vectors, THRESHOLD, build_cells(vectors).assign(vectors)).edges(every, every)
        return set(zip(found.left.tolist(), found.right.tolist(), strict=True))

    methods: dict[str, Callable[[], object]] = {
        "cells: all edges": edges,
        "cells: groups (what the stage runs)": lambda: find_groups(vectors, THRESHOLD, build_cells(vectors)),
        "faiss IVFFlat, nlist 4*sqrt(n), nprobe 8: all edges": lambda: ivf_pairs(vectors),
    }
    runs = {name: [timed(method) for _ in range(repeats)] for name, method in methods.items()}
    known = {name: each[0][0] for name, each in runs.items() if isinstance(each[0][0], set)}
    others = {peer: asked_peer(peer, vectors) for peer in peers}
    known |= {peer: found["pairs"] for peer, found in others.items() if found["pairs"]}
    union = set().union(*known.values())
    groups = runs["cells: groups (what the stage runs)"][0][0]
    kept = int((groups.representative == np.arange(rows)).sum())
    own = [
        {
            "method": name,
            "rows": rows,
            "best wall s": f"{min(wall for _, wall, _ in each):.2f}",
            "best CPU s": f"{min(cpu for _, _, cpu in each):.2f}",
            "share of all known edges": f"{len(known[name] & union) / len(union):.5f}" if name in known else "-",
            "rows kept": f"{kept:,}" if "groups" in name else "-",
        }
        for name, each in runs.items()
    ]
    return own + [
        {
            "method": found["method"],
            "rows": rows,
            "best wall s": f"{found['wall']:.2f}",
            "best CPU s": f"{found['cpu']:.2f}",
            "share of all known edges": f"{len(found['pairs'] & union) / len(union):.5f}" if found["pairs"] else "-",
            "rows kept": f"{found['kept']:,}" if found["kept"] else "-",
        }
        for found in others.values()
    ]


def markdown(rows: list[dict[str, object]]) -> str:
    lines = [
        " | ".join(rows[0]),
        " | ".join("---" for _ in rows[0]),
        *(" | ".join(map(str, row.values())) for row in rows),
    ]
    return "\n".join(f"| {line} |" for line in lines)


def chart(rows: list[dict[str, object]], path: Path) -> None:
    import altair as alt
    import polars as pl

    data = pl.DataFrame([{"data": r["data"], "vectors": r["vectors"], "pairs": r["pairs at .95"]} for r in rows])
    bars = (
        alt.Chart(data.with_columns(pl.col("pairs").clip(lower_bound=1)))
        .mark_bar()
        .encode(
            x=alt.X("pairs", scale=alt.Scale(type="log"), title="pairs of different texts at cosine .95 or more"),
            y=alt.Y("vectors", sort=None, title=None),
            row=alt.Row("data", title=None),
        )
    )
    bars.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the planted data")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true", help="leave hnswlib and semhash out")
    options = parser.parse_args()
    intents = requests()
    real = {
        "sharegpt": conversations("sharegpt"),
        "recllmsim (Chinese)": conversations("recllmsim"),
        "clinc150": sorted(intents),
    }
    real = {name: texts for name, texts in real.items() if texts}
    parts = {"Search": speed(options.rows, options.repeats, () if options.no_peers else PEERS)}
    print(markdown(parts["Search"]), flush=True)
    parts["Meaning of cosine .95"] = [
        row for name, texts in real.items() for row in meaning(name, texts, intents if name == "clinc150" else {})
    ]
    parts["Candidate plan against all pairs"] = [
        row for name, texts in real.items() for row in completeness(name, EmbeddedProvider().embed(texts))
    ]
    if not real:
        print("shared/data is not beside this checkout: the parts on real conversations are left out")
    written = "\n\n".join(f"## {title}\n\n{markdown(rows)}" for title, rows in parts.items() if rows)
    print(written)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "near_duplicates.md").write_text(
        f"# Near duplicates\n\n`python benchmarks/near_duplicates.py --rows {options.rows}`\n\n{written}\n",
        encoding="utf-8",
    )
    if parts["Meaning of cosine .95"]:
        chart(parts["Meaning of cosine .95"], RESULTS / "near_duplicates.svg")


if __name__ == "__main__":
    main()
