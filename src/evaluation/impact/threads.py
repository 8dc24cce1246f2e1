"""Work on large tables shared among processors; how many they are changes no number."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], *, worth: bool = True) -> Iterator[Result]:
    """`work` of each item, in their order; as many at once as there are processors, so that memory stays bounded.

    numpy lets go of the interpreter's lock while it computes, which is why threads serve and nothing is copied.

    Args:
        work: depends on nothing that another item changes.
        items: one after the other.
        worth: whether an item takes far longer than to hand it to a thread.
    """
    workers = os.cpu_count() or 1
    if workers == 1 or not worth:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
