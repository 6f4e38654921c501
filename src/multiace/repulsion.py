"""Constants of the Ziegler-Biersack-Littmark (ZBL) repulsion of atomic cores."""

from __future__ import annotations

from collections.abc import Sequence

from multiace.elements import covalent_radii
from multiace.kernels.tables import RepulsionTable
from multiace.units import BOHR, COULOMB

COEFFICIENTS = (0.1818, 0.5099, 0.2802, 0.02817)
EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)


def zbl_table(
    elements: tuple[int, ...],
    *,
    length: float = 0.8854 * BOHR,
    power: float = 0.23,
    coulomb: float = COULOMB,
    envelope_power: int = 6,
    coefficients: Sequence[float] = COEFFICIENTS,
    exponents: Sequence[float] = EXPONENTS,
    ends_at: float | None = None,
) -> RepulsionTable:
    """Return the repulsion of some elements; see `multiace.kernels.operations.repulsion`.

    Args:
        elements: atomic numbers of the model, sorted; without `ends_at` up to 96, whose covalent
            radii are known.
        length: screening length in Å.
        power: power of the nuclear charges.
        coulomb: energy of two unit charges 1 Å apart, eV Å.
        envelope_power: p of the envelope.
        coefficients: of the terms of the screening.
        exponents: of the terms of the screening, without unit.
        ends_at: distance in Å at which every pair ceases to repel; None: the sum of the covalent
            radii, where the atoms touch.

    Raises:
        ValueError: an element without covalent radius.

    Source: Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Matter (1985);
    covalent radii of Cordero et al., Dalton Trans. 2008, 2832.
    """
    if ends_at is None:
        half_ends = covalent_radii(elements, "energy.zbl")
    else:
        half_ends = [0.5 * ends_at] * len(elements)
    return RepulsionTable(
        charges=tuple(map(float, elements)),
        half_ends=tuple(half_ends),
        length=length,
        power=power,
        coulomb=coulomb,
        envelope_power=envelope_power,
        coefficients=tuple(coefficients),
        exponents=tuple(exponents),
    )
