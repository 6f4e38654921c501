"""Trajectories sample their temperature, go on to the same frames, and count what fails."""

import json
from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from tests.data.make.calculators import WATER, springs

from multiace.data.make.dynamics import ATTEMPTS, Trajectory, trajectories
from multiace.data.make.labelling import Failure
from multiace.data.make.recipe import MolecularDynamics
from multiace.data.make.source import System


def settings(**changes):
    content = {"kind": "md", "temperatures": [300.0], "frames": 8, "trajectories": 1}
    return MolecularDynamics(**{**content, "interval": 5.0, "equilibration": 10.0, **changes})


HELD = springs(*WATER)


def trajectory(new=HELD, n_points=8, **changes):
    system = System(molecule("H2O"), 0, 1, new)
    return Trajectory("t", system, 300.0, n_points, 1, settings(**changes))


def no_work(energies):
    pass


def test_an_interrupted_trajectory_goes_on_to_the_same_frames():
    whole = list(trajectory().points({}, no_work))
    for stop in (1, 5):
        state = json.loads(json.dumps(whole[stop - 1][1]))  # as it lies on disk
        rest = list(trajectory().points(state, no_work))
        assert len(rest) == 8 - stop
        for (now, _), (then, _) in zip(rest, whole[stop:], strict=True):
            np.testing.assert_array_equal(now.atoms.positions, then.atoms.positions)
            assert now.info == then.info


def test_times_and_seeds_are_in_the_frames():
    frames = [point for point, _ in trajectory().points({}, no_work)]
    assert [point.info["time_fs"] for point in frames] == [15.0 + 5.0 * i for i in range(8)]
    assert {point.info["seed"] for point in frames} == {1}


def test_work_is_as_announced():
    moving, done = trajectory(), []
    list(moving.points({}, done.append))
    assert sum(done) == moving.n_energies == (10 + 8 * 5) / 0.5


def test_momenta_have_the_temperature_and_lose_memory_at_the_rate_of_the_friction():
    atoms = Atoms("He400", np.zeros((400, 3)))
    system = System(atoms, 0, 1, springs())  # an ideal gas
    gas = Trajectory("t", system, 500.0, 6, 1, settings(friction=50.0, interval=10.0))
    momenta = [np.array(state["momenta"]) for _, state in gas.points({}, no_work)]
    masses = atoms.get_masses()[:, None]
    for value in momenta:
        temperature = (value**2 / masses).mean() / units.kB
        assert temperature == pytest.approx(500.0, rel=5 * np.sqrt(2 / 1200))
    kept = np.mean([(a * b).mean() for a, b in pairwise(momenta)])
    expected = np.exp(-50.0 * 0.010)  # 50/ps for 10 fs
    assert kept / (500.0 * units.kB * masses.mean()) == pytest.approx(expected, abs=0.06)


def test_a_failed_stretch_is_counted_and_tried_again_with_other_velocities():
    calls = [0]

    def new(charge, multiplicity):
        calls[0] += 1
        return springs(*WATER, fails_at=(3,) if calls[0] == 3 else ())(charge, multiplicity)

    outcomes = [outcome for outcome, _ in trajectory(new).points({}, no_work)]
    failed = [isinstance(outcome, Failure) for outcome in outcomes]
    assert failed == [False, False, True] + 5 * [False]
    assert outcomes[2].reason == "SCF not converged in 250 cycles"
    assert outcomes[3].info["time_fs"] == outcomes[1].info["time_fs"] + 5.0


def test_a_trajectory_that_keeps_failing_ends_and_all_its_points_are_counted():
    new = springs(*WATER, fails=lambda atoms: True)
    outcomes = [outcome for outcome, _ in trajectory(new).points({}, no_work)]
    assert len(outcomes) == 8
    assert all(isinstance(outcome, Failure) for outcome in outcomes)
    assert outcomes[-1].reason == f"the trajectory ended after {ATTEMPTS} failures in a row"


def test_an_explosion_is_a_failure():
    new = springs((0, 1, 1e5, 0.97))
    outcomes = [outcome for outcome, _ in trajectory(new, timestep=5.0).points({}, no_work)]
    assert "exploded" in outcomes[0].reason


def test_every_trajectory_has_a_seed_of_its_own():
    system = System(molecule("H2O"), 0, 1, springs(*WATER))
    wanted = settings(temperatures=[300.0, 600.0], frames=7, trajectories=3)
    found = [t for name in ("train", "test") for t in trajectories(name, system, wanted, 0)]
    assert len({t.seed for t in found}) == 12
    assert [t.n_points for t in found[:3]] == [3, 2, 2]
    again = [t.seed for t in trajectories("train", system, wanted, 0)]
    assert again == [t.seed for t in found[:6]]
    assert not set(again) & {t.seed for t in trajectories("train", system, wanted, 1)}
