"""Ways of asking: settings of the cost reducers, and the order in which they are tried.

Belongs here: which ways there are, and what a way is in the settings. What a way costs and loses is measured in
`measuring`, which one is taken is decided in `choosing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from semtel_dagster.reducers import LOSSLESS_RULES, CompressSettings, LosslessRule, SentenceSettings
from semtel_dagster.settings import MOST_COMBINED, Settings

SIZES = (1, 2, 4, 8, 16, 32)
IN_ONE_CONVERSATION: tuple[LosslessRule, ...] = tuple(rule for rule in LOSSLESS_RULES if rule != "boilerplate")
"""The rules that look at one conversation alone; what is boilerplate depends on a whole week."""

Groups = tuple[tuple[str, ...], ...]
Chain = tuple["Way", ...]


@dataclass(frozen=True)
class Way:
    """One way of asking; the default is one call per conversation and classifier, cut as the settings say.

    Attributes:
        max_tokens: The transcript's budget; None: as the settings say.
        compress: Whether transcripts are shortened by rule first.
        keep: The share of their tokens that stays when sentences are left out; None: as the settings say.
        combine: Whether one call answers for several classifiers.
        pack: Conversations in a prompt.
        batch: Whether calls go through the Batch API: the same answers at a lower price.
        cascade: Whether students answer what they are sure of, and only the rest is asked.
    """

    max_tokens: int | None = None
    compress: bool = False
    keep: float | None = None
    combine: bool = False
    pack: int = 1
    batch: bool = False
    cascade: bool = False

    @property
    def name(self) -> str:
        """In words."""
        parts = [
            "cascade" if self.cascade else "",
            "compressed" if self.compress else "",
            f"sentences kept to {self.keep:.0%}" if self.keep else "",
            f"cut to {self.max_tokens:,}" if self.max_tokens else "",
            "combined" if self.combine else "",
            f"packs of {self.pack}" if self.pack > 1 else "",
            "batch" if self.batch else "",
        ]
        return ", ".join(part for part in parts if part) or "single calls"

    @property
    def text(self) -> Way:
        """The way with the same transcripts, in single calls."""
        return Way(max_tokens=self.max_tokens, compress=self.compress, keep=self.keep)

    @property
    def alone(self) -> bool:
        """Whether each call is about one conversation and one classifier."""
        return not self.combine and self.pack == 1

    def settings(self, settings: Settings, groups: Groups, seed: int = 0) -> Settings:
        """The settings under which a run asks in this way; `seed` is added to that of the packs."""
        pack = settings.pack.model_copy(update={"conversations": self.pack, "seed": settings.pack.seed + seed})
        budget = self.max_tokens or settings.truncate.max_tokens
        shorten: dict[str, Any] = {"lossless": IN_ONE_CONVERSATION if self.compress else ()}
        if self.keep:
            shorten["sentences"] = SentenceSettings(keep=self.keep)
        update: dict[str, Any] = {
            "truncate": settings.truncate.model_copy(update={"max_tokens": budget}),
            "compress": CompressSettings(**{**dict(settings.compress), **shorten}),
            "combine": groups if self.combine else (),
            "pack": pack,
        }
        return settings.model_copy(update=update)


SINGLE = Way()


def groups_of(classifiers: Sequence[str]) -> Groups:
    """The classifiers in as few groups as can be combined, of about the same size; none of fewer than two."""
    count = -(-len(classifiers) // MOST_COMBINED)
    size = -(-len(classifiers) // max(count, 1))
    found = (tuple(classifiers[at : at + size]) for at in range(0, len(classifiers), max(size, 1)))
    return tuple(group for group in found if len(group) > 1)


def texts_of(budgets: Sequence[int], *, compress: bool, keeps: Sequence[float] = ()) -> tuple[Way, ...]:
    """The kinds of transcripts to try: each switch alone, then the strongest of all together."""
    cut = tuple(Way(max_tokens=budget) for budget in sorted(budgets, reverse=True))
    rules = (Way(compress=True),) if compress else ()
    left_out = tuple(Way(keep=keep) for keep in sorted(keeps, reverse=True))
    strongest = [kind[-1] for kind in (rules, left_out, cut) if kind]
    together = Way(cut[-1].max_tokens if cut else None, compress, left_out[-1].keep if left_out else None)
    return SINGLE, *rules, *cut, *left_out, *((together,) if len(strongest) > 1 else ())


def chains(
    texts: Sequence[Way], *, combine: bool, sizes: Sequence[int] = SIZES, cascade: bool = False
) -> tuple[Chain, ...]:
    """All ways as sequences, each from the mildest to the strongest: the same text and classifiers in growing packs.

    With students there is one more sequence, of what they leave to be asked: the whole text, each classifier alone.

    A sequence's order is settled before anything is asked, and the first way that fails ends it: so its later ways
    need no correction for their number (tests in a fixed sequence, Maurer et al. 1995). That of single calls on the
    unchanged text begins with what the others are compared with.
    """
    kinds = product(texts, (False, True) if combine else (False,))
    asked = tuple(tuple(replace(text, combine=together, pack=size) for size in sizes) for text, together in kinds)
    return (*asked, tuple(Way(cascade=True, pack=size) for size in sizes)) if cascade else asked
