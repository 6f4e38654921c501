"""Scans reach the values they say, move rigid parts, and hold what they should."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from scipy import constants
from tests.data.make.calculators import WATER, springs

from multiace.data import DataError
from multiace.data.make.few_atoms import AtomSet, DimerScan
from multiace.data.make.internal import InternalScan, fragment
from multiace.data.make.labelling import Failure
from multiace.data.make.modes import ModeScan, hessian, n_vibrations, normal_modes
from multiace.data.make.recipe import (
    Angle,
    Bond,
    Dihedral,
    Dimers,
    IsolatedAtoms,
    NormalModes,
)
from multiace.data.make.source import System

ETHANOL = molecule("CH3CH2OH")  # C0 C1 O2 H3 H4 H5 H6 H7 H8
FREE = springs()


def points(source, state=None):
    return [outcome for outcome, _ in source.points(state or {}, lambda energies: None)]


def scan(kind, numbers, structure=ETHANOL, new=FREE, **content):
    model = {"bond": Bond, "angle": Angle, "dihedral": Dihedral}[kind]
    settings = model(kind=kind, atoms=numbers, **content)
    return InternalScan("scan", System(structure, 0, 1, new), settings)


@pytest.mark.parametrize(
    ("kind", "atoms", "start", "stop", "key", "moving"),
    [
        ("bond", (1, 2), 1.0, 3.0, "distance_A", [2, 3]),
        ("angle", (0, 1, 2), 80.0, 130.0, "angle_deg", [2, 3]),
        ("dihedral", (0, 1, 2, 3), -120.0, 120.0, "dihedral_deg", [2, 3]),
    ],
)
def test_a_rigid_scan_reaches_its_values_and_moves_one_side(kind, atoms, start, stop, key, moving):
    source = scan(kind, atoms, start=start, stop=stop, points=5)
    assert source.moving() == moving
    found = points(source)
    still = [atom for atom in range(9) if atom not in moving]
    for point, value in zip(found, np.linspace(start, stop, 5), strict=True):
        measure = {
            "bond": point.atoms.get_distance,
            "angle": point.atoms.get_angle,
            "dihedral": point.atoms.get_dihedral,
        }[kind]
        measured = measure(*atoms)
        assert (measured - value + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-6)
        assert point.info == {key: pytest.approx(value)}
        np.testing.assert_array_equal(point.atoms.positions[still], ETHANOL.positions[still])
        assert point.atoms.get_distance(2, 3) == pytest.approx(ETHANOL.get_distance(2, 3))
    assert len(points(source, {"done": 3})) == 2


def test_without_ends_a_scan_goes_about_what_there_is():
    now = ETHANOL.get_distance(1, 2)
    np.testing.assert_allclose(scan("bond", (1, 2)).values()[[0, -1]], [0.75 * now, 2.5 * now])
    turned = scan("dihedral", (0, 1, 2, 3)).values()
    np.testing.assert_allclose(np.diff(turned), 15.0)
    assert turned[-1] - turned[0] == pytest.approx(345.0)  # a full turn, its end not twice


def test_a_relaxed_scan_holds_its_coordinate_and_relaxes_the_rest():
    water = molecule("H2O")
    source = scan("bond", (0, 1), water, springs(*WATER), stop=1.2, points=4, relax=True)
    for point, value in zip(points(source), source.values(), strict=True):
        assert point.atoms.get_distance(0, 1) == pytest.approx(value, abs=1e-5)
        assert point.atoms.get_distance(0, 2) == pytest.approx(0.97, abs=2e-3)
        assert point.atoms.get_distance(1, 2) == pytest.approx(1.53, abs=3e-3)


def test_a_relaxed_scan_goes_on_from_where_it_was():
    water = molecule("H2O")
    source = scan("bond", (0, 1), water, springs(*WATER), stop=1.2, points=4, relax=True)
    whole = list(source.points({}, lambda energies: None))
    rest = points(source, whole[1][1])
    np.testing.assert_array_equal(rest[1].atoms.positions, whole[3][0].atoms.positions)


def test_points_that_do_not_relax_are_failures_and_the_next_begins_at_the_last_good_one():
    water = molecule("H2O")
    new = springs(*WATER, fails=lambda atoms: 1.0 < atoms.get_distance(0, 1) < 1.1)
    source = scan("bond", (0, 1), water, new, start=0.95, stop=1.25, points=4, relax=True)
    assert [isinstance(point, Failure) for point in points(source)] == [False, True, False, False]


def test_sides_are_found_by_bonds():
    assert fragment(ETHANOL, 2, 3) == [3]
    assert fragment(ETHANOL, 2, 1) == [0, 1, 4, 5, 6, 7, 8]
    benzene = molecule("C6H6")
    assert fragment(benzene, 0, 1) is None


@pytest.mark.parametrize(
    ("kind", "numbers", "structure", "content", "message"),
    [
        ("bond", (0, 1), molecule("C6H6"), {}, "as in a ring.*moving"),
        ("bond", (1, 2), molecule("H2O"), {}, "are not bonded"),
        ("bond", (0, 9), ETHANOL, {}, "there is no atom 9: the structure has 9"),
        ("bond", (1, 2), ETHANOL, {"moving": [1, 2]}, "must hold atom 2 and not 1"),
        ("angle", (0, 1, 2), bulk("Si", cubic=True), {}, "without pbc"),
    ],
)
def test_scans_without_meaning_are_refused(kind, numbers, structure, content, message):
    with pytest.raises(DataError, match=message):
        scan(kind, numbers, structure, **content)


def wavenumber(force_constant, mass):
    """Return that of one oscillator, eV/Å^2 and u, in 1/cm."""
    omega = np.sqrt(force_constant * constants.e / 1e-20 / (mass * constants.u))
    return omega / (2 * np.pi * constants.c * 100)


def test_normal_modes_of_a_linear_molecule_have_their_closed_form():
    carbon_dioxide = molecule("CO2")  # C0 O1 O2
    length = carbon_dioxide.get_distance(0, 1)
    system = System(carbon_dioxide, 0, 1, springs((0, 1, 90.0, length), (0, 2, 90.0, length)))
    frequencies, vectors = normal_modes(carbon_dioxide, hessian(carbon_dioxide, system))
    carbon, oxygen = carbon_dioxide.get_masses()[:2]
    assert len(frequencies) == n_vibrations(carbon_dioxide) == 4
    np.testing.assert_allclose(frequencies[:2], 0.0, atol=20.0)  # springs do not resist bending
    assert frequencies[2] == pytest.approx(wavenumber(90.0, oxygen), rel=1e-4)
    reduced = 1 / (1 / oxygen + 2 / carbon)
    assert frequencies[3] == pytest.approx(wavenumber(90.0, reduced), rel=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=(1, 2)), 1.0)


def test_modes_are_scanned_by_length_and_without_moving_the_centre_of_mass():
    water = molecule("H2O")
    system = System(water, 0, 1, springs(*WATER))
    source = ModeScan("m", system, NormalModes(kind="normal_modes", modes=(3, 1), points=3))
    found = points(source)
    assert [(p.info["mode"], p.info["displacement_A"]) for p in found] == [
        (mode, amount) for mode in (3, 1) for amount in (-0.3, 0.0, 0.3)
    ]
    assert found[0].info["frequency_per_cm"] > found[3].info["frequency_per_cm"] > 500
    for point in found:
        moved = np.linalg.norm(point.atoms.positions - water.positions)
        assert moved == pytest.approx(abs(point.info["displacement_A"]))
        np.testing.assert_allclose(
            point.atoms.get_center_of_mass(), water.get_center_of_mass(), atol=1e-9
        )
    assert len(points(source, {"done": 4})) == 2
    with pytest.raises(DataError, match="must be 1 to 3, got 4"):
        ModeScan("m", system, NormalModes(kind="normal_modes", modes=(4,)))


def test_dimers_are_all_pairs_with_multiplicities_that_fit():
    system = System(ETHANOL, 0, 1, springs())
    source = DimerScan("d", system, Dimers(kind="dimers", multiplicities={"O-O": 3}, points=4))
    found = points(source)
    assert len(found) == source.n_points == 6 * 4
    by_pair = {p.info["pair"]: p.multiplicity for p in found}
    assert by_pair == {"C-C": 1, "C-H": 2, "C-O": 1, "H-H": 1, "H-O": 2, "O-O": 3}
    for point in found:
        assert point.atoms.get_distance(0, 1) == pytest.approx(point.info["distance_A"])
    with pytest.raises(DataError, match=r"multiplicities\.C-H 1 does not fit 7 electrons"):
        DimerScan("d", system, Dimers(kind="dimers", multiplicities={"H-C": 1}))
    with pytest.raises(DataError, match="has N-N, which is not scanned"):
        DimerScan("d", system, Dimers(kind="dimers", multiplicities={"N-N": 3}))
    with pytest.raises(DataError, match="stop must be above the first distance"):
        DimerScan("d", system, Dimers(kind="dimers", stop=0.5))


def test_atoms_are_in_their_ground_states():
    system = System(molecule("CH3CONH2"), 0, 1, springs())
    found = points(AtomSet("a", system, IsolatedAtoms(kind="isolated_atoms")))
    assert {str(p.atoms.symbols): p.multiplicity for p in found} == {"H": 2, "C": 3, "N": 4, "O": 3}
    own = IsolatedAtoms(kind="isolated_atoms", elements=("C",), multiplicities={"C": 1})
    (carbon,) = points(AtomSet("a", system, own))
    assert carbon.multiplicity == 1
