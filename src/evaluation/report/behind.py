"""Work that goes on in other processes while the caller does something else."""

import atexit
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

FEW: Final = 40  # pieces of work that are done sooner than a worker starts
_BATCH: Final = 8
_MOST: Final = 4
_IDLE_SECONDS: Final = 10  # after which a worker ends; the next work starts it again


def each(function: Callable[[Given], Made], work: Sequence[Given]) -> Iterator[Made]:
    """Do many pieces of work, results in their order; it begins at once, in the caller's own process if they are few.

    Args:
        function: at the top of a module, so that another process finds it.
        work: what it is given, one piece a call.
    """
    if len(work) < FEW:
        return map(function, work)
    results: Iterator[Made] = _workers().map(function, work, chunksize=_BATCH)
    return results


def one(function: Callable[..., Made], *given: Any, much: bool) -> Callable[[], Made]:
    """Begin one piece of work; what is returned waits for its result.

    Args:
        function: at the top of a module, so that another process finds it.
        given: its arguments.
        much: worth another process; otherwise it is done when the result is asked for.
    """
    if not much:
        return lambda: function(*given)
    result: Callable[[], Made] = _workers().submit(function, *given).result
    return result


@cache
def _workers() -> Any:
    """Our own: joblib's Parallel cannot work with a reusable executor that it has not made itself."""
    from joblib import cpu_count
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(max_workers=min(_MOST, cpu_count()), timeout=_IDLE_SECONDS)
    atexit.register(pool.shutdown, wait=True)
    return pool
