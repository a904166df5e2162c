"""What answers in company are filed under: fingerprints of their own, and the folders of the journal.

Belongs here: names. Files belong in `shelf`.

An answer given in company is another one than a single call's, so it never has a single call's fingerprint. Its own
covers the classifier's prompt, the names of those that were asked along (not their prompts: a change of one prompt
re-asks that classifier alone), whether other conversations stood beside it, and the text around the questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import combinations

from semtel_dagster.prompts.together import template_fingerprint

BROUGHT = ".brought"
"""Ends the folder of answers that a run for another classifier brought along, until the classifier's own run comes."""


def fingerprint_in_company(own: str, companions: Sequence[str], *, packed: bool) -> str:
    """16 hex digits: the prompt's own fingerprint where it was asked alone.

    Args:
        own: The fingerprint of the classifier's prompt.
        companions: The other classifiers of the call.
        packed: Whether the call was about several conversations.
    """
    if not companions and not packed:
        return own
    return _digest(own, f"combined with {','.join(sorted(companions))}", f"packed {packed}", template_fingerprint())


def grade_fingerprint(company: str, *, again: bool = False) -> str:
    """What verdicts on answers with this fingerprint are filed under: a grader's, or those of asking once more."""
    return _digest(company, "asked again" if again else "graded")


def probe_fingerprint(company: str, size: int) -> str:
    """What answers are filed under that were asked to learn whether packs of so many conversations will do."""
    return _digest(company, f"probe {size}")


def accepted(own: str, group: Sequence[str], *, packing: bool) -> Iterator[tuple[str, bool]]:
    """The fingerprints whose answers count under the settings, the best first, and whether they were packed.

    Args:
        own: The fingerprint of the classifier's prompt.
        group: The other classifiers that it may be combined with.
        packing: Whether packs are switched on.
    """
    for packed in (False, True) if packing else (False,):
        for count in range(len(group) + 1):
            for companions in combinations(sorted(group), count):
                yield fingerprint_in_company(own, companions, packed=packed), packed


def _digest(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
