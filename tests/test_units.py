"""Units against ASE, which has another edition of the constants."""

import ase.units
import pytest

from multiace import units


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (units.HARTREE, ase.units.Hartree),
        (units.BOHR, ase.units.Bohr),
        (units.KCAL_PER_MOL, ase.units.kcal / ase.units.mol),
        (units.GPA, ase.units.GPa),
        (units.KBAR, 1000.0 * ase.units.bar),
        (units.BOLTZMANN, ase.units.kB),
        (units.COULOMB, ase.units.Hartree * ase.units.Bohr),
        (units.MEV, 1e-3 * ase.units.eV),
    ],
)
def test_units_agree_with_ase(value, expected):
    assert value == pytest.approx(expected, rel=1e-6)
