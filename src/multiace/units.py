"""Units of the library and the constants that lead to them.

Everything inside multiace is in eV, Å, eV/Å and eV/Å^3. Multiply a number by the constant named
after its unit to get there: ``-76.4 * HARTREE`` is an energy in eV.

Source: CODATA 2018 (https://physics.nist.gov/constants); ``BOLTZMANN``, ``KCAL_PER_MOL``, ``GPA``
and ``KBAR`` follow exactly from the 2019 definition of the SI.
"""

from __future__ import annotations

from typing import Final

HARTREE: Final = 27.211386245988
"""One Hartree in eV."""

BOHR: Final = 0.529177210903
"""One Bohr radius in Å."""

KCAL_PER_MOL: Final = 4184.0 / (6.02214076e23 * 1.602176634e-19)
"""One kcal/mol in eV."""

GPA: Final = 1e9 * 1e-30 / 1.602176634e-19
"""One GPa in eV/Å^3."""

KBAR: Final = 0.1 * GPA
"""One kbar in eV/Å^3."""

BOLTZMANN: Final = 1.380649e-23 / 1.602176634e-19
"""Boltzmann's constant in eV/K."""

COULOMB: Final = HARTREE * BOHR
"""Energy of two unit charges one Å apart, e^2 / (4 pi epsilon_0), in eV Å."""

MEV: Final = 1e-3
"""One meV in eV."""

FEMTOSECOND: Final = 1e-15 / (1e-10 * (1.66053906660e-27 / 1.602176634e-19) ** 0.5)
"""One fs in Å (u/eV)^(1/2), the unit of time that belongs to eV, Å and atomic mass units."""
