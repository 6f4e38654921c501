"""Structures by file and by name."""

import numpy as np
import pytest
from ase.build import molecule
from ase.io import write
from tests.data.make.calculators import WATER, Springs

from multiace.data import DataError
from multiace.data.make.labelling import CalculationError
from multiace.data.make.start import optimise, read_start


def test_a_file_gives_its_last_frame_without_labels(tmp_path):
    near, far = molecule("H2O"), molecule("H2O")
    far.positions *= 1.1
    write(tmp_path / "water.xyz", [near, far])
    atoms = read_start(str(tmp_path / "water.xyz"))
    np.testing.assert_allclose(atoms.positions, far.positions, atol=1e-7)
    assert atoms.calc is None
    assert not atoms.cell.any()


def test_crystals_keep_their_cell_and_can_be_repeated():
    atoms = read_start("bulk:Si", (2, 2, 1))
    assert len(atoms) == 32
    assert atoms.pbc.all()


@pytest.mark.parametrize(
    ("name", "repeat", "message"),
    [
        ("molecule:CH3CHOOH", (1, 1, 1), "Did you mean 'CH3COOH'"),
        ("H2O", (1, 1, 1), "Did you mean molecule:H2O"),
        ("no_such.xyz", (1, 1, 1), r"no_such\.xyz: there is no such file"),
        ("bulk:H2O", (1, 1, 1), "knows no crystal 'H2O'"),
        ("molecule:H2O", (2, 1, 1), "needs periodic directions"),
        ("bundled:water", (1, 1, 1), "not a bundled data set"),
    ],
)
def test_what_is_not_there_is_refused_with_a_way_out(name, repeat, message):
    with pytest.raises(DataError, match=message):
        read_start(name, repeat)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.xyz").write_text("what is this?\n")
    with pytest.raises(DataError, match=r"a\.xyz: ASE cannot read it"):
        read_start(str(tmp_path / "a.xyz"))


def test_the_minimum_is_reached_or_it_is_said_that_it_is_not():
    atoms = molecule("H2O")
    atoms.calc = Springs(WATER)
    optimise(atoms, largest_force=1e-4)
    assert atoms.get_potential_energy() < 1e-8
    atoms.positions[1] *= 1.3
    with pytest.raises(CalculationError, match="no minimum within 0.01 eV/Å after 1 steps"):
        optimise(atoms, steps=1)
