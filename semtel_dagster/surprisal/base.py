"""What a model of surprisal is to the stages: a picklable function of pieces of text. Models belong beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Scorer(Protocol):
    """Reads pieces one after the other as one text; the same pieces give the same figures, whatever came before.

    Picklable: what is large is loaded where it is first called, once for each process.
    """

    def __call__(self, pieces: Sequence[str], wanted: Sequence[bool]) -> NDArray[np.float64]:
        """The mean surprisal of each wanted piece's tokens, given the pieces before it.

        Args:
            pieces: The text in parts, none with lone surrogates.
            wanted: Of which pieces it is asked; the others are context.

        Returns:
            float64 of shape [len(pieces)], in nats a token; NaN for what was not asked, or has no token.
        """
        ...
