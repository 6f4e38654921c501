"""Memory of a process that trains on a CPU."""

from __future__ import annotations

import ctypes
import sys

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
