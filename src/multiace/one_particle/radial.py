"""Radial basis e_n and the network that turns it into radial functions."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.activation import Activation
from multiace.elements import covalent_radii
from multiace.envelope import Envelope
from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import Kernels
from multiace.kernels.tables import (
    AgnesiTable,
    NormalisedAgnesiTable,
    RadialBasisTable,
    RadialNetworkTable,
)
from multiace.kernels.tables.radial import Family

RadialValues = tuple[Float[Tensor, "edges number"], Float[Tensor, " edges"] | None]
"""Radial basis, and the envelope where the weights have it."""


class RadialBasis(nn.Module):
    """e_n(x) u(r / r_c) with their constants k_n; see `kernels.operations.radial_basis`.

    Args:
        kernels: implementation.
        family: bessel, chebyshev, gaussian or jacobi.
        number: number of functions.
        cutoff: r_c in Å.
        envelope: u.
        envelope_on: whether it multiplies the radial `basis` or the radial `weights`.
        falling: whether the argument falls from 1 to 0 with the distance; of Jacobi polynomials.
        trainable: train the constants: frequencies of Bessel functions or centres of Gaussians.
        dtype: dtype of what is trained.
    """

    def __init__(
        self,
        kernels: Kernels,
        family: Family,
        number: int,
        cutoff: float,
        envelope: Envelope,
        envelope_on: Literal["basis", "weights"],
        *,
        falling: bool = False,
        trainable: bool,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        table = RadialBasisTable(family, number, cutoff, envelope, envelope_on, falling)
        self.kernel = kernels.radial_basis(table)
        n = torch.arange(1, number + 1, dtype=torch.float64)
        constants = {
            "bessel": n * math.pi,
            "chebyshev": n,
            "jacobi": n,
            "gaussian": (n - 1) * cutoff / max(number - 1, 1),
        }[family]
        if trainable:
            self.constants = nn.Parameter(constants.to(dtype))
        else:
            self.register_buffer("constants", constants, persistent=False)

    def forward(
        self, distances: Float[Tensor, " edges"], argument: Float[Tensor, " edges"] | None = None
    ) -> RadialValues:
        """Return the basis, and the envelope where the weights have it.

        Args:
            distances: r, Å.
            argument: x, what e_n is evaluated at; None: r.
        """
        return self.kernel(distances, argument, self.constants)


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

    operation: ClassVar[str] = "agnesi"
    radii: Tensor

    def __init__(self, elements: tuple[int, ...], *, a: float, q: float, p: float) -> None:
        super().__init__()
        radii = covalent_radii(elements, "radial.transform")
        self.table = AgnesiTable(a, q, p, tuple(radii))
        of_elements = torch.tensor(radii, dtype=torch.float64)
        self.register_buffer("radii", of_elements, persistent=False)

    def forward(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, " edges"]:
        """Return T of every edge, between 0 and 1."""
        a, q, p = self.table.a, self.table.q, self.table.p
        r_0 = 0.5 * (self.radii[species[senders]] + self.radii[species[receivers]])
        x = distances / r_0
        return 1.0 / (1.0 + a * x.pow(q) / (1.0 + x.pow(q - p)))


class NormalisedAgnesiTransform(nn.Module):
    """T(r) = r_c (y(r_in) - y(r)) / (y(r_in) - y(r_c)), between 0 and r_c.

    y(r) = 1 / (1 + a t^q / (1 + t^(q - p))), t = r / r_0, falls as 1 - a t^q near zero and as
    1 / a t^p far away; r_0 = R_j + R_i is the length of a bond. For q >= p >= 1, but not q = p = 1,
    y is steepest at t = 1, so that radial functions tell distances around a bond apart best, with

        a = (4 p q - 2 (p + q)) / (p + p^2 + q + q^2).

    T rises from 0 at r_in to r_c at r_c for all pairs of elements; x = 2 T / r_c - 1 is the
    coordinate in [-1, 1] of ACE. Below r_in, T = 0.

    Args:
        elements: atomic numbers of the model, sorted; up to 96 (covalent radii R are known).
        cutoff: r_c in Å.
        p: power far away.
        q: power near zero.
        r_in: Å.

    Raises:
        ElementError: an element without covalent radius.

    Source: Witt et al., J. Chem. Phys. 159, 164101 (2023), radial transformations.
    """

    operation: ClassVar[str] = "normalised_agnesi"
    radii: Tensor

    def __init__(
        self, elements: tuple[int, ...], cutoff: float, *, p: float, q: float, r_in: float
    ) -> None:
        super().__init__()
        radii = covalent_radii(elements, "radial.transform")
        self.table = NormalisedAgnesiTable(p, q, r_in, cutoff, tuple(radii))
        of_elements = torch.tensor(radii, dtype=torch.float64)
        self.register_buffer("radii", of_elements, persistent=False)

    def forward(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, " edges"]:
        """Return T of every edge, Å."""
        r_in, cutoff = self.table.r_in, self.table.cutoff
        r_0 = self.radii[species[senders]] + self.radii[species[receivers]]
        f, f_in, f_c = (self._ratio(r / r_0) for r in (distances, r_in, cutoff))
        # y = 1 / (1 + f): differences of y, without its cancellation near zero
        t = cutoff * (1.0 + f_c) / (f_c - f_in) * (f - f_in) / (1.0 + f)
        return t.clamp(0.0, cutoff)

    def _ratio(self, t: Float[Tensor, " edges"]) -> Float[Tensor, " edges"]:
        """Return 1 / y - 1 = a t^p / (1 + t^(p - q))."""
        a, p, q = self.table.a, self.table.p, self.table.q
        return a * t.pow(p) / (1.0 + t.pow(p - q))


class RadialNetwork(nn.Module):
    """R(r; z_j, z_i) = u V_z, u = f(... f(e W_1 + b_1) ...): hidden features and the last map.

    Without hidden layers u = e, and V is the linear table of linear ACE. The product u V is left
    to the convolution, which needs it edge by edge.

    Args:
        kernels: implementation.
        number: radial basis functions.
        hidden: widths of the hidden layers.
        n_weights: radial functions to make; None: there is no last map, R = u.
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
        n_weights: int | None,
        activation: Activation,
        *,
        bias: bool,
        species: Literal["none", "sender", "receiver", "pair"],
        n_elements: int,
        initial: Initialisation,
    ) -> None:
        super().__init__()
        widths = (number, *hidden)
        self.kernel = kernels.radial_network(RadialNetworkTable(widths, activation))
        self.species, self.n_elements = species, n_elements
        self.hidden = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.factors: list[float] = []
        for n, (width_in, width_out) in enumerate(zip(widths, hidden, strict=False)):
            weight, factor = initial.linear(f"hidden.{n}", (width_in, width_out), width_in)
            self.hidden.append(weight)
            self.factors.append(factor)
            if bias:
                self.biases.append(initial.weights(f"biases.{n}", (width_out,), 0.0))
        self.width, self.maps = widths[-1], n_weights is not None
        if n_weights is None:
            return
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

    def functions(
        self, basis: Float[Tensor, "edges number"], envelope: Float[Tensor, " edges"] | None
    ) -> Float[Tensor, "types edges functions"]:
        """Return R of every type, for each edge: u V, or u without a last map."""
        u = self(basis, envelope)
        return u @ self.weights if self.maps else u.unsqueeze(0)

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
