"""How many threads kernels use, and that torch's own leave the processors to them."""

from __future__ import annotations

import threading

import torch


class _Taken(threading.local):
    """Threads that kernels have from torch; 0 outside `OwnThreads`."""

    number = 0


_TAKEN = _Taken()


def threads() -> int:
    """Return how many threads a kernel may use: as many as torch, outside of `OwnThreads`."""
    return _TAKEN.number or torch.get_num_threads()


class OwnThreads:
    """Context in which kernels alone use torch's threads; torch itself runs on the caller's.

    The threads of OpenMP spin for milliseconds after each operation that used them, in case that
    another one follows, and keep processors from kernels that come in between. What torch computes
    beside kernels is small, so that it loses little. A thread of Python that first uses torch
    meanwhile begins with one thread too, until `torch.set_num_threads` is called in it.

    Example:
        >>> before = torch.get_num_threads()
        >>> with OwnThreads():
        ...     torch.get_num_threads(), threads() == before
        (1, True)
        >>> torch.get_num_threads() == before
        True
    """

    def __init__(self) -> None:
        self._number = 0

    def __enter__(self) -> None:
        number = threads()
        if number > 1 and not _TAKEN.number:
            self._number = _TAKEN.number = number
            torch.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        if self._number:
            torch.set_num_threads(self._number)
            self._number = _TAKEN.number = 0
