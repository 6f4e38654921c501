"""How many threads kernels use, and that torch's own leave the processors to them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _Taken(threading.local):
    """Threads that kernels have from torch; 0 outside `own_threads`."""

    number = 0


_TAKEN = _Taken()


def threads() -> int:
    """Return how many threads a kernel may use: as many as torch, outside of `own_threads`."""
    return _TAKEN.number or torch.get_num_threads()


@contextmanager
def own_threads() -> Iterator[None]:
    """Let kernels alone use torch's threads; other operations of torch run on the caller's.

    The threads of OpenMP spin for milliseconds after each operation that used them, in case that
    another one follows, and keep processors from kernels that come in between. What torch computes
    beside kernels is small, so that it loses little.

    Example:
        >>> before = torch.get_num_threads()
        >>> with own_threads():
        ...     torch.get_num_threads(), threads() == before
        (1, True)
        >>> torch.get_num_threads() == before
        True
    """
    number = threads()
    if number == 1 or _TAKEN.number:
        yield
        return
    _TAKEN.number = number
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(number)
        _TAKEN.number = 0
