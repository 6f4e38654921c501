"""Find and load the compiled kernels for this processor."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_LOG = logging.getLogger("multiace")

ABI_VERSION = 11
"""Version of the C interface; a library with another one is refused."""

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
"""Builds of the kernels, each needing the ones before."""

_SUFFIX = {torch.float32: "_f32", torch.float64: "_f64", None: ""}

_ERRORS: dict[int, tuple[type[Exception], str]] = {
    1: (MemoryError, "ran out of memory"),
    2: (RuntimeError, "failed"),
    3: (IndexError, "was given an index outside its range"),
}
"""What the codes of csrc/errors.h mean."""


class KernelLibraryError(ValueError):
    """The compiled kernels are not there, or do not belong to this version."""


class KernelLibrary:
    """The compiled kernels of one instruction set.

    Args:
        path: the shared object.
        instruction_set: what it was compiled for.

    Raises:
        KernelLibraryError: the library cannot be loaded, or speaks another version of the
            interface.
    """

    def __init__(self, path: Path, instruction_set: str) -> None:
        self.path, self.instruction_set = path, instruction_set
        self._known: dict[tuple[str, torch.dtype | None], Callable[[Any], int]] = {}
        try:
            self._functions = ctypes.CDLL(str(path))
        except OSError as error:
            raise KernelLibraryError(
                f"The compiled kernels cannot be loaded: {error}. Install multiace again."
            ) from None
        found = self._functions.multiace_abi_version()
        if found != ABI_VERSION:
            raise KernelLibraryError(
                f"{path} was built for interface {found} of the kernels; this is {ABI_VERSION}. "
                "Install multiace again, or run `make kernels` in a checkout."
            )

    @property
    def sources(self) -> str:
        """Digest of the sources the library was built from, see `source_digest`."""
        read = self._functions.multiace_sources
        read.restype = ctypes.c_char_p
        return read().decode()

    @property
    def best_instruction_set(self) -> str:
        """The best instruction set that this processor has."""
        return INSTRUCTION_SETS[self._functions.multiace_instruction_set()]

    def function(self, name: str, dtype: torch.dtype | None) -> Callable[[Any], int]:
        """Return a kernel, which takes a pointer to its arguments; None: it has no numbers."""
        if dtype not in _SUFFIX:
            raise TypeError(
                f"Compiled kernels compute in float32 and float64, got {dtype}. "
                "Convert the model, or build it with kernels='reference'."
            )
        function = self._known.get((name, dtype))
        if function is None:
            function = getattr(self._functions, f"multiace_{name}{_SUFFIX[dtype]}")
            function.argtypes = [ctypes.c_void_p]
            self._known[name, dtype] = function
        return function

    def entry_point(self, name: str, result: Any, arguments: Sequence[Any]) -> Callable[..., Any]:
        """Return a function of the C interface.

        Args:
            name: its name in C.
            result: type of what it returns, of ctypes.
            arguments: types of its arguments.
        """
        function = self._functions[name]  # a new object, whose types are not shared
        function.restype, function.argtypes = result, arguments
        return function

    def call(self, name: str, dtype: torch.dtype | None, arguments: ctypes.Structure) -> None:
        """Run a kernel.

        Raises:
            MemoryError: it ran out of memory.
            IndexError: an element or node that there is not.
            RuntimeError: anything else.
        """
        code = self.function(name, dtype)(ctypes.addressof(arguments))
        if code:
            error, what = _ERRORS.get(code, (RuntimeError, f"returned code {code}"))
            raise error(f"Kernel {name} {what}.")


@lru_cache(maxsize=1)
def library() -> KernelLibrary:
    """Return the library of the best instruction set that this processor has.

    The environment variable `MULTIACE_ISA` names a lesser one. In a checkout, a library that was
    built from other sources than those in csrc/ is used with a warning.

    Raises:
        KernelLibraryError: there is none, or `MULTIACE_ISA` names one that cannot run here.
    """
    wanted = os.environ.get("MULTIACE_ISA")
    available = installed_instruction_sets()
    if not available:
        raise KernelLibraryError(
            "multiace was installed without compiled kernels: there was no C++17 compiler, or the "
            "platform has none. Install a wheel, or a compiler and then multiace again."
        )
    if wanted is not None and wanted not in available:
        raise KernelLibraryError(
            f"MULTIACE_ISA is {wanted!r}, but this machine can run {', '.join(available)}. "
            "Choose one of these or unset it."
        )
    chosen = available[wanted or list(available)[-1]]
    if source_digest() not in (None, chosen.sources):
        _LOG.warning(
            "kernels: %s was not built from what is in %s now. Run `make kernels`.",
            chosen.path,
            _CHECKOUT / "csrc",
        )
    return chosen


def installed_instruction_sets() -> dict[str, KernelLibrary]:
    """Return the libraries that are installed and that this processor can run."""
    found: dict[str, KernelLibrary] = {}
    best = INSTRUCTION_SETS[0]
    for name in INSTRUCTION_SETS:
        if INSTRUCTION_SETS.index(name) > INSTRUCTION_SETS.index(best):
            break
        installed = _find(name)
        if installed is not None:
            found[name] = installed
            best = installed.best_instruction_set if name == "baseline" else best
    return found


def _find(instruction_set: str) -> KernelLibrary | None:
    """Return a library; of several, one that was built from the sources that are there."""
    # an editable install has the code in the checkout and the libraries in site-packages, which
    # `__path__` need not name: import hooks such as those of shape checkers replace it
    folders = [Path(__file__).parent, *(Path(entry, "multiace/kernels/cpu") for entry in sys.path)]
    paths = [folder / "lib" / f"libmultiace_{instruction_set}.so" for folder in folders]
    existing = dict.fromkeys(path.resolve() for path in paths if path.exists())
    found: list[KernelLibrary] = []
    errors: list[KernelLibraryError] = []
    for path in existing:
        try:
            found.append(KernelLibrary(path, instruction_set))
        except KernelLibraryError as error:  # another version's, further down sys.path
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return max(found, key=lambda each: each.sources == source_digest(), default=None)


_CHECKOUT = Path(__file__).resolve().parents[4]
"""Where csrc/ is, if multiace runs from a checkout."""


@lru_cache(maxsize=1)
def source_digest() -> str | None:
    """Return the digest of the kernels' sources, or None where there are none.

    CMakeLists.txt computes the same: SHA-256 of the sorted SHA-256 of all files, one a line.
    """
    folder = _CHECKOUT / "csrc"
    if not (folder / "entry_points.map").exists():
        return None
    files = [_CHECKOUT / "CMakeLists.txt", folder / "entry_points.map"]
    files += [*folder.glob("*.cpp"), *folder.glob("*.h"), *folder.glob("include/*.h")]
    digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def pointer(tensor: Tensor | None) -> int | None:
    """Address of a contiguous tensor's data, or null."""
    return None if tensor is None else tensor.data_ptr()


def words_of(encoding: Tensor) -> int:
    """Address of a table's words, which are behind the digest."""
    return encoding.data_ptr() + encoding.itemsize


def contiguous(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return tensors whose data can be handed over as they are.

    Raises:
        TypeError: numbers of several dtypes, or indices other than int64.
    """
    kept = [None if tensor is None else tensor.contiguous() for tensor in tensors]
    dtypes = {tensor.dtype for tensor in kept if tensor is not None} - {torch.int64}
    if len(dtypes) > 1:
        raise TypeError(
            f"A kernel was given {', '.join(sorted(map(str, dtypes)))} together. Numbers must be "
            "all float32 or all float64, and indices int64."
        )
    return kept
