"""The one place that chooses an implementation of the kernels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import nn

from multiace.kernels.reference.convolution import Convolution
from multiace.kernels.reference.edge_basis import EdgeBasis
from multiace.kernels.reference.gate import Gate
from multiace.kernels.reference.linear import Linear
from multiace.kernels.reference.neighbour_density import NeighbourDensity
from multiace.kernels.reference.polynomial_product import PolynomialProduct
from multiace.kernels.reference.radial_basis import RadialBasis
from multiace.kernels.reference.radial_network import RadialNetwork

_LOG = logging.getLogger("multiace")


@dataclass(frozen=True)
class Kernels:
    """One implementation of every operation: name and constructors.

    Args:
        name: what `select_kernels` knows it by.
        label: the name and how it computes, for people.
        device: type of the only device it computes on; None: on all.
        steps: the operations bound to arrays, for plans; None: there are none.
        direct: operation in a traced graph -> function that computes it without PyTorch's
            dispatcher; None: there are none.
        predict: what plans sum over atoms and edges, in one pass; None: by PyTorch.
        listed_pairs: `ListedPairs` for `SkinList`; None: by NumPy.
        own_threads: context in which only kernels use torch's threads.
    """

    name: str
    label: str
    device: str | None
    edge_basis: Callable[..., nn.Module]
    radial_basis: Callable[..., nn.Module]
    convolution: Callable[..., nn.Module]
    linear: Callable[..., nn.Module]
    polynomial_product: Callable[..., nn.Module]
    gate: Callable[..., nn.Module]
    radial_network: Callable[..., nn.Module]
    neighbour_density: Callable[..., nn.Module]
    steps: ModuleType | None = None
    direct: Mapping[Any, Callable[..., Any]] | None = None
    predict: Callable[..., Any] | None = None
    listed_pairs: Callable[..., Any] | None = None
    own_threads: Callable[[], AbstractContextManager[None]] = nullcontext

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are the kernels of that name where they are read."""
        return select_kernels, (self.name, self.device or "cpu")


REFERENCE = Kernels(
    "reference",
    "reference (PyTorch)",
    None,
    edge_basis=EdgeBasis,
    radial_basis=RadialBasis,
    convolution=Convolution,
    linear=Linear,
    polynomial_product=PolynomialProduct,
    gate=Gate,
    radial_network=RadialNetwork,
    neighbour_density=NeighbourDensity,
)


@lru_cache(maxsize=1)
def _cpu() -> Kernels:
    """Return the compiled kernels.

    Raises:
        KernelLibraryError: they are not installed.
    """
    from multiace.kernels.cpu import steps
    from multiace.kernels.cpu.convolution import Convolution as FusedConvolution
    from multiace.kernels.cpu.differentiable import DIRECT
    from multiace.kernels.cpu.edge_basis import EdgeBasis as FusedEdgeBasis
    from multiace.kernels.cpu.gate import Gate as FusedGate
    from multiace.kernels.cpu.library import library
    from multiace.kernels.cpu.linear import Linear as FusedLinear
    from multiace.kernels.cpu.listed_pairs import ListedPairs
    from multiace.kernels.cpu.neighbour_density import NeighbourDensity as FusedDensity
    from multiace.kernels.cpu.polynomial_product import PolynomialProduct as FusedProduct
    from multiace.kernels.cpu.prediction import predict
    from multiace.kernels.cpu.radial_basis import RadialBasis as FusedRadialBasis
    from multiace.kernels.cpu.radial_network import RadialNetwork as FusedRadialNetwork
    from multiace.kernels.cpu.threads import OwnThreads

    return Kernels(
        "cpu",
        f"cpu (compiled, {library().instruction_set})",
        "cpu",
        edge_basis=FusedEdgeBasis,
        radial_basis=FusedRadialBasis,
        convolution=FusedConvolution,
        linear=FusedLinear,
        polynomial_product=FusedProduct,
        gate=FusedGate,
        radial_network=FusedRadialNetwork,
        neighbour_density=FusedDensity,
        steps=steps,
        direct=DIRECT,
        predict=predict,
        listed_pairs=ListedPairs,
        own_threads=OwnThreads,
    )


_IMPLEMENTATIONS: dict[str, Callable[[], Kernels]] = {"reference": lambda: REFERENCE, "cpu": _cpu}


def select_kernels(name: str = "auto", device: torch.device | str = "cpu") -> Kernels:
    """Return the kernels of a name; `auto` takes the fastest there is and says once which.

    Args:
        name: auto, cpu or reference.
        device: where they are to compute.

    Raises:
        KernelLibraryError: compiled kernels are asked for by name, but not installed.
        ValueError: a name that is not there, or that does not compute on the device.

    Example:
        >>> select_kernels("reference").name
        'reference'
    """
    device = torch.device(device)
    if name == "auto":
        return _automatic(device.type)
    if name not in _IMPLEMENTATIONS:
        raise ValueError(
            f"kernels must be 'auto' or one of {sorted(_IMPLEMENTATIONS)}, got {name!r}. "
            "Choose one that is installed; none is ever replaced silently."
        )
    kernels = _IMPLEMENTATIONS[name]()
    if kernels.device not in (None, device.type):
        raise ValueError(
            f"kernels {name!r} compute on {kernels.device}, but the device is {device}. "
            "Choose another device, or kernels 'auto' or 'reference'."
        )
    return kernels


@lru_cache
def _automatic(device: str) -> Kernels:
    from multiace.kernels.cpu.library import KernelLibraryError

    if device != "cpu":
        _LOG.info(
            "kernels: %s; the compiled ones compute on cpu, not on %s", REFERENCE.label, device
        )
        return REFERENCE
    try:
        kernels = _cpu()
    except KernelLibraryError as error:
        _LOG.warning(
            "kernels: %s, many times slower than compiled ones. %s", REFERENCE.label, error
        )
        return REFERENCE
    _LOG.info("kernels: %s", kernels.label)
    return kernels
