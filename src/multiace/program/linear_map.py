"""Linear maps with their matrices, folded together where one follows another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from multiace.kernels.tables import LinearTable
from multiace.layer.linear import EquivariantLinear
from multiace.layer.message import Message
from multiace.o3.irreps import Irreps

_WORTHWHILE = 2
"""A product of two maps may have this many times their numbers: matrices take time to read."""


@dataclass(frozen=True, eq=False)
class LinearMap:
    """y_{n m d} = sum_c x_{n m c} W_{c d}, W of each irrep, shared or per element.

    Args:
        irreps_in: irreps of x.
        irreps_out: irreps of y; those that x does not have are zero.
        matrices: irrep -> W, (c, d), or (elements, c, d).
        per_element: whether there is a W for each element.
    """

    irreps_in: Irreps
    irreps_out: Irreps
    matrices: dict[str, Tensor]
    per_element: bool = False

    @classmethod
    def of(cls, linear: EquivariantLinear, present: Tensor) -> LinearMap:
        """Copy the map of a model.

        Args:
            linear: the map.
            present: positions of the elements to copy.
        """
        matrices = {irrep: matrix.detach() for irrep, matrix in linear.matrices.items()}
        if linear.per_element:
            matrices = {irrep: matrix[present] for irrep, matrix in matrices.items()}
        return cls(linear.irreps_in, linear.irreps_out, matrices, linear.per_element)

    @property
    def table(self) -> LinearTable:
        """Layout for the operation."""
        return LinearTable(self.irreps_in, self.irreps_out)

    @property
    def flat(self) -> Tensor:
        """All matrices, irrep after irrep of y."""
        return torch.cat([self.matrices[str(irrep)].flatten() for irrep in self.table.shapes])

    @property
    def n_numbers(self) -> int:
        """How many numbers the matrices hold."""
        return sum(matrix.numel() for matrix in self.matrices.values())

    def then(self, other: LinearMap) -> LinearMap:
        """Return this map followed by the other as one map; matrices are multiplied in float64."""
        per_element = self.per_element or other.per_element
        width = {irrep: channels for channels, irrep in self.irreps_in.entries}
        matrices: dict[str, Tensor] = {}
        for channels, irrep in other.irreps_out.entries:
            first, second = (of.matrices.get(str(irrep)) for of in (self, other))
            if first is not None and second is not None:
                matrices[str(irrep)] = (first.double() @ second.double()).to(first.dtype)
            elif irrep in width:  # but not between the two
                some = next(iter((self if self.per_element else other).matrices.values()))
                copies = some.shape[:1] if per_element else ()
                matrices[str(irrep)] = some.new_zeros((*copies, width[irrep], channels))
        return LinearMap(self.irreps_in, other.irreps_out, matrices, per_element)

    def followed_by(self, other: LinearMap) -> list[LinearMap]:
        """Return both as one map, or apart where one would be much larger."""
        both = self.then(other)
        worthwhile = both.n_numbers <= _WORTHWHILE * (self.n_numbers + other.n_numbers)
        return [both] if worthwhile else [self, other]


def folded(chain: Sequence[LinearMap | Message]) -> list[LinearMap | Message]:
    """Fold each linear map of a chain into the one before it."""
    result: list[LinearMap | Message] = []
    for part in chain:
        last = result[-1] if result else None
        if isinstance(last, LinearMap) and isinstance(part, LinearMap):
            result[-1:] = last.followed_by(part)
        else:
            result.append(part)
    return result
