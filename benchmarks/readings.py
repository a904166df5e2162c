"""What a process holds at a moment: memory, open files, threads. Linux only.

Readings and their slope; what they are taken for belongs in `soak`, `memory`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median


def resident_mb(field: str = "VmRSS") -> float:
    """This process's resident memory; VmHWM is its highest so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def open_files() -> int:
    """File descriptors of this process: connections, parts, pipes."""
    return len(list(Path("/proc/self/fd").iterdir()))


def os_threads() -> int:
    """Threads of this process, those of native libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


def python_threads() -> int:
    """Threads that Python started."""
    return threading.active_count()


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Growth per unit of time: the median of the slopes between all pairs (Theil 1950, Sen 1968), blind to spikes."""
    pairs = [
        (values[later] - values[earlier]) / (times[later] - times[earlier])
        for later in range(len(times))
        for earlier in range(later)
    ]
    return median(pairs) if pairs else 0.0
