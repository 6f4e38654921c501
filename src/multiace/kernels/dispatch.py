"""The one place that chooses an implementation of the kernels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from torch import nn

from multiace.kernels.reference.convolution import Convolution
from multiace.kernels.reference.edge_basis import EdgeBasis
from multiace.kernels.reference.gate import Gate
from multiace.kernels.reference.linear import Linear
from multiace.kernels.reference.polynomial_product import PolynomialProduct

_LOG = logging.getLogger("multiace")


@dataclass(frozen=True)
class Kernels:
    """One implementation of every operation: name and constructors."""

    name: str
    edge_basis: Callable[..., nn.Module]
    convolution: Callable[..., nn.Module]
    linear: Callable[..., nn.Module]
    polynomial_product: Callable[..., nn.Module]
    gate: Callable[..., nn.Module]


REFERENCE = Kernels("reference", EdgeBasis, Convolution, Linear, PolynomialProduct, Gate)


@lru_cache(maxsize=1)
def _cpu() -> Kernels:
    """Return the compiled kernels.

    Raises:
        KernelLibraryError: they are not installed.
    """
    from multiace.kernels.cpu.convolution import Convolution as FusedConvolution
    from multiace.kernels.cpu.library import library

    library()
    return Kernels("cpu", EdgeBasis, FusedConvolution, Linear, PolynomialProduct, Gate)


_IMPLEMENTATIONS: dict[str, Callable[[], Kernels]] = {"reference": lambda: REFERENCE, "cpu": _cpu}


def select_kernels(name: str = "auto") -> Kernels:
    """Return the kernels of a name; `auto` takes the fastest there is and says once which.

    Raises:
        ValueError: a name that is not there.

    Example:
        >>> select_kernels("reference").name
        'reference'
    """
    if name == "auto":
        return _automatic()
    if name not in _IMPLEMENTATIONS:
        raise ValueError(
            f"kernels must be 'auto' or one of {sorted(_IMPLEMENTATIONS)}, got {name!r}. "
            "Choose one that is installed; none is ever replaced silently."
        )
    return _IMPLEMENTATIONS[name]()


@lru_cache(maxsize=1)
def _automatic() -> Kernels:
    from multiace.kernels.cpu.library import KernelLibraryError, library

    try:
        kernels = _cpu()
    except KernelLibraryError as error:
        _LOG.warning(
            "kernels: reference (PyTorch), many times slower than compiled ones. %s", error
        )
        return REFERENCE
    _LOG.info("kernels: cpu (compiled, %s)", library().instruction_set)
    return kernels
