"""Being told to stop while the main thread cannot listen.

Python runs signal handlers in the main thread between its own instructions, and there it waits inside the engine
(Polars) for as long as a step takes: Ctrl-C or "Terminate" in the UI would be heard only after the last call was paid
for. The operating system's note of a signal is heard at once, by a thread of ours; long row functions ask `asked`.
"""

from __future__ import annotations

import os
import signal
import threading

_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
_asked = threading.Event()
_pipe: list[int] = []  # open for the life of the process


class Interrupted(Exception):  # noqa: N818 - not an error: somebody asked for it
    """A long step was told to stop; what it finished is kept."""


def asked() -> bool:
    """Whether the process was told to stop since `listen`."""
    return _asked.is_set()


def listen() -> None:
    """Starts listening, or starts anew: what was asked before is forgotten. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return
    _asked.clear()
    if _pipe:
        return
    _pipe.extend(os.pipe())
    heard, noted = _pipe
    os.set_blocking(noted, False)
    before = signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    if before != -1:  # an event loop of the main thread listens already
        signal.set_wakeup_fd(before)
        return
    threading.Thread(target=_hear, args=(heard,), name="semtel-interrupts", daemon=True).start()


def _hear(heard: int) -> None:
    while numbers := os.read(heard, 64):
        if _SIGNALS & set(numbers):
            _asked.set()
