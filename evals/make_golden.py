"""Makes golden sets from public data sets with human labels, into a folder of yours.

    python evals/make_golden.py golden                # writes golden/clinc_domain.jsonl and two more
    semtel evaluate --prompts evals/prompts --gold 'golden/*.jsonl'

The data (CLINC150, HWU64, AB-ReDial) lies in shared/data beside the checkout, or where --data says. It is not ours:
never commit what this writes. Requests of CLINC150 and HWU64 become conversations of one message, from the test
splits; AB-ReDial's dialogues keep all their raters.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard

CHECKOUT = Path(__file__).resolve().parent.parent
LIMIT = 1000

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the golden files go")
    parser.add_argument("--data", type=Path, default=None, help="folder of clinc150/, hwu64/ and ab_redial/")
    parser.add_argument("--limit", type=int, default=LIMIT, help="cases per set, chosen by a hash; 0: all")
    arguments = parser.parse_args()
    data = arguments.data or find_data()
    if data is None:
        print("no shared/data beside the checkout; name the folder with --data", file=sys.stderr)
        return 2
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, (path, make) in SETS.items():
        rows = list(make(chosen(read(data / path), name, arguments.limit)))
        target = arguments.folder / f"{name}.jsonl"
        target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        print(f"{target}: {len(rows)} labels of {len({row['conversation_id'] for row in rows})} cases")
    return 0


def find_data() -> Path | None:
    """The folder shared/data of the nearest parent that has one."""
    candidates = (folder / "shared" / "data" for folder in CHECKOUT.parents)
    return next((each for each in candidates if each.is_dir()), None)


def read(path: Path) -> list[Row]:
    """All rows; split by newlines alone, since texts hold other line separators."""
    text = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
    return [json.loads(line) for line in text.split(b"\n") if line]


def chosen(rows: list[Row], name: str, limit: int) -> list[Row]:
    """The test rows, ordered by a hash of their content and cut to the limit; dialogues are few and all stay."""
    tests = [row for row in rows if row.get("split", "test") in {"test", "oos_test"}]
    if not limit or "messages" in rows[0]:
        return tests
    return sorted(tests, key=lambda row: hashlib.blake2b(f"{name}\n{row['text']}".encode()).digest())[:limit]


def clinc(rows: list[Row]) -> Iterator[Row]:
    names = {"oos": "out of scope"}
    for number, row in enumerate(rows):
        label = names.get(row["domain"], row["domain"].replace("_", " "))
        yield one_message(f"clinc-{number:05}", row["text"], "clinc_domain", label, "clinc150")


def hwu(rows: list[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows):
        yield one_message(f"hwu-{number:05}", row["text"], "hwu_scenario", row["scenario"], "hwu64")


def redial(rows: list[Row]) -> Iterator[Row]:
    raters: dict[str, int] = {}
    for row in rows:
        rating = row["labels"]["dialogue-overall"]
        if not row["messages"] or not math.isfinite(rating):  # some raters gave none
            continue
        # Some dialogues share a group's name, so their words name them.
        dialogue = hashlib.blake2b(json.dumps(row["messages"]).encode(), digest_size=6).hexdigest()
        raters[dialogue] = raters.get(dialogue, 0) + 1
        overall = round(rating)
        made = label(f"redial-{dialogue}", "redial_satisfaction", str(overall), f"rater {raters[dialogue]}")
        if raters[dialogue] == 1:
            made["conversation"] = row["messages"]
        yield made | {"score": overall}


def one_message(case: str, text: str, task: str, name: str, annotator: str) -> Row:
    return label(case, task, name, annotator) | {"conversation": [{"role": "user", "content": text}]}


def label(case: str, task: str, name: str, annotator: str) -> Row:
    return {"conversation_id": case, "task": task, "label": name, "annotator": annotator}


Make = Callable[[list[Row]], Iterator[Row]]
SETS: dict[str, tuple[str, Make]] = {
    "clinc_domain": ("clinc150/clinc150.jsonl.zst", clinc),
    "hwu_scenario": ("hwu64/hwu64.jsonl.zst", hwu),
    "redial_satisfaction": ("ab_redial/dialogues.jsonl.zst", redial),
}

if __name__ == "__main__":
    sys.exit(main())
