"""Surprisal under a causal language model in a GGUF file, by llama.cpp in this process.

Source: llama.cpp gives the logits of any token of a batch; the surprisal of a token is minus the logarithm of the
softmax at the place before it. Special tokens in a text are read as ordinary text.
"""

from __future__ import annotations

import functools
import importlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semtel_dagster.errors import DependencyError, SettingsError

INSTALL = "pip install 'semtel-dagster[compress]'"
BATCH_TOKENS = 256
OVERLAP = 8  # a window begins with the last eighth of the one before

_LOADING = threading.Lock()


@dataclass(frozen=True)
class GgufScorer:
    """A Scorer; picklable, and the model is loaded where it is first called.

    Attributes:
        path: The model's file.
        context: Tokens that the model sees at once, at most; longer texts are read in windows that overlap.
        threads: How many threads it computes with; the figures are the same. They wait busily: beside other work
            two can take three times the CPU of one.
    """

    path: str
    context: int = 1024
    threads: int = 1

    def __call__(self, pieces: Sequence[str], wanted: Sequence[bool]) -> NDArray[np.float64]:
        """See `Scorer`.

        Raises:
            DependencyError: llama-cpp-python is missing.
            SettingsError: The file is missing, or holds no causal language model.
        """
        return self.load().mean_surprisal(pieces, wanted)

    def load(self) -> GgufModel:
        """The model, loaded once for each process; errors as those of a call."""
        with _LOADING:
            return _load(self.path, self.context, self.threads)


@dataclass
class Spent:
    """What models read in this process."""

    tokens: int = 0
    seconds: float = 0.0

    def take(self) -> Spent:
        """What was read since the last time."""
        taken = Spent(self.tokens, self.seconds)
        self.tokens, self.seconds = 0, 0.0
        return taken


SPENT = Spent()


@functools.cache
def _load(path: str, context: int, threads: int) -> GgufModel:
    return GgufModel(path, context, threads)


class GgufModel:
    """A loaded model. One text at a time; other threads wait."""

    def __init__(self, path: str, context: int, threads: int) -> None:
        self._llama = llama = _package()
        if not Path(path).is_file():
            raise SettingsError(f"compress.perplexity.model: {path} does not exist; name a GGUF file")
        model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        if not model:
            raise SettingsError(f"compress.perplexity.model: llama.cpp cannot read {path}; name a GGUF file")
        self._vocab = llama.llama_model_get_vocab(model)
        self._n_vocab = llama.llama_vocab_n_tokens(self._vocab)
        self.context = min(context, llama.llama_model_n_ctx_train(model))
        self._context = llama.llama_init_from_model(model, self._params(threads))
        if not self._context or llama.llama_pooling_type(self._context) != llama.LLAMA_POOLING_TYPE_NONE:
            raise SettingsError(f"compress.perplexity.model: {path} is no causal language model; name another file")
        self._batch = llama.llama_batch_init(BATCH_TOKENS, 0, 1)
        self._reading = threading.Lock()

    def mean_surprisal(self, pieces: Sequence[str], wanted: Sequence[bool]) -> NDArray[np.float64]:
        """See `Scorer`."""
        tokens = [self._tokens(piece) for piece in pieces]
        owners = np.repeat(np.arange(len(pieces)), [len(each) for each in tokens])
        ids = np.array([token for each in tokens for token in each], dtype=np.int64)
        asked = np.asarray(wanted, dtype=bool)[owners]
        last = int(np.flatnonzero(asked)[-1]) + 1 if asked.any() else 0
        with self._reading:
            began = time.perf_counter()
            nats = self._surprisal(ids[:last], asked[:last])
            SPENT.tokens += last
            SPENT.seconds += time.perf_counter() - began
        known = ~np.isnan(nats)
        sums = np.bincount(owners[:last][known], nats[known], len(pieces))
        counts = np.bincount(owners[:last][known], minlength=len(pieces))
        means = np.full(len(pieces), np.nan)
        means[counts > 0] = sums[counts > 0] / counts[counts > 0]
        return means

    def _surprisal(self, ids: NDArray[np.int64], asked: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Of each token, in nats; NaN for what was not asked, and for the first token, which nothing precedes."""
        found = np.full(len(ids), np.nan)
        start = done = 0
        while done < len(ids):
            end = min(start + self.context, len(ids))
            self._forget()
            for first in range(start, end, BATCH_TOKENS):
                behind = min(first + BATCH_TOKENS, end)
                places = [place for place in range(max(first, done - 1), min(behind, end - 1)) if asked[place + 1]]
                logits = self._decode(ids[first:behind], first - start, [place - first for place in places])
                following = np.array(places, dtype=np.int64) + 1
                found[following] = _nats(logits, ids[following])
            start, done = end - self.context // OVERLAP, end
        return found

    def _decode(self, ids: NDArray[np.int64], position: int, outputs: Sequence[int]) -> NDArray[np.float32]:
        """The logits behind some of the tokens, float32 of shape [len(outputs), vocabulary]."""
        batch, flags = self._batch, set(outputs)
        batch.n_tokens = len(ids)
        for place, token in enumerate(ids.tolist()):
            batch.token[place], batch.pos[place] = token, position + place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = place in flags
        if self._llama.llama_decode(self._context, batch) != 0:
            raise SettingsError("compress.perplexity: llama.cpp cannot compute; set a smaller context")
        if not outputs:
            return np.empty((0, self._n_vocab), dtype=np.float32)
        logits = self._llama.llama_get_logits(self._context)
        return np.ctypeslib.as_array(logits, shape=(len(outputs), self._n_vocab))

    def _tokens(self, text: str) -> list[int]:
        data = text.encode()
        room = len(data) + 8  # a token is a byte at least
        found = (self._llama.llama_token * room)()
        return list(found[: self._llama.llama_tokenize(self._vocab, data, len(data), found, room, False, False)])

    def _forget(self) -> None:
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), True)

    def _params(self, threads: int) -> Any:
        params = self._llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = self.context, BATCH_TOKENS, BATCH_TOKENS
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        return params


def _nats(logits: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float64]:
    highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
    total = np.log(np.exp(logits - highest).sum(axis=1, dtype=np.float64)) + highest[:, 0]
    chosen: NDArray[np.float64] = total - logits[np.arange(len(ids)), ids]
    return chosen


def _package() -> Any:
    try:
        llama = importlib.import_module("llama_cpp")
    except ImportError as error:
        raise DependencyError(f"compress.perplexity needs the package llama-cpp-python ({error}): {INSTALL}") from None
    logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)  # it prints hundreds of lines as it loads
    llama.llama_backend_init()
    return llama
