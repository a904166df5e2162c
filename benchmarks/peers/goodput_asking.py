"""What the peers' goodput scripts share: addresses and rows from the command line, what was answered as JSON.

Runs inside the peers' environments, so it needs the standard library only. Every peer is left wide open, as one who
knows no limits leaves it, with ten retries where it lets one choose.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

IN_FLIGHT = 256
RETRIES = 10
OPTIONS = {"temperature": 0, "max_tokens": 20}


def messages(said: str) -> list[dict[str, str]]:
    """The prompt for a conversation."""
    system = {"role": "system", "content": "Say the colour."}
    return [system, {"role": "user", "content": f"Here it is:\n{said}\nAnswer now."}]


def main(ask: Callable[[list[str], list[str]], int]) -> None:
    """Asks about so many rows at these addresses; prints how many were answered and how many were not."""
    urls, rows = json.loads(sys.argv[1]), int(sys.argv[2])
    answered = ask(urls, [f"row {number}" for number in range(rows)])
    sys.stdout.write(json.dumps({"answered": answered, "lost": rows - answered}) + "\n")
