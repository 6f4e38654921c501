"""Labels belong to the numbers in the file, and failures give none."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from tests.data.make.calculators import WATER, springs

from multiace.data import DataError
from multiace.data.make.labelling import (
    Failure,
    Point,
    as_extxyz,
    label,
    largest_force_error,
    multiplicity_of,
    tblite_calculator,
)
from multiace.data.make.recipe import Method


def test_a_label_depends_on_the_positions_of_the_file_and_nothing_else():
    pytest.importorskip("tblite", reason="labels need tblite")
    new = tblite_calculator(Method())
    water = molecule("H2O")
    water.positions += [0.123456789123, 7.0, -3.0]
    first = label(Point(water, 0, 1), new)
    np.testing.assert_array_equal(first.positions, first.positions.round(8))
    np.testing.assert_allclose(first.get_center_of_mass(), 0.0, atol=1e-8)
    again = label(Point(first, 0, 1), new)
    assert again.get_potential_energy() == first.get_potential_energy()
    np.testing.assert_array_equal(again.get_forces(), first.get_forces())
    first.positions[0, 0] += 0.02
    bent = label(Point(first, 0, 1), new)
    assert largest_force_error(bent, new) < 1e-4


def test_stress_has_the_sign_and_order_of_ase():
    copper = bulk("Cu", cubic=True)
    copper.rattle(0.05, seed=0)
    copper.set_cell(copper.cell * 0.97, scale_atoms=True)
    frame = label(Point(copper, 0, 1), lambda charge, multiplicity: EMT())
    stress = frame.get_stress(voigt=False)
    for i, j in ((0, 0), (1, 2), (0, 2), (0, 1)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += 0.5e-4 * sign
            strain[j, i] += 0.5e-4 * sign
            strained = copper.copy()
            strained.set_cell(copper.cell @ strain, scale_atoms=True)
            strained.calc = EMT()
            energies.append(strained.get_potential_energy())
        slope = (energies[0] - energies[1]) / 2e-4 / copper.get_volume()
        assert stress[i, j] == pytest.approx(slope, abs=1e-6)
    assert "stress=" in as_extxyz(frame)


def test_a_field_that_does_not_converge_is_a_failure_with_its_reason():
    pytest.importorskip("tblite", reason="labels need tblite")
    new = tblite_calculator(Method(max_iterations=2))
    outcome = label(Point(molecule("H2O"), 0, 1, {"mode": 3}), new)
    assert isinstance(outcome, Failure)
    assert outcome.reason == "SCF not converged in 2 cycles"
    assert outcome.info == {"mode": 3}


def test_values_that_are_not_finite_are_failures():
    water = molecule("H2O")
    assert isinstance(label(Point(water, 0, 1), springs((0, 1, np.nan, 1.0))), Failure)
    water.positions[0] = np.inf
    assert isinstance(label(Point(water, 0, 1), springs(*WATER)), Failure)


def test_multiplicities_fit_the_number_of_electrons():
    assert multiplicity_of([8, 1, 1], 0, None, "m") == 1
    assert multiplicity_of([8, 1, 1], 1, None, "m") == 2
    assert multiplicity_of([8, 8], 0, 3, "m") == 3
    for given in (2, 19):
        with pytest.raises(DataError, match=f"m {given} does not fit 16 electrons"):
            multiplicity_of([8, 8], 0, given, "m")


def test_without_tblite_the_error_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(DataError, match=r"needs tblite.*pip install 'multiace\[labels\]'"):
        tblite_calculator(Method())
