"""The cyclic garbage collector while calls are under way.

Belongs here: its thresholds for the time of a run. With thousands of calls in flight every pass looks at all that lives
and finds nothing, since the engine makes no cycles: at the interpreter's thresholds that was 30 % of the CPU of a row.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

RARE = (10_000, 20, 50)

_lock = threading.Lock()
_runs = 0
_usual = gc.get_threshold()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Lets the collector run more rarely, in the whole process; the last run that ends puts the thresholds back."""
    global _runs, _usual
    with _lock:
        if not _runs:
            _usual = gc.get_threshold()
            gc.set_threshold(*(max(rare, usual) if usual else usual for rare, usual in zip(RARE, _usual, strict=True)))
        _runs += 1
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if not _runs:
                gc.set_threshold(*_usual)
