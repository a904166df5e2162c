"""WordLlama's static token vectors, read straight from the files inside the installed package.

`WordLlama.load` looks for the vocabulary elsewhere and would download it, so the two files are opened here: a
tokenizer of 32,000 tokens and one 256-dimensional float16 vector for each. What is computed from token vectors
belongs in the modules that use them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load
from tokenizers import Tokenizer

from semtel_dagster.errors import DependencyError

VERSION = "wordllama-l2-supercat-256"
DIMENSIONS = 256
WEIGHTS = ("weights/l2_supercat_256.safetensors", "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5")
VOCABULARY = (
    "tokenizers/l2_supercat_tokenizer_config.json",
    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)


@dataclass(frozen=True)
class StaticVectors:
    """A vocabulary and a vector per token.

    Attributes:
        tokenizer: Text to token ids, neither cut nor padded.
        table: float64 of shape [tokens, DIMENSIONS]; common words have short vectors, rare words long ones.
    """

    tokenizer: Tokenizer
    table: npt.NDArray[np.float64]

    def token_ids(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """The token ids of each text."""
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.asarray(encoding.ids, dtype=np.int64) for encoding in encodings]


@cache
def load_static_vectors() -> StaticVectors:
    """Reads both files once per process and checks that they are the ones this code was measured with.

    Raises:
        DependencyError: The package is missing or its files differ.
    """
    tokenizer = Tokenizer.from_str(_checked(*VOCABULARY).decode("utf-8"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    (table,) = load(_checked(*WEIGHTS)).values()
    return StaticVectors(tokenizer, table.astype(np.float64))


def _checked(name: str, sha256: str) -> bytes:
    spec = find_spec("wordllama")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise DependencyError("the embedded model needs the package wordllama: pip install 'wordllama==0.4.0.post1'")
    path = Path(folders[0]) / name
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DependencyError(
            f"{name} of the package wordllama is missing or is another version than the embedded model was measured "
            "with: pip install --force-reinstall 'wordllama==0.4.0.post1'"
        )
    return data
