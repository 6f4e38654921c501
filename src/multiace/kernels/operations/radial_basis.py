"""Radial basis and envelope of distances."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from multiace.kernels.operation import Operation, OperationModule
from multiace.kernels.tables import RadialBasisTable


class RadialBasis(OperationModule):
    """e_n(x) u, n = 1..number, or e_n(x) and u apart.

    | family | e_n(x) | constants k_n |
    |---|---|---|
    | bessel | sqrt(2/r_c) sin(k_n x / r_c) / x | n pi |
    | chebyshev | sqrt(2) T_n(1 - 2 x/r_c), orthonormal under the Chebyshev weight | not read |
    | gaussian | exp(-(x - k_n)^2 / 2 w^2), w = r_c / number | centres, Å |
    | jacobi | c_n P_{n-1}^(alpha, beta)(y), y = 2 x/r_c - 1, or 1 - 2 x if x falls | not read |

    The envelope u is a function of r / r_c, the two-sided one of x / r_c where r < r_c. With powers
    (outer, inner) of the latter, alpha = 2 outer and beta = 2 inner; with another envelope both are
    0. Jacobi polynomials are orthonormal in y in [-1, 1] together with a two-sided envelope, alone
    (Legendre polynomials) with another.

    Source: Gasteiger et al., DimeNet, ICLR 2020, eq. 7 (bessel); Witt et al., J. Chem. Phys. 159,
    164101 (2023) (jacobi).
    """

    name, of_table = "radial_basis", RadialBasisTable

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
        function = self.function
        if function is None:
            return radial_basis(self.table, distances, argument, constants)
        given = distances.new_empty(0) if argument is None else argument
        on_basis = self.table.envelope_on == "basis"
        basis, envelope = function(distances, given, constants, self.encoding, on_basis)
        return basis, None if on_basis else envelope


def radial_basis(
    table: RadialBasisTable,
    distances: Float[Tensor, " edges"],
    argument: Float[Tensor, " edges"] | None,
    constants: Float[Tensor, " number"],
) -> tuple[Float[Tensor, "edges number"], Float[Tensor, " edges"] | None]:
    """Return the basis, and the envelope where the weights have it: the definition."""
    basis = _functions(table, distances if argument is None else argument, constants)
    s = None if argument is None else argument / table.cutoff
    envelope = table.envelope(distances / table.cutoff, s)
    if table.envelope_on == "weights":
        return basis, envelope
    return basis * envelope.unsqueeze(1), None


def _functions(
    table: RadialBasisTable, x: Float[Tensor, " edges"], constants: Float[Tensor, " number"]
) -> Float[Tensor, "edges number"]:
    x, cutoff = x.unsqueeze(1), table.cutoff
    if table.family == "bessel":
        return math.sqrt(2.0 / cutoff) * torch.sin(constants * (x / cutoff)) / x
    if table.family == "gaussian":
        return torch.exp(-0.5 * ((x - constants) / (cutoff / table.number)).square())
    if table.family == "jacobi":
        outer, inner = table.outer_and_inner
        y = 1.0 - 2.0 * x if table.falling else 2.0 * (x / cutoff) - 1.0
        return jacobi(y, table.number, 2 * outer, 2 * inner)
    return math.sqrt(2.0) * chebyshev(1.0 - 2.0 * (x / cutoff), table.number)


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


def jacobi(
    y: Float[Tensor, "edges 1"], number: int, alpha: int, beta: int
) -> Float[Tensor, "edges number"]:
    """Return c_n P_n^(alpha, beta)(y), n = 0..number - 1, by their three-term recursion.

    y p_n = b_{n+1} p_{n+1} + a_n p_n + b_n p_{n-1}

    They are orthonormal: the integral of p_n p_m ((1 - y) / 2)^alpha ((1 + y) / 2)^beta over
    [-1, 1] is delta_nm.

    Example:
        >>> jacobi(torch.tensor([[0.5]]), 3, 0, 0)
        tensor([[ 0.7071,  0.6124, -0.1976]])
    """
    first = math.sqrt(0.5 * (alpha + beta + 1) * math.comb(alpha + beta, beta))
    previous, current = torch.zeros_like(y), torch.full_like(y, first)
    columns, b = [current], 0.0
    for n in range(1, number):
        m = 2 * n + alpha + beta
        a = (beta - alpha) / m if n == 1 else (beta**2 - alpha**2) / (m * (m - 2))
        b_next = _off_diagonal(n, alpha, beta)
        previous, current = current, ((y - a) * current - b * previous) / b_next
        columns.append(current)
        b = b_next
    return torch.cat(columns, dim=1)


def _off_diagonal(n: int, alpha: int, beta: int) -> float:
    """Return b_n of the recursion of Jacobi polynomials."""
    m = 2 * n + alpha + beta
    if n == 1:  # the factor n + alpha + beta cancels m - 1
        return math.sqrt(4 * (1 + alpha) * (1 + beta) / (m * m * (m + 1)))
    numerator = 4 * n * (n + alpha) * (n + beta) * (n + alpha + beta)
    return math.sqrt(numerator / (m * m * (m + 1) * (m - 1)))


def _fake(
    distances: Tensor, argument: Tensor, constants: Tensor, table: Tensor, envelope_on_basis: bool
) -> tuple[Tensor, Tensor]:
    n_rows = distances.shape[0]
    basis = distances.new_empty((n_rows, constants.shape[0]))
    return basis, distances.new_empty(0 if envelope_on_basis else n_rows)


def _definition(
    distances: Tensor, argument: Tensor, constants: Tensor, table: Tensor, on_basis: bool
) -> tuple[Tensor, Tensor]:
    x = argument if argument.numel() or not distances.numel() else None
    basis, envelope = radial_basis(RadialBasisTable.decode(table), distances, x, constants)
    return basis, distances.new_empty(0) if envelope is None else envelope


RADIAL_BASIS = Operation(
    name="radial_basis",
    inputs=("distances", "argument", "constants"),
    constants="Tensor table, bool envelope_on_basis",
    n_outputs=2,
    fake=_fake,
    definition=_definition,
)
