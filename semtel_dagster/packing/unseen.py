"""Rounds about packs whose answers nobody has looked at as a whole, since a kill came before.

Belongs here: a note beside the journal of who shares a prompt, from before a round until what it led to is filed. The
look itself is in `alike`, what it leads to in `session` and `shelf`.

Answers are filed as they come, so that none is paid for twice, and looked at when their round has ended. A note that a
killed run left stays, as its answers do: the next run looks at them before it takes any of them over.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from semtel_dagster.packing.agreement import FOLDER
from semtel_dagster.packing.alike import Likeness
from semtel_dagster.packing.packs import Pack
from semtel_dagster.packing.shelf import Shelf

ROUNDS = "rounds"

Asked = list[tuple[list[str], list[str]]]
"""Of each prompt the classifiers that it asks, and the content hashes of its conversations."""


@contextmanager
def noted(journal: str, packs: Iterable[Pack]) -> Iterator[None]:
    """Says that a round is under way. The note goes when the round ends well; the next run looks at one that is left.

    Raises:
        OSError: The note cannot be written.
    """
    prompts = [(pack.members, [each.content_hash for each in pack.conversations]) for pack in packs if pack.framed]
    if not prompts:
        yield
        return
    path = Path(journal) / FOLDER / ROUNDS / f"{secrets.token_hex(8)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(orjson.dumps(prompts))
        file.flush()
        os.fsync(file.fileno())
        yield
        path.unlink()


def left_behind(journal: str) -> Iterator[Asked]:
    """The rounds of processes that are no more."""
    for path in sorted((Path(journal) / FOLDER / ROUNDS).glob("*.json")):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                yield orjson.loads(file.read())
        except (BlockingIOError, FileNotFoundError):
            continue  # its process lives, or has just taken it away
        except orjson.JSONDecodeError:
            continue  # killed while writing, so before anything was asked


def distrusted(journal: str, target: str, shelf: Shelf, likeness: Likeness) -> set[str]:
    """The conversations whose packed answers are not believed, by content hash.

    Args:
        journal: The journal's folder.
        target: The classifier.
        shelf: Its answers.
        likeness: The test.
    """
    found: set[str] = set()
    for prompts in left_behind(journal):
        packs = [hashes for members, hashes in prompts if target in members]
        said = shelf.packed([one for hashes in packs for one in hashes])
        answers = [_about(target, hashes, said) for hashes in packs]
        for pack, suspicious in zip(answers, likeness(answers), strict=True):
            found |= pack.keys() if suspicious else set()
    return found


def _about(target: str, hashes: Sequence[str], said: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {one: {target: said[one]} for one in hashes if one in said}
