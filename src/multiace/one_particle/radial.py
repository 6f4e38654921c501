"""Radial basis e_n(r) and the network that turns it into radial functions."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.elements import covalent_radii
from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import Kernels


class RadialBasis(nn.Module):
    """e_n(r), n = 1..number, without envelope.

    | family | e_n(r) | trainable |
    |---|---|---|
    | bessel | sqrt(2/r_c) sin(k_n r / r_c) / r, k_n = n pi | k_n |
    | chebyshev | sqrt(2) T_n(1 - 2 r/r_c), orthonormal under the Chebyshev weight | - |
    | gaussian | exp(-(r - mu_n)^2 / 2 w^2), w = r_c / number | mu_n (Å) |

    Args:
        family: bessel, chebyshev or gaussian.
        number: number of functions.
        cutoff: r_c in Å.
        trainable: train k_n or mu_n.
        dtype: dtype of what is trained.

    Source: Gasteiger et al., DimeNet, ICLR 2020, eq. 7 (bessel).
    """

    def __init__(
        self,
        family: Literal["bessel", "chebyshev", "gaussian"],
        number: int,
        cutoff: float,
        *,
        trainable: bool,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.family, self.number, self.cutoff = family, number, cutoff
        n = torch.arange(1, number + 1, dtype=torch.float64)
        constants = {
            "bessel": n * math.pi,
            "chebyshev": n,
            "gaussian": (n - 1) * cutoff / max(number - 1, 1),
        }[family]
        if trainable:
            self.constants = nn.Parameter(constants.to(dtype))
        else:
            self.register_buffer("constants", constants, persistent=False)

    def forward(self, distances: Float[Tensor, " edges"]) -> Float[Tensor, "edges number"]:
        """Return e_n of every edge."""
        r = distances.unsqueeze(1)
        x = r / self.cutoff
        if self.family == "bessel":
            return math.sqrt(2.0 / self.cutoff) * torch.sin(self.constants * x) / r
        if self.family == "gaussian":
            width = self.cutoff / self.number
            return torch.exp(-0.5 * ((r - self.constants) / width).square())
        return math.sqrt(2.0) * chebyshev(1.0 - 2.0 * x, self.number)

    def slopes(
        self, distances: Float[Tensor, " edges"], values: Float[Tensor, "edges number"]
    ) -> Float[Tensor, "edges number"]:
        """Return de_n/dr.

        Args:
            distances: r.
            values: e_n(r).
        """
        r = distances.unsqueeze(1)
        if self.family == "bessel":
            k = self.constants / self.cutoff
            return (math.sqrt(2.0 / self.cutoff) * k * torch.cos(k * r) - values) / r
        if self.family == "gaussian":
            width = self.cutoff / self.number
            return (self.constants - r) / width**2 * values
        slopes = chebyshev_slopes(1.0 - 2.0 * r / self.cutoff, values / math.sqrt(2.0))
        return -2.0 / self.cutoff * math.sqrt(2.0) * slopes


class AgnesiTransform(nn.Module):
    """T(r) = 1 / (1 + a x^q / (1 + x^(q - p))), x = r / r_0, r_0 = (R_j + R_i) / 2.

    T falls from 1 at r = 0 to 0 far away, about alike for all pairs of elements: as 1 - a x^p near
    zero, as 1 / a x^q far away, p > q.

    Args:
        elements: atomic numbers of the model, sorted; up to 96 (covalent radii R are known).
        a: strength.
        q: power far away.
        p: power near zero.

    Raises:
        ElementError: an element without covalent radius.

    Source: Witt et al., J. Chem. Phys. 159, 164101 (2023), radial transformations.
    """

    radii: Tensor

    def __init__(self, elements: tuple[int, ...], *, a: float, q: float, p: float) -> None:
        super().__init__()
        self.a, self.q, self.p = a, q, p
        radii = torch.tensor(covalent_radii(elements, "radial.transform"), dtype=torch.float64)
        self.register_buffer("radii", radii, persistent=False)

    def forward(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, " edges"]:
        """Return T of every edge, between 0 and 1."""
        x = distances / self._r_0(senders, receivers, species)
        return 1.0 / (1.0 + self.a * x.pow(self.q) / (1.0 + x.pow(self.q - self.p)))

    def slopes(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, " edges"]:
        """Return dT/dr of every edge in 1/Å: -T^2 f (q - (q - p) g / (1 + g)) / r, f = 1/T - 1."""
        x = distances / self._r_0(senders, receivers, species)
        g = x.pow(self.q - self.p)
        f = self.a * x.pow(self.q) / (1.0 + g)
        rate = self.q - (self.q - self.p) * g / (1.0 + g)
        return -f / (1.0 + f).square() * rate / distances

    def _r_0(
        self,
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, " edges"]:
        return 0.5 * (self.radii[species[senders]] + self.radii[species[receivers]])


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


def chebyshev_slopes(
    x: Float[Tensor, "edges 1"], values: Float[Tensor, "edges number"]
) -> Float[Tensor, "edges number"]:
    """Return T_1'(x)..T_number'(x) by T_{n+1}' = 2 T_n + 2 x T_n' - T_{n-1}'.

    Args:
        x: where.
        values: T_1(x)..T_number(x).

    Example:
        >>> x = torch.tensor([[0.5]])
        >>> chebyshev_slopes(x, chebyshev(x, 3))
        tensor([[1., 2., 0.]])
    """
    previous, current = torch.zeros_like(x), torch.ones_like(x)
    columns = [current]
    for value in values[:, :-1].split(1, dim=1):
        previous, current = current, 2.0 * (value + x * current) - previous
        columns.append(current)
    return torch.cat(columns, dim=1)


class RadialNetwork(nn.Module):
    """R(r; z_j, z_i) = u V_z, u = f(... f(e W_1 + b_1) ...): hidden features and the last map.

    Without hidden layers u = e, and V is the linear table of linear ACE. The product u V is left
    to the convolution, which needs it edge by edge.

    Args:
        kernels: implementation.
        number: radial basis functions.
        hidden: widths of the hidden layers.
        n_weights: radial functions to make.
        activation: f.
        bias: whether the hidden layers have biases b.
        species: what V depends on: none, sender, receiver or pair.
        n_elements: chemical elements of the model.
        initial: initial weights.
    """

    def __init__(
        self,
        kernels: Kernels,
        number: int,
        hidden: tuple[int, ...],
        n_weights: int,
        activation: Activation,
        *,
        bias: bool,
        species: Literal["none", "sender", "receiver", "pair"],
        n_elements: int,
        initial: Initialisation,
    ) -> None:
        super().__init__()
        self.kernel = kernels.radial_network(activation)
        self.species, self.n_elements = species, n_elements
        self.hidden = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.factors: list[float] = []
        widths = (number, *hidden)
        for n, (width_in, width_out) in enumerate(zip(widths, hidden, strict=False)):
            weight, factor = initial.linear(f"hidden.{n}", (width_in, width_out), width_in)
            self.hidden.append(weight)
            self.factors.append(factor)
            if bias:
                self.biases.append(initial.weights(f"biases.{n}", (width_out,), 0.0))
        n_types = {"none": 1, "sender": n_elements, "receiver": n_elements, "pair": n_elements**2}
        self.last, self.last_factor = initial.linear(
            "last", (n_types[species], widths[-1], n_weights), widths[-1]
        )

    def forward(
        self, basis: Float[Tensor, "edges number"], envelope: Float[Tensor, " edges"] | None
    ) -> Float[Tensor, "edges hidden"]:
        """Return the hidden features u.

        Args:
            basis: e, enveloped already or not.
            envelope: factor of the radial functions, or None if it is in the basis.
        """
        return self.kernel(basis, list(self.hidden), list(self.biases), envelope, self.factors)

    @property
    def matrices(self) -> list[Float[Tensor, "width_in width_out"]]:
        """W of the hidden layers, ready to be multiplied with."""
        return [w * factor for w, factor in zip(self.hidden, self.factors, strict=True)]

    @property
    def weights(self) -> Float[Tensor, "types hidden n_weights"]:
        """V, ready to be multiplied with u."""
        return self.last * self.last_factor

    def edge_types(
        self,
        species: Int[Tensor, " nodes"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
    ) -> Int[Tensor, " edges"] | None:
        """Return which V each edge takes, or None if there is only one."""
        if self.species == "none":
            return None
        if self.species == "pair":
            return species[senders] * self.n_elements + species[receivers]
        return species[senders if self.species == "sender" else receivers]
