"""Symmetries: pair potentials keep them, an external field does not."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from tests.laws.systems import TRICLINIC
from tests.probes.conftest import harmonic

from multiace import probes
from multiace.ensemble import Ensemble
from multiace.geometry import Structure

ETHANOL = Structure.from_ase(molecule("CH3CH2OH"))
FIELD = 0.1  # eV/Å


class InAField(Calculator):
    """E = field sum_i x_i: neither rotations nor translations leave it alone."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros_like(self.atoms.positions)
        forces[:, 0] = -FIELD
        self.results = {"energy": FIELD * float(self.atoms.positions[:, 0].sum()), "forces": forces}


def test_a_pair_potential_has_every_symmetry():
    found = probes.symmetry(harmonic(), [ETHANOL])
    assert found["largest_energy"] < 1e-12
    assert found["largest_forces"] < 1e-11
    names = [row[0] for row in found.table("symmetry").rows]
    assert names == ["rotation", "mirror", "translation", "permutation"]


def test_crystals_have_theirs_too_with_stress():
    found = probes.symmetry(LennardJones(sigma=1.5, rc=4.0), [TRICLINIC], repetitions=1)
    rows = {row[0]: row[3] for row in found.table("symmetry").rows}
    assert set(rows) >= {"wrapping", "cell vectors", "supercell"}
    assert max(rows.values()) < 1e-10


def test_a_field_breaks_rotation_and_translation_but_not_permutation():
    found = probes.symmetry(InAField(), [ETHANOL])
    assert found["permutation_energy"] < 1e-12
    assert found["translation_forces"] == 0.0
    assert found["translation_energy"] > 0.1 * FIELD
    assert 0.1 * FIELD < found["rotation_forces"] <= 2.0 * FIELD
    assert found["forces_rms"] == pytest.approx(FIELD / np.sqrt(3.0))


def test_models_and_ensembles_are_symmetric(potentials):
    for subject in (potentials[0], Ensemble(potentials[:2])):
        found = probes.symmetry(subject, [ETHANOL], repetitions=1)
        assert found["largest_forces"] < 1e-8 * max(found["forces_rms"], 1e-3)
