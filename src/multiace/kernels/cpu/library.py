"""Find and load the compiled kernels for this processor."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ABI_VERSION = 1
"""Version of the C interface; a library with another one is refused."""

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
"""Builds of the kernels, each needing the ones before."""

_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


class KernelLibraryError(RuntimeError):
    """The compiled kernels are not there, or do not belong to this version."""


class KernelLibrary:
    """The compiled kernels of one instruction set.

    Args:
        path: the shared object.
        instruction_set: what it was compiled for.

    Raises:
        KernelLibraryError: the library speaks another version of the interface.
    """

    def __init__(self, path: Path, instruction_set: str) -> None:
        self.path, self.instruction_set = path, instruction_set
        self._functions = ctypes.CDLL(str(path))
        found = self._functions.multiace_abi_version()
        if found != ABI_VERSION:
            raise KernelLibraryError(
                f"{path} was built for interface {found} of the kernels; this is {ABI_VERSION}. "
                "Install multiace again."
            )

    def function(self, name: str, dtype: torch.dtype) -> Callable[[Any], int]:
        """Return a kernel, which takes a pointer to its arguments."""
        function = getattr(self._functions, f"multiace_{name}_{_SUFFIX[dtype]}")
        function.argtypes = [ctypes.c_void_p]
        return function

    def call(self, name: str, dtype: torch.dtype, arguments: ctypes.Structure) -> None:
        """Run a kernel."""
        code = self.function(name, dtype)(ctypes.addressof(arguments))
        if code:
            raise KernelLibraryError(f"kernel {name} refused its arguments with code {code}.")


@lru_cache(maxsize=1)
def library() -> KernelLibrary:
    """Return the library of the best instruction set that this processor has.

    The environment variable `MULTIACE_ISA` names a lesser one.

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
    name = wanted or list(available)[-1]
    return KernelLibrary(available[name], name)


def installed_instruction_sets() -> dict[str, Path]:
    """Return the libraries that are installed and that this processor can run."""
    baseline = _find("baseline")
    if baseline is None:
        return {}
    best = ctypes.CDLL(str(baseline)).multiace_instruction_set()
    found = {name: _find(name) for name in INSTRUCTION_SETS[: best + 1]}
    return {name: path for name, path in found.items() if path is not None}


def _find(instruction_set: str) -> Path | None:
    import multiace.kernels.cpu

    for folder in multiace.kernels.cpu.__path__:  # an editable install has two
        path = Path(folder) / "lib" / f"libmultiace_{instruction_set}.so"
        if path.exists():
            return path
    return None


def pointer(tensor: Tensor | None) -> int | None:
    """Address of a contiguous tensor's data, or null."""
    return None if tensor is None else tensor.data_ptr()


def contiguous(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return tensors whose data can be handed over as they are."""
    return [None if tensor is None else tensor.contiguous() for tensor in tensors]
