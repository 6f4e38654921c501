"""Terms of the energy of each atom, from what readouts and core repulsion say of it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from multiace.baseline import Baseline
from multiace.plan.arrays import Array


class SumByTorch:
    """`SumTerms` of the kernels, by PyTorch.

    Args:
        arrays: what is read out.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = list(arrays)
        self.terms = self._constants = self._factors = torch.zeros(0)

    def take(self, constants: Tensor, factors: Tensor) -> None:
        """Take the nodes there are."""
        self._constants, self._factors = constants, factors

    def forward(self) -> None:
        """Write the terms."""
        read = torch.stack([array.value for array in self.arrays]).double()
        self.terms = self._constants.clone()
        self.terms[:, -len(read) :] += (self._factors * read).T


class EnergyTerms:
    """The terms of `Baseline`: constants, and what is read out times a factor.

    T_ik = c_ik + s_ik R_ik, where c and s, which depend on the elements alone, are taken from
    `Baseline` once.

    Args:
        baseline: of the potential.
        readouts: R_t of the layers that have one.
        repulsion: V, if there is one.
        bound: kernels bound to arrays; None: there are none.
    """

    def __init__(
        self,
        baseline: Baseline,
        readouts: Sequence[Array],
        repulsion: Array | None,
        bound: ModuleType | None,
    ) -> None:
        self._baseline, self._repels = baseline, repulsion is not None
        self._arrays = [*([] if repulsion is None else [repulsion]), *readouts]
        self._sum = SumByTorch(self._arrays) if bound is None else bound.SumTerms(self._arrays)

    def take_species(self, species: Int[Tensor, " owned"]) -> None:
        """Take the elements; the factors are the energy's gradients by what is read out."""
        with torch.enable_grad():
            leaves = [
                torch.zeros(len(species), dtype=torch.float64, requires_grad=True)
                for _ in self._arrays
            ]
            repulsion, readouts = (leaves[0], leaves[1:]) if self._repels else (None, leaves)
            terms = self._baseline(readouts, species, repulsion)
            factors = torch.stack(torch.autograd.grad(terms.sum(), leaves))
        self._sum.take(terms.detach(), factors)
        for array, factor in zip(self._arrays, factors, strict=True):
            array.gradient.copy_(factor)

    def values(self) -> Float64[Tensor, "owned terms"]:
        """Return the terms, eV; they stay until the next evaluation."""
        self._sum.forward()
        return self._sum.terms
