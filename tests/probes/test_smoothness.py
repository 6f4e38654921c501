"""Cutoffs, ripples and bonds whose answers are known."""

import numpy as np
import pytest
import torch
from ase.calculators.lj import LennardJones
from tests.probes.conftest import LENGTH, STIFFNESS, PairCalculator, harmonic, rippled

from multiace import probes
from multiace.design import Design, Statistics
from multiace.geometry import Structure
from multiace.potential import Potential
from multiace.probes import paths
from multiace.probes.bonds import force_smoothness
from multiace.probes.cutoff import numerical_jumps
from multiace.probes.roughness import derivatives
from multiace.probes.surface import surface

WATER = Structure(
    np.array([8, 1, 1]), np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
)


def with_envelope(envelope: str) -> Potential:
    radial = {"family": "gaussian", "envelope": envelope, "hidden": [8]}
    design = Design(layers=2, channels=4, l_max=2, features_l_max=1, cutoff=3.5, radial=radial)
    statistics = Statistics(
        mean_neighbours=4.0, atomic_energies={"H": -13.0, "O": -2041.0}, scale=1e3
    )
    return Potential(design, (1, 8), statistics, dtype=torch.float64, seed=0)


@pytest.mark.parametrize(("envelope", "order"), [("polynomial", "C2"), ("cosine", "C1")])
def test_a_cosine_cutoff_is_c1_and_a_polynomial_one_c2(envelope, order):
    stretched = Structure(
        WATER.numbers, WATER.positions + np.array([[0.0] * 3, [2.5, 0, 0], [0.0] * 3])
    )
    found = probes.cutoff(with_envelope(envelope), structure=stretched)
    assert found["smoothness"] == order
    assert found["energy_jump"] < 1e-9
    assert found["crossings"] >= 4
    assert {row[2] for row in found.table("cutoff").rows} == {order}


def test_differences_find_the_jumps_that_exact_derivatives_do():
    potential = with_envelope("cosine")
    pair = Structure(np.array([1, 8]), np.array([[0.0] * 3, [3.45, 0.0, 0.0]]))
    outwards = np.array([[0.0] * 3, [0.1, 0.0, 0.0]])
    (exact,) = probes.cutoff(potential, [(1, 8)]).table("cutoff").rows
    (jump,) = numerical_jumps(surface(potential), pair, outwards, 3.5)
    assert jump.curvature == pytest.approx(exact[5], rel=1e-3)
    assert jump.slope < 1e-7


def test_truncated_lennard_jones_is_c0_with_the_jump_of_its_force_and_smoothed_c1():
    cut = probes.cutoff(LennardJones(rc=3.0), [(18, 18)], radius=3.0)
    assert cut["smoothness"] == "C0"
    assert cut["energy_jump"] < 1e-12  # ASE shifts it
    slope = 4.0 * (-12.0 / 3.0**13 + 6.0 / 3.0**7)
    assert cut["slope_jump"] == pytest.approx(0.1 * slope)  # 0.1 Å for a unit of s
    smooth = probes.cutoff(LennardJones(rc=3.0, ro=2.0, smooth=True), [(18, 18)], radius=3.0)
    assert smooth["smoothness"] == "C1"


def test_a_potential_that_ends_with_a_step_is_discontinuous():
    step = PairCalculator(lambda r: np.where(r < 3.0, -1.0, 0.0), lambda r: 0.0 * r)
    found = probes.cutoff(step, [(18, 18)], radius=3.0)
    assert found["smoothness"] == "discontinuous"
    assert found["energy_jump"] == pytest.approx(1.0)


def test_derivatives_along_a_path_are_those_of_the_function():
    height, wavelength = 0.05, 0.2
    r = np.linspace(0.9, 1.3, 801)
    path = paths.dimer(6, 6, r)
    labels = surface(rippled(height, wavelength)).evaluate(path.structures)
    k = 2.0 * np.pi / wavelength
    wave = k * (r - LENGTH)
    for from_forces in (True, False):
        found = derivatives(path, labels, from_forces=from_forces)
        inner = slice(4, -4)
        np.testing.assert_allclose(
            found.slope[inner],
            (STIFFNESS * (r - LENGTH) + height * k * np.cos(wave))[inner],
            atol=1e-2,
        )
        np.testing.assert_allclose(
            found.curvature[inner], (STIFFNESS - height * k**2 * np.sin(wave))[inner], atol=0.1
        )
        np.testing.assert_allclose(
            found.third[inner], (-height * k**3 * np.cos(wave))[inner], atol=5.0
        )


def test_ripples_raise_the_ratios_to_the_reference_by_the_known_factor():
    height, wavelength = 0.02, 0.1
    path = paths.dimer(6, 6, np.linspace(0.9, 1.3, 201))
    found = probes.roughness(rippled(height, wavelength), path, reference=harmonic())
    k = 2.0 * np.pi / wavelength
    expected = np.sqrt(1.0 + 0.5 * (height * k**2 / STIFFNESS) ** 2)
    assert found["curvature_ratio"] == pytest.approx(expected, rel=0.02)
    assert found["third_derivative"] == pytest.approx(height * k**3 / np.sqrt(2.0), rel=0.02)
    assert found["spurious_minima"] >= 1
    assert found["spurious_force_flips"] == 2 * found["spurious_minima"]
    smooth = probes.roughness(harmonic(), path, reference=harmonic())
    assert (smooth["curvature_ratio"], smooth["spurious_minima"]) == (1.0, 0)


def test_random_directions_of_a_stiffer_surface_have_its_ratio():
    stiff = probes.directions(harmonic(2.0 * STIFFNESS), WATER, reference=harmonic(), n=3)
    assert stiff["curvature_ratio"] == pytest.approx(2.0)
    assert stiff["third_derivative_ratio"] == pytest.approx(2.0)
    mine, theirs = stiff.panels["directions"].marks
    np.testing.assert_allclose(mine.y, 2.0 * theirs.y)


def test_fsd_is_the_largest_slope_of_the_log_ratio():
    r = np.linspace(0.8, 1.6, 41)
    pull = np.zeros((41, 2, 3))
    pull[:, 0, 0] = 30.0 * (r - 1.0)
    pull[:, 1, 0] = -pull[:, 0, 0]
    rough = pull * (1.0 + 0.5 * np.sin(15.0 * r))[:, None, None]
    found = force_smoothness(r, rough, 15.0 * (r - 1.0) ** 2, pull)
    ratio = []
    for mine, theirs in zip(rough, pull, strict=True):
        ratio.append(np.log(max((mine**2).sum(), 1.0)) - np.log(max((theirs**2).sum(), 1.0)))
    slopes = [abs((ratio[k + 1] - ratio[k]) / (r[k + 1] - r[k])) for k in range(40)]
    assert found.full == pytest.approx(max(slopes))
    assert found.compressed == pytest.approx(max(slopes[:10]))
    assert found.stretched == pytest.approx(max(slopes[10:]))
    assert found.full == pytest.approx(max(found.compressed, found.stretched))


def test_bonds_are_scanned_from_half_to_twice_their_covalent_radii():
    from ase.build import molecule

    methanol = Structure.from_ase(molecule("CH3OH"))
    found = probes.bond_smoothness(harmonic(), methanol, harmonic())
    assert found["bonds"] == 1  # the rest is to hydrogen
    assert found["fsd"] == found["energy_mae"] == found["forces_mae"] == 0.0
    lengths = next(iter(found.panels.values())).marks[0].x
    assert (lengths[0], lengths[-1]) == (pytest.approx(0.71), pytest.approx(2.84))
    assert len(lengths) == 100
    rough = probes.bond_smoothness(rippled(0.5, 0.2), methanol, harmonic())
    assert rough["fsd"] > 1.0
    with pytest.raises(paths.PathError, match="no bond to stretch"):
        probes.bond_smoothness(harmonic(), WATER, harmonic())


@pytest.mark.slow
def test_the_whole_probe_names_its_numbers_after_their_part(potentials):
    from multiace.probes.surface import PotentialSurface

    subject = PotentialSurface(potentials[0], "a")
    found = probes.smoothness(subject, WATER, pairs=[(1, 8)], reference=harmonic(), hydrogen=True)
    assert found["cutoff_smoothness"] == "C2"
    assert found["dimers_pairs"] == 1
    assert found["bonds_bonds"] == 2
    assert found["directions_curvature_ratio"] > 0.0
    assert {row["title"] for row in found.to_json()["tables"].values()} >= {
        "dimers of all pairs of elements",
        "bonds compressed and stretched",
    }
