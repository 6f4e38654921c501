"""Ziegler-Biersack-Littmark (ZBL) repulsion of atomic cores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.elements import covalent_radii
from multiace.envelope import Envelope
from multiace.kernels.segment_sum import segment_sum
from multiace.units import BOHR, COULOMB

COEFFICIENTS = (0.1818, 0.5099, 0.2802, 0.02817)
EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)


class Repulsion(nn.Module):
    """V_i = 1/2 sum_j (e^2 / 4 pi eps0) Z_i Z_j / r phi(r / a) u(r / r_0).

    | symbol | meaning |
    |---|---|
    | phi(x) | sum of `coefficients` e^(-`exponents` x) |
    | a | `length` / (Z_i^`power` + Z_j^`power`) |
    | e^2 / 4 pi eps0 | `coulomb` |
    | u | polynomial envelope |
    | r_0 | `ends_at`, or R_i + R_j, where the covalent radii R touch |

    Args:
        elements: atomic numbers of the model, sorted; without `ends_at` up to 96, whose covalent
            radii are known.
        length: screening length in Å.
        power: power of the nuclear charges.
        coulomb: energy of two unit charges 1 Å apart, eV Å.
        envelope_power: p of the envelope.
        coefficients: of the terms of phi.
        exponents: of the terms of phi, without unit.
        ends_at: distance in Å at which every pair ceases to repel, or None.

    Raises:
        ValueError: an element without covalent radius.

    Source: Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Matter (1985);
    covalent radii of Cordero et al., Dalton Trans. 2008, 2832.
    """

    charges: Tensor
    half_ends: Tensor

    def __init__(
        self,
        elements: tuple[int, ...],
        *,
        length: float = 0.8854 * BOHR,
        power: float = 0.23,
        coulomb: float = COULOMB,
        envelope_power: int = 6,
        coefficients: Sequence[float] = COEFFICIENTS,
        exponents: Sequence[float] = EXPONENTS,
        ends_at: float | None = None,
    ) -> None:
        super().__init__()
        self.length, self.power, self.coulomb = length, power, coulomb
        self.envelope_power = envelope_power
        self.coefficients, self.exponents = tuple(coefficients), tuple(exponents)
        self.ends_at = ends_at
        if ends_at is None:
            half_ends = covalent_radii(elements, "energy.zbl")
        else:
            half_ends = [0.5 * ends_at] * len(elements)
        charges = torch.tensor(elements, dtype=torch.float64)
        self.register_buffer("charges", charges, persistent=False)
        of_elements = torch.tensor(half_ends, dtype=torch.float64)
        self.register_buffer("half_ends", of_elements, persistent=False)

    @property
    def reach(self) -> float:
        """Largest distance in Å at which two atoms of these elements repel each other."""
        return 2.0 * float(self.half_ends.max())

    def forward(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, " nodes"]:
        """Return the repulsion of each atom in eV."""
        z_j, z_i = self.charges[species[senders]], self.charges[species[receivers]]
        ends = self.half_ends[species[senders]] + self.half_ends[species[receivers]]
        x = distances * (z_i.pow(self.power) + z_j.pow(self.power)) / self.length
        terms = zip(self.coefficients, self.exponents, strict=True)
        screening = sum(c * torch.exp(-k * x) for c, k in terms)
        pair = self.coulomb * z_i * z_j / distances * screening
        pair = pair * Envelope("polynomial", self.envelope_power)(distances / ends)
        return segment_sum(0.5 * pair, receivers, species.shape[0])
