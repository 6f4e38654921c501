"""Radial basis and envelope of distances."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from multiace.envelope import Envelope


class RadialBasis(nn.Module):
    """e_n(x) u(r / r_c), n = 1..number, or e_n(x) and u(r / r_c) apart.

    | family | e_n(x) | constants k_n |
    |---|---|---|
    | bessel | sqrt(2/r_c) sin(k_n x / r_c) / x | n pi |
    | chebyshev | sqrt(2) T_n(1 - 2 x/r_c), orthonormal under the Chebyshev weight | not read |
    | gaussian | exp(-(x - k_n)^2 / 2 w^2), w = r_c / number | centres, Å |

    Args:
        family: bessel, chebyshev or gaussian.
        number: number of functions.
        cutoff: r_c in Å.
        envelope: u.
        envelope_on: whether u multiplies the `basis`, or the radial `weights` later.

    Source: Gasteiger et al., DimeNet, ICLR 2020, eq. 7 (bessel).
    """

    def __init__(
        self,
        family: Literal["bessel", "chebyshev", "gaussian"],
        number: int,
        cutoff: float,
        envelope: Envelope,
        envelope_on: Literal["basis", "weights"],
    ) -> None:
        super().__init__()
        from multiace.kernels.tables import RadialBasisTable

        self.table = RadialBasisTable(family, number, cutoff, envelope, envelope_on)
        self.family, self.number, self.cutoff = family, number, cutoff
        self.envelope, self.envelope_on = envelope, envelope_on

    def forward(
        self,
        distances: Float[Tensor, " edges"],
        argument: Float[Tensor, " edges"] | None,
        constants: Float[Tensor, " number"],
    ) -> tuple[Float[Tensor, "edges number"], Float[Tensor, " edges"] | None]:
        """Return the basis, and the envelope where the weights have it.

        Args:
            distances: r, Å.
            argument: x; None: r.
            constants: k_n.
        """
        basis = self._basis(distances if argument is None else argument, constants)
        envelope = self.envelope(distances / self.cutoff)
        if self.envelope_on == "weights":
            return basis, envelope
        return basis * envelope.unsqueeze(1), None

    def _basis(
        self, x: Float[Tensor, " edges"], constants: Float[Tensor, " number"]
    ) -> Float[Tensor, "edges number"]:
        x, cutoff = x.unsqueeze(1), self.cutoff
        if self.family == "bessel":
            return math.sqrt(2.0 / cutoff) * torch.sin(constants * (x / cutoff)) / x
        if self.family == "gaussian":
            return torch.exp(-0.5 * ((x - constants) / (cutoff / self.number)).square())
        return math.sqrt(2.0) * chebyshev(1.0 - 2.0 * (x / cutoff), self.number)


def chebyshev(x: Float[Tensor, "edges 1"], number: int) -> Float[Tensor, "edges number"]:
    """Return T_1(x)..T_number(x) by T_{n+1} = 2 x T_n - T_{n-1}.

    Example:
        >>> chebyshev(torch.tensor([[0.5]]), 3)
        tensor([[ 0.5000, -0.5000, -1.0000]])
    """
    previous, current = torch.ones_like(x), x
    columns = [current]
    for _ in range(number - 1):
        previous, current = current, 2.0 * x * current - previous
        columns.append(current)
    return torch.cat(columns, dim=1)
