"""Work on several items at once, in this process, where most of it lets go of the interpreter's lock.

How many threads there may be is the caller's business, and so is what they do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """The function of each item, in the order of the items; a few items are read ahead, and no more are held.

    Args:
        function: Safe to call from several threads.
        items: Read from the thread that reads the results.
        threads: How many work; with 1 nothing is read ahead.

    Raises:
        Exception: What the function raises, at that item's place.
    """
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Result]] = deque()
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) > threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
