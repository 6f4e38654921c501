"""ASE calculator: properties, caching, faults."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculatorError, PropertyNotImplementedError
from ase.constraints import FixAtoms
from ase.md.verlet import VelocityVerlet

import multiace
from multiace.checkpoint import save_model
from multiace.elements import ElementError
from multiace.geometry import Structure, build_graph
from multiace.kernels.cpu.executor import Executor
from multiace.potential import Potential
from multiace.program import Plan


@pytest.fixture
def ethanol(random_potential) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.calc = multiace.ASECalculator(random_potential)
    return atoms


@pytest.fixture
def crystal(random_potential) -> Atoms:
    atoms = bulk("C", "diamond", a=3.6, cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = multiace.ASECalculator(random_potential)
    return atoms


@pytest.mark.parametrize(("exact", "tolerance"), [(True, 1e-12), (False, 1e-6)])
def test_results_are_those_of_the_potential(ethanol, random_potential, exact, tolerance):
    ethanol.calc = multiace.ASECalculator(random_potential, exact=exact)
    graph = build_graph(
        Structure.from_ase(ethanol), random_potential.cutoff, random_potential.elements
    )
    with torch.no_grad():
        prediction = random_potential(graph)
    energy = prediction.energy.item()
    for consistent in (False, True):
        found = ethanol.get_potential_energy(force_consistent=consistent)
        assert found == pytest.approx(energy, rel=0, abs=max(10 * tolerance, 1e-11))
    np.testing.assert_allclose(ethanol.get_forces(), prediction.forces.numpy(), atol=tolerance)
    np.testing.assert_allclose(
        ethanol.get_potential_energies(), prediction.energies.numpy(), atol=max(tolerance, 1e-11)
    )


@pytest.mark.parametrize("atom", [0, 4])
def test_forces_are_minus_the_gradient_of_the_energy(ethanol, atom):
    forces = ethanol.get_forces()[atom]
    step = 1e-4
    for axis in range(3):
        energies = []
        for sign in (1, -1):
            moved = ethanol.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = ethanol.calc
            energies.append(moved.get_potential_energy())
        assert forces[axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-6)


def test_stress_is_the_derivative_by_strain_in_voigt_order(crystal):
    stress = crystal.get_stress()
    step = 1e-5
    for voigt, (row, column) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        energies = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[row, column] += sign * step / 2
            strain[column, row] += sign * step / 2
            strained = crystal.copy()
            strained.set_cell(crystal.cell @ (np.eye(3) + strain), scale_atoms=True)
            strained.calc = crystal.calc
            energies.append(strained.get_potential_energy())
        derivative = (energies[0] - energies[1]) / (2 * step) / crystal.get_volume()
        assert stress[voigt] == pytest.approx(derivative, abs=1e-7)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
def test_stress_is_refused_without_a_volume(crystal, pbc):
    crystal.pbc = pbc
    energy = crystal.get_potential_energy()
    with pytest.raises(PropertyNotImplementedError, match="needs a volume"):
        crystal.get_stress()
    assert crystal.get_potential_energy() == energy


def test_nothing_is_computed_again_until_something_moves(ethanol, monkeypatch):
    calls = []
    evaluate = Plan.evaluate

    def counted(self, *arguments, **options):
        calls.append(1)
        return evaluate(self, *arguments, **options)

    monkeypatch.setattr(Plan, "evaluate", counted)
    first = ethanol.get_potential_energy()
    ethanol.get_forces()
    ethanol.set_initial_charges(np.ones(len(ethanol)))
    ethanol.get_potential_energies()
    ethanol.info["note"] = "changed"
    ethanol.get_potential_energy()
    assert len(calls) == 1
    ethanol.positions[0] += 0.01
    assert ethanol.get_potential_energy() != first
    assert len(calls) == 2
    ethanol.cell = np.eye(3) * 8
    ethanol.pbc = True
    ethanol.get_stress()
    assert len(calls) == 3
    ethanol.pbc = (True, True, False)
    ethanol.get_forces()
    assert len(calls) == 4


def test_changes_are_named(crystal):
    calculator = crystal.calc
    assert "positions" in calculator.check_state(crystal)
    crystal.get_forces()
    assert calculator.check_state(crystal) == []
    for name, change in {
        "positions": lambda atoms: atoms.positions.__iadd__(0.1),
        "numbers": lambda atoms: atoms.set_atomic_numbers([8] * len(atoms)),
        "cell": lambda atoms: atoms.set_cell(1.1 * atoms.cell),
        "pbc": lambda atoms: atoms.set_pbc((True, True, False)),
    }.items():
        changed = crystal.copy()
        change(changed)
        assert calculator.check_state(changed) == [name]
    assert set(calculator.check_state(crystal[1:])) == {"positions", "numbers"}
    changed = crystal.copy()
    changed.positions += 1e-14
    assert calculator.check_state(changed, tol=1e-13) == []
    assert calculator.check_state(changed) == ["positions"]


def test_the_calculator_keeps_a_copy_of_all_that_atoms_have(crystal):
    crystal.set_constraint(FixAtoms([0]))
    for n in range(3):
        crystal.positions[1] += 0.01
        crystal.info["step"] = n
        crystal.set_velocities(np.full((len(crystal), 3), float(n)))
        crystal.get_forces()
        kept = crystal.calc.atoms
        assert kept == crystal
        assert (kept.info, kept.calc) == ({"step": n}, None)
        np.testing.assert_array_equal(kept.get_momenta(), crystal.get_momenta())
        assert kept.constraints[0].index.tolist() == [0]
        expected = crystal.positions.copy()
        crystal.positions += 0.5
        crystal.info["step"] = None
        np.testing.assert_array_equal(kept.positions, expected)
        assert kept.info == {"step": n}
    crystal.set_cell(1.1 * crystal.cell)
    crystal.get_forces()
    assert crystal.calc.atoms == crystal
    assert kept != crystal


@pytest.mark.parametrize("name", ["dipole", "charges", "magmom"])
def test_what_a_potential_does_not_predict_is_refused(ethanol, name):
    with pytest.raises(PropertyNotImplementedError):
        ethanol.calc.get_property(name, ethanol)


def test_an_element_the_potential_does_not_know_is_named(random_potential):
    atoms = Atoms("CS", positions=[[0, 0, 0], [0, 0, 1.5]])
    atoms.calc = multiace.ASECalculator(random_potential)
    with pytest.raises(ElementError, match="S, which the model does not know"):
        atoms.get_potential_energy()


def test_a_result_that_is_not_finite_stops_molecular_dynamics(ethanol, monkeypatch):
    dynamics = VelocityVerlet(ethanol, timestep=0.5 * units.fs)
    dynamics.run(2)
    evaluate = Plan.evaluate

    def lost(self, *arguments, **options):
        found = evaluate(self, *arguments, **options)
        return replace(found, forces=torch.nan * found.forces)

    monkeypatch.setattr(Plan, "evaluate", lost)
    with pytest.raises(CalculatorError, match="not finite"):
        dynamics.run(1)


def test_weights_that_are_not_finite_stop_molecular_dynamics(ethanol, random_potential):
    ethanol.get_forces()
    with torch.no_grad():
        next(random_potential.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="weights that are not finite"):
        ethanol.get_forces()


def _in_place(potential, _):
    with torch.no_grad():
        for weights in potential.parameters():
            weights *= 1.1


def _loaded(potential, _):
    state = {name: 1.1 * weights for name, weights in potential.state_dict().items()}
    potential.load_state_dict(state, assign=True)


def _constants(potential, _):
    potential.model.baseline.atomic_energies += 1.0


def _assigned(potential, _):
    for weights in potential.parameters():
        weights.data = 1.1 * weights.data


def _by_data(potential, calculator):
    for weights in potential.parameters():
        weights.data.mul_(1.1)
    calculator.reset()


@pytest.mark.parametrize("change", [_in_place, _loaded, _constants, _assigned, _by_data])
@pytest.mark.parametrize("move", [0.0, 0.01])
def test_weights_that_have_changed_are_seen(ethanol, random_potential, change, move):
    before = ethanol.get_potential_energy()
    change(random_potential, ethanol.calc)
    ethanol.positions[0] += move
    graph = build_graph(
        Structure.from_ase(ethanol), random_potential.cutoff, random_potential.elements
    )
    after = ethanol.get_potential_energy()
    assert after == pytest.approx(random_potential(graph).energy.item(), abs=1e-5)
    assert abs(after - before) > 1e-2


def test_steps_in_which_no_pair_comes_or_goes_bind_nothing(ethanol, random_potential, monkeypatch):
    ethanol.get_forces()
    with monkeypatch.context() as patched:
        patched.setattr(Executor, "bind", None)  # an error if it were called
        ethanol.positions[0] += 1e-7
        ethanol.get_forces()
    ethanol.positions[0] += 1.0
    expected = Atoms(ethanol, calculator=multiace.ASECalculator(random_potential)).get_forces()
    np.testing.assert_allclose(ethanol.get_forces(), expected, atol=1e-10)


def test_copies_and_pickles_of_atoms_compute_the_same(ethanol, random_potential):
    forces = ethanol.get_forces()
    for copied in (copy.deepcopy(ethanol), pickle.loads(pickle.dumps(ethanol))):
        copied.positions += 1.0  # what it knows already does not do
        np.testing.assert_allclose(copied.get_forces(), forces, atol=1e-12)
        _in_place(random_potential, None)
        copied.positions -= 1.0
        np.testing.assert_allclose(copied.get_forces(), forces, atol=1e-12)


def test_inference_mode_changes_nothing(ethanol, random_potential):
    forces = ethanol.get_forces()
    ethanol.calc = multiace.ASECalculator(random_potential)
    with torch.inference_mode():
        np.testing.assert_array_equal(ethanol.get_forces(), forces)
    ethanol.rattle(0.01)
    inside = ethanol.get_forces()
    ethanol.calc = multiace.ASECalculator(random_potential)
    np.testing.assert_array_equal(ethanol.get_forces(), inside)


def test_atoms_that_are_there_twice_are_named(ethanol):
    ethanol.positions[4] = ethanol.positions[2] + [0.0, 0.0, 0.001]
    for _ in range(2):
        with pytest.raises(ValueError, match=r"Atoms 2 and 4 are 0\.001 Å apart"):
            ethanol.get_forces()


def test_one_calculator_takes_structures_with_other_elements_and_cells(random_potential):
    calculator = multiace.ASECalculator(random_potential)
    for atoms in (molecule("H2"), molecule("CH4"), bulk("C", "diamond", a=3.6), molecule("CO2")):
        atoms.calc = calculator
        fresh = atoms.copy()
        fresh.calc = multiace.ASECalculator(random_potential, exact=True, skin=0.0)
        np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), atol=1e-6)


def test_a_calculator_with_reference_kernels_gives_the_same(ethanol, random_potential):
    reference = Potential(
        random_potential.design,
        random_potential.elements,
        random_potential.statistics,
        dtype=torch.float64,
        kernels="reference",
    )
    reference.load_state_dict(random_potential.state_dict())
    other = ethanol.copy()
    other.calc = multiace.ASECalculator(reference)
    np.testing.assert_allclose(other.get_forces(), ethanol.get_forces(), atol=1e-6)


def test_a_model_file_gives_the_results_of_the_potential_it_holds(
    ethanol, random_potential, tmp_path
):
    path = tmp_path / "model.safetensors"
    save_model(path, random_potential, {})
    other = ethanol.copy()
    other.calc = multiace.ASECalculator(path)
    np.testing.assert_array_equal(other.get_forces(), ethanol.get_forces())
    other.calc = multiace.ASECalculator(path, dtype=torch.float32)
    np.testing.assert_allclose(other.get_forces(), ethanol.get_forces(), atol=1e-4)


def test_dtype_and_device_belong_to_model_files(random_potential):
    with pytest.raises(ValueError, match="dtype and device belong to a model file"):
        multiace.ASECalculator(random_potential, dtype=torch.float64)


def test_an_isolated_atom_has_no_forces(random_potential):
    atom = Atoms("O", positions=[[1e4, 0, 0]])
    atom.calc = multiace.ASECalculator(random_potential)
    assert np.isfinite(atom.get_potential_energy())
    np.testing.assert_array_equal(atom.get_forces(), np.zeros((1, 3)))
