"""Law 8: energies are as smooth as the envelope where atoms cross the cutoff."""

from __future__ import annotations

import numpy as np
import pytest
from tests.laws.potentials import for_every_potential, random_potential
from tests.laws.systems import TRICLINIC

from multiace.analysis.locality import influence
from multiace.analysis.smoothness import Jump, cutoff_crossings, cutoff_jumps, scan
from multiace.design import Design
from multiace.design.describe import continuous_derivatives, describe
from multiace.geometry import Structure
from multiace.potential import Potential

STEP = 1e-4  # Å
JUMP = 1e-6  # eV, eV/Å, eV/Å^2
THROUGH_THE_CRYSTAL = np.array([[0.0] * 3, [0.9, -0.7, 1.1], [0.0] * 3])  # Å, of one atom
AROUND = np.arange(-12, 12) + 0.5  # steps around the crossing, none on it


def crossings(cutoff: float) -> dict[str, tuple[Structure, np.ndarray]]:
    """Return structures and displacements (Å) that take an atom from 0.1 Å inside out."""
    r = cutoff - 0.1
    dimer = Structure(numbers=np.array([8, 14]), positions=np.array([[0.0] * 3, [0.0, 0.0, r]]))
    trimer = Structure(
        numbers=np.array([6, 8, 1]), positions=np.array([[0.0] * 3, [1.1, 0.0, 0.3], [0.0, r, 0.0]])
    )
    chain = Structure(
        numbers=np.array([6, 8, 14]),
        positions=np.array([[0.0] * 3, [0.8 * r, 0.1, 0.0], [0.8 * r, 0.1 + r, 0.0]]),
    )
    last = np.zeros((3, 3))
    last[2, 1] = 0.2
    return {
        "dimer": (dimer, np.array([[0.0] * 3, [0.0, 0.0, 0.2]])),
        "trimer": (trimer, last),
        "second shell": (chain, last),  # the last atom leaves the middle one, seen by the first
    }


@for_every_potential
def test_energies_are_as_smooth_at_the_cutoff_as_the_design_describes(potential: Potential) -> None:
    paths = [*crossings(potential.cutoff).values(), (TRICLINIC, THROUGH_THE_CRYSTAL)]
    for structure, displacement in paths:
        jumps = cutoff_jumps(potential, structure, displacement)
        assert jumps
        assert all(at_least_as_promised(potential, jump) for jump in jumps), jumps


def at_least_as_promised(potential: Potential, jump: Jump) -> bool:
    """A cosine envelope promises C1; Bessel functions, zero at the cutoff, make it C2.

    No derivative beyond the second is looked at.
    """
    return jump.smoothness(JUMP) >= f"C{min(2, continuous_derivatives(potential.design))}"


@for_every_potential
def test_energy_and_force_are_continuous_through_the_cutoff_and_stiffness_where_c2(
    potential: Potential,
) -> None:
    for structure, displacement in crossings(potential.cutoff).values():
        speed = np.linalg.norm(displacement, axis=1).max()
        (crossing,) = cutoff_crossings(structure, displacement, potential.cutoff)
        found = scan(potential, structure, displacement, crossing + AROUND * STEP / speed)
        assert_continuous(found.energy)
        assert_continuous(found.slope)
        if continuous_derivatives(potential.design) >= 2:
            assert_continuous(found.curvature)


def assert_continuous(values: np.ndarray) -> None:
    """No step across the crossing in the middle is larger than those on either side of it."""
    steps = np.abs(np.diff(values))
    crossing = len(steps) // 2
    others = np.delete(steps, crossing)
    assert steps[crossing] <= 1.5 * others.max() + 1e-12


PROMISES = {
    "polynomial": ({"envelope": "polynomial"}, "C2"),
    "cosine": ({"envelope": "cosine"}, "C1"),
    "two-sided": ({"envelope": "two_sided"}, "C1"),
    "two-sided of power 3": ({"envelope": "two_sided", "two_sided": {"outer": 3}}, "C2"),
    "two-sided of a transform": (
        {"envelope": "two_sided", "transform": "normalised_agnesi"},
        "C1",
    ),
}


@pytest.mark.parametrize("on", ["basis", "weights"])
@pytest.mark.parametrize("name", PROMISES)
def test_the_smoothness_at_the_cutoff_is_that_of_the_envelope(name: str, on: str) -> None:
    fields, smoothness = PROMISES[name]
    radial = {"family": "gaussian", **fields, "envelope_on": on, "hidden": [8]}
    design = Design(layers=2, channels=4, l_max=2, features_l_max=1, cutoff=3.5, radial=radial)
    potential = random_potential(design)
    for structure, displacement in crossings(3.5).values():
        (jump,) = cutoff_jumps(potential, structure, displacement)
        assert jump.smoothness(JUMP) == describe(design).smoothness
        assert jump.smoothness(JUMP) == smoothness


def test_the_second_shell_is_within_the_receptive_field() -> None:
    potential = random_potential(Design(layers=2, channels=4, l_max=2, cutoff=3.5))
    structure, _ = crossings(3.5)["second shell"]
    assert np.linalg.norm(structure.positions[2] - structure.positions[0]) > 3.5
    assert influence(potential, structure)[0, 2] > 1e-12
