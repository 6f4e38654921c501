"""Memory of a process that trains: keeping it, and saying what did not fit."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from multiace.training.config import Batch
from multiace.training.examples import Size

_NAMED = 5
"""Structures of a batch that a message lists."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGEST_BLOCK = 32 * 1024**2  # bytes; the most that glibc takes as threshold
_KEPT = 2**31 - 1  # bytes


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed tensors, instead of giving it back each time.

    The C library of Linux maps every large block anew and the system clears it page by page, which
    costs a small model more than its arithmetic. The setting is the process's own: commands make
    it, the library does not.

    Returns:
        Whether it was set; False on systems with another C library.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK) and mallopt(_TRIM_THRESHOLD, _KEPT))


def peak_memory(device: torch.device) -> int | None:
    """Return the most memory that this process has had so far, bytes; None where it is not told.

    On a GPU it is that of PyTorch's tensors, otherwise the resident memory of the process.

    Example:
        >>> peak = peak_memory(torch.device("cpu"))
        >>> peak is None or peak > 1_000_000
        True
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident()


def peak_resident() -> int | None:
    """Return the largest resident memory of this process so far, bytes; None on Windows.

    Linux is asked in /proc, as its `ru_maxrss` begins with that of the process that started this.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0])
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


class OutOfMemory(ValueError):
    """A batch that did not fit into memory: names it, its structures and the way out."""


@contextmanager
def naming_batch(describe: Callable[[], str]) -> Iterator[None]:
    """Say which batch was computed when memory ran out.

    Args:
        describe: returns the message.

    Raises:
        OutOfMemory: in place of what PyTorch, NumPy or a kernel says of it.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(describe()) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on a CPU or a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return "DefaultCPUAllocator" in text and "memory" in text


def batch_message(name: str, members: Sequence[Size], limit: Batch, path: Path) -> str:
    """Return what to say of a batch that did not fit into memory.

    Args:
        name: which batch it was.
        members: its structures.
        limit: what batches are limited by now.
        path: file with all its structures.
    """
    atoms = sum(member.atoms for member in members)
    edges = sum(member.edges for member in members)
    largest = sorted(members, key=lambda member: -member.edges)
    shown = ", ".join(
        f"{m.source} ({m.atoms:,} atoms, {m.edges:,} edges)" for m in largest[:_NAMED]
    )
    others = f" and {len(members) - _NAMED} more, all in {path}" if len(members) > _NAMED else ""
    unit, value = limit.limit
    if len(members) > 1:
        half = max(edges // 2, largest[0].edges)
        way = f"Set batch: {{edges: {half}}} in place of {{{unit}: {value}}}"
    else:
        way = "It is a batch alone: take this structure out, or choose a smaller design"
    return (
        f"Out of memory in {name}, whose batch has {len(members)} structures, {atoms:,} atoms and "
        f"{edges:,} edges: {shown}{others}. {way}; dtype: float32 needs half of float64. Begin in "
        "another directory, with --from to keep what this run has learnt."
    )
