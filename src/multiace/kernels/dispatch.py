"""The one place that chooses an implementation of the kernels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

from multiace.kernels import tables
from multiace.kernels.operation import Function
from multiace.kernels.operations.convolution import Convolution
from multiace.kernels.operations.edge_basis import EdgeBasis
from multiace.kernels.operations.gate import Gate
from multiace.kernels.operations.linear import Linear
from multiace.kernels.operations.neighbour_density import NeighbourDensity
from multiace.kernels.operations.norm import Norm
from multiace.kernels.operations.polynomial_product import PolynomialProduct
from multiace.kernels.operations.radial_basis import RadialBasis
from multiace.kernels.operations.radial_network import RadialNetwork
from multiace.kernels.operations.repulsion import Repulsion

_LOG = logging.getLogger("multiace")


@dataclass(frozen=True)
class Kernels:
    """A backend; operations that it has no function of are computed by their definitions.

    Args:
        name: what `select_kernels` knows it by.
        label: the name and how it computes, for people.
        device: type of the only device it computes on; None: on all.
        functions: operation -> differentiable function of its passes.
        direct: operation in a traced graph -> function that computes it without PyTorch's
            dispatcher; None: there are none.
        executor: class of what runs a program, made from the bytes of its file, with the methods of
            `kernels.cpu.executor.Executor`; None: there is none.
        listed_pairs: `ListedPairs` for `SkinList`; None: by NumPy.
        own_threads: context in which only kernels use torch's threads.
    """

    name: str
    label: str
    device: str | None
    functions: Mapping[str, Function] = field(default_factory=dict)
    direct: Mapping[Any, Callable[..., Any]] | None = None
    executor: Callable[[bytes], Any] | None = None
    listed_pairs: Callable[..., Any] | None = None
    own_threads: Callable[[], AbstractContextManager[None]] = nullcontext

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are the kernels of that name where they are read."""
        return select_kernels, (self.name, self.device or "cpu")

    def convolution(self, table: tables.ConvolutionTable) -> Convolution:
        """Return the sum over neighbours of the one-particle basis."""
        return Convolution(table, self)

    def edge_basis(self, table: tables.EdgeBasisTable) -> EdgeBasis:
        """Return distances and harmonics."""
        return EdgeBasis(table, self)

    def gate(self, table: tables.GateTable) -> Gate:
        """Return the gate."""
        return Gate(table, self)

    def linear(self, table: tables.LinearTable) -> Linear:
        """Return the linear map."""
        return Linear(table, self)

    def neighbour_density(self, table: tables.DensityTable) -> NeighbourDensity:
        """Return the density of neighbours."""
        return NeighbourDensity(table, self)

    def norm(self, table: tables.NormTable) -> Norm:
        """Return the nonlinearity by norms."""
        return Norm(table, self)

    def polynomial_product(self, table: tables.ProductTable) -> PolynomialProduct:
        """Return the symmetrised products."""
        return PolynomialProduct(table, self)

    def radial_basis(self, table: tables.RadialBasisTable) -> RadialBasis:
        """Return radial basis and envelope."""
        return RadialBasis(table, self)

    def radial_network(self, table: tables.RadialNetworkTable) -> RadialNetwork:
        """Return the hidden layers of radial functions."""
        return RadialNetwork(table, self)

    def repulsion(self, table: tables.RepulsionTable) -> Repulsion:
        """Return the repulsion of cores."""
        return Repulsion(table, self)


REFERENCE = Kernels("reference", "reference (PyTorch)", None)


@lru_cache(maxsize=1)
def _cpu() -> Kernels:
    """Return the compiled kernels.

    Raises:
        KernelLibraryError: they are not installed.
    """
    from multiace.kernels.cpu.backend import FUNCTIONS, NAMESPACE
    from multiace.kernels.cpu.executor import Executor as CPUExecutor
    from multiace.kernels.cpu.library import library
    from multiace.kernels.cpu.listed_pairs import ListedPairs
    from multiace.kernels.cpu.threads import OwnThreads

    return Kernels(
        "cpu",
        f"cpu (compiled, {library().instruction_set})",
        "cpu",
        functions=FUNCTIONS,
        direct=NAMESPACE.direct,
        executor=CPUExecutor,
        listed_pairs=ListedPairs,
        own_threads=OwnThreads,
    )


BACKENDS: dict[str, Callable[[], Kernels]] = {"reference": lambda: REFERENCE, "cpu": _cpu}
"""Name -> kernels."""


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
    if name not in BACKENDS:
        raise ValueError(
            f"kernels must be 'auto' or one of {sorted(BACKENDS)}, got {name!r}. "
            "Choose one that is installed; none is ever replaced silently."
        )
    kernels = BACKENDS[name]()
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
