"""Ziegler-Biersack-Littmark (ZBL) repulsion of atomic cores."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from multiace.elements import symbol_of
from multiace.kernels.segment_sum import segment_sum
from multiace.one_particle.cutoff import polynomial_envelope
from multiace.units import BOHR, COULOMB

_ENVELOPE_POWER = 6
_COEFFICIENTS = (0.1818, 0.5099, 0.2802, 0.02817)
_EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)
_COVALENT_RADII = """
    0.31 0.28 1.28 0.96 0.84 0.76 0.71 0.66 0.57 0.58 1.66 1.41 1.21 1.11 1.07 1.05
    1.02 1.06 2.03 1.76 1.70 1.60 1.53 1.39 1.39 1.32 1.26 1.24 1.32 1.22 1.22 1.20
    1.19 1.20 1.20 1.16 2.20 1.95 1.90 1.75 1.64 1.54 1.47 1.46 1.42 1.39 1.45 1.44
    1.42 1.39 1.39 1.38 1.39 1.40 2.44 2.15 2.07 2.04 2.03 2.01 1.99 1.98 1.98 1.96
    1.94 1.92 1.92 1.89 1.90 1.87 1.87 1.75 1.70 1.62 1.51 1.44 1.41 1.36 1.36 1.32
    1.45 1.46 1.48 1.40 1.50 1.50 2.60 2.21 2.15 2.06 2.00 1.96 1.90 1.87 1.80 1.69
"""


class Repulsion(nn.Module):
    """V_i = 1/2 sum_j (e^2 / 4 pi eps0) Z_i Z_j / r phi(r / a) u(r / (R_i + R_j)).

    | symbol | meaning |
    |---|---|
    | phi(x) | 0.1818 e^-3.2x + 0.5099 e^-0.9423x + 0.2802 e^-0.4028x + 0.02817 e^-0.2016x |
    | a | 0.8854 a_0 / (Z_i^0.23 + Z_j^0.23) |
    | u | polynomial envelope, p = 6: the repulsion ends where the covalent radii R touch |

    Args:
        elements: atomic numbers of the model, sorted; up to 96 (covalent radii are known).

    Raises:
        ValueError: an element without covalent radius.

    Source: Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Matter (1985);
    covalent radii of Cordero et al., Dalton Trans. 2008, 2832.
    """

    charges: Tensor
    radii: Tensor

    def __init__(self, elements: tuple[int, ...]) -> None:
        super().__init__()
        radii = [float(radius) for radius in _COVALENT_RADII.split()]
        beyond = [symbol_of(number) for number in elements if number > len(radii)]
        if beyond:
            raise ValueError(
                f"energy.zbl needs a covalent radius, and none is known for {', '.join(beyond)}. "
                "Set energy.zbl: none."
            )
        charges = torch.tensor(elements, dtype=torch.float64)
        of_elements = torch.tensor([radii[number - 1] for number in elements], dtype=torch.float64)
        self.register_buffer("charges", charges, persistent=False)
        self.register_buffer("radii", of_elements, persistent=False)

    @property
    def reach(self) -> float:
        """Largest distance in Å at which two atoms of these elements repel each other."""
        return 2.0 * float(self.radii.max())

    def forward(
        self,
        distances: Float[Tensor, " edges"],
        senders: Int[Tensor, " edges"],
        receivers: Int[Tensor, " edges"],
        species: Int[Tensor, " nodes"],
    ) -> Float[Tensor, " nodes"]:
        """Return the repulsion of each atom in eV."""
        z_j, z_i = self.charges[species[senders]], self.charges[species[receivers]]
        contact = self.radii[species[senders]] + self.radii[species[receivers]]
        x = distances * (z_i.pow(0.23) + z_j.pow(0.23)) / (0.8854 * BOHR)
        screening = sum(
            c * torch.exp(-k * x) for c, k in zip(_COEFFICIENTS, _EXPONENTS, strict=True)
        )
        pair = COULOMB * z_i * z_j / distances * screening
        pair = pair * polynomial_envelope(distances / contact, _ENVELOPE_POWER)
        return segment_sum(0.5 * pair, receivers, len(species))
