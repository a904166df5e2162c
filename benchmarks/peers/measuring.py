"""What every client's script shares: the conversations, and CPU per call as the process itself reports it.

Runs inside the peers' environments, so it needs the standard library only. CPU is user and system time of all threads
and of children that have ended. Starting up is left out: each client first answers as many conversations as it will
have in flight.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

SYSTEM = "Say the colour."
FILL = "The quick brown fox jumps over the lazy dog. " * 178
OPTIONS = {"temperature": 0, "max_tokens": 20}

Client = Callable[[str, list[Any], int], int]
"""Asks about texts at a base URL with so many in flight; gives the number of answers."""


def text(number: int) -> str:
    """A conversation of 8 KB."""
    return f"{number} {FILL}"


def messages(said: str) -> list[dict[str, str]]:
    """The prompt for a conversation."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Here it is:\n{said}\nAnswer now."}]


def main(client: Client, prepare: Callable[[list[str]], list[Any]] = list) -> None:
    """Measures a client as the command line says, and prints one line of JSON.

    `prepare` turns texts into what the client takes; that is its input, so it is not measured.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("rows", type=int)
    parser.add_argument("in_flight", type=int)
    given = parser.parse_args()
    client(given.base_url, prepare([text(-number) for number in range(1, given.in_flight + 1)]), given.in_flight)
    texts = prepare([text(number) for number in range(given.rows)])
    gc.collect()
    cpu, wall = _cpu(), time.monotonic()
    answered = client(given.base_url, texts, given.in_flight)
    figures = {"answered": answered, "cpu_s": _cpu() - cpu, "wall_s": time.monotonic() - wall}
    sys.stdout.write(json.dumps(figures) + "\n")


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
