"""How many threads torch works with, while cfair does.

Fits of small models are many small steps: with a second thread on a busy two-core machine the law school took 17 s instead of 2.5 s.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from cfair.memory import keep_what_is_freed

__all__ = ["threads", "with_threads"]

P = ParamSpec("P")
T = TypeVar("T")

_COUNT = ContextVar("threads", default=1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within it, cfair's functions let torch use ``count`` threads; outside of it, one."""
    token = _COUNT.set(count)
    try:
        yield
    finally:
        _COUNT.reset(token)


def with_threads(function: Callable[P, T]) -> Callable[P, T]:
    """``function``, run with as many threads as ``threads`` says; torch's own setting comes back after it."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        keep_what_is_freed()
        before = torch.get_num_threads()
        torch.set_num_threads(_COUNT.get())
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_num_threads(before)

    return limited
