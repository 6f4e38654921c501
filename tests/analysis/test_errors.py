"""Errors against labels: numbers, masks, groups."""

import json

import numpy as np
import pytest

from multiace.analysis import compare, errors, predict
from multiace.geometry import Labels, Structure
from multiace.units import GPA


def labelled(numbers, energy=None, forces=None, stress=None, periodic=False, **fields) -> Structure:
    positions = np.arange(3 * len(numbers), dtype=float).reshape(-1, 3) * 0.6
    return Structure(
        numbers=np.array(numbers),
        positions=positions,
        cell=np.eye(3) * 5.0 if periodic else None,
        pbc=(periodic,) * 3,
        labels=Labels(energy, forces, stress),
        **fields,
    )


def test_rmse_and_mae_are_those_of_a_loop_over_all_numbers(rng):
    structures, predictions = [], []
    for n_atoms in (1, 2, 5):
        reference = Labels(rng.normal(), rng.normal(size=(n_atoms, 3)), rng.normal(size=(3, 3)))
        structure = labelled([6] * n_atoms, periodic=True)
        structures.append(
            labelled(
                [6] * n_atoms, reference.energy, reference.forces, reference.stress, periodic=True
            )
        )
        assert structure.volume is not None
        predictions.append(
            Labels(rng.normal(), rng.normal(size=(n_atoms, 3)), rng.normal(size=(3, 3)))
        )
    expected = {"energy": [], "energy_per_atom": [], "forces": [], "stress": []}
    for structure, prediction in zip(structures, predictions, strict=True):
        difference = prediction.energy - structure.labels.energy
        expected["energy"].append(difference)
        expected["energy_per_atom"].append(difference / structure.n_atoms)
        for atom in range(structure.n_atoms):
            for axis in range(3):
                expected["forces"].append(
                    prediction.forces[atom, axis] - structure.labels.forces[atom, axis]
                )
        for row in range(3):
            for column in range(3):
                expected["stress"].append(
                    prediction.stress[row, column] - structure.labels.stress[row, column]
                )
    total = compare(structures, predictions).total
    for quantity, numbers in expected.items():
        deviation = getattr(total, quantity)
        assert deviation.count == len(numbers)
        assert deviation.rmse == pytest.approx((sum(x * x for x in numbers) / len(numbers)) ** 0.5)
        assert deviation.mae == pytest.approx(sum(abs(x) for x in numbers) / len(numbers))
        assert deviation.largest == pytest.approx(max(abs(x) for x in numbers))


def test_each_number_is_compared_where_it_has_a_label():
    structures = [
        labelled([1], energy=1.0),
        labelled([1, 1], forces=np.zeros((2, 3))),
        labelled([1], energy=3.0, stress=np.zeros((3, 3)), periodic=True),
        labelled([1]),
    ]
    predictions = [
        Labels(2.0, np.ones((1, 3))),
        Labels(9.0, np.full((2, 3), 2.0)),
        Labels(3.0, np.ones((1, 3)), np.full((3, 3), 0.5)),
        Labels(7.0, np.ones((1, 3))),
    ]
    total = compare(structures, predictions).total
    assert (total.n_structures, total.n_atoms) == (4, 5)
    assert (total.energy.count, total.energy.mae) == (2, 0.5)
    assert (total.forces.count, total.forces.rmse) == (6, 2.0)
    assert (total.stress.count, total.stress.mae) == (9, 0.5)


def test_rows_are_grouped_by_file_kind_and_element():
    structures = [
        labelled([8, 1], 0.0, np.zeros((2, 3)), source="a.xyz:0", config_type="md"),
        labelled([1], 0.0, np.zeros((1, 3)), source="b.xyz:0", config_type="md"),
        labelled([8], 0.0, np.zeros((1, 3)), source="b.xyz:1", config_type="scan"),
    ]
    predictions = [
        Labels(1.0, np.array([[3.0] * 3, [1.0] * 3])),
        Labels(2.0, np.ones((1, 3))),
        Labels(3.0, np.full((1, 3), 3.0)),
    ]
    table = compare(structures, predictions)
    assert {name: row.energy.mae for name, row in table.by("file").items()} == {
        "a.xyz": 1.0,
        "b.xyz": 2.5,
    }
    assert {name: row.n_structures for name, row in table.by("config_type").items()} == {
        "md": 2,
        "scan": 1,
    }
    assert {name: row.forces.rmse for name, row in table.by("element").items()} == {
        "H": 1.0,
        "O": 3.0,
    }
    assert table.by("element")["O"].n_atoms == 2


def test_json_is_in_the_units_it_names():
    structure = labelled([1, 1], 0.0, np.zeros((2, 3)), np.zeros((3, 3)), periodic=True)
    prediction = Labels(0.002, np.full((2, 3), 0.003), np.full((3, 3), GPA))
    total = json.loads(json.dumps(compare([structure], [prediction]).to_json()))["total"]
    for quantity, unit, value in (
        ("energy", "meV", 2.0),
        ("energy_per_atom", "meV/atom", 1.0),
        ("forces", "meV/Å", 3.0),
        ("stress", "meV/Å^3", 1000 * GPA),
        ("stress_GPa", "GPa", 1.0),
    ):
        assert total[quantity]["unit"] == unit
        assert total[quantity]["rmse"] == pytest.approx(value)


@pytest.mark.parametrize("batch_edges", [1, 7, 100_000])
def test_predictions_do_not_depend_on_the_batch(random_potential, batch_edges, rng):
    structures = [
        Structure(numbers=rng.choice([1, 6, 8], n), positions=rng.normal(size=(n, 3)) * 1.5)
        for n in (3, 1, 4, 2)
    ]
    together = predict(random_potential, structures, batch_edges=batch_edges)
    for structure, labels in zip(structures, together, strict=True):
        alone = predict(random_potential, [structure])[0]
        assert labels.energy == pytest.approx(alone.energy, rel=1e-12)
        np.testing.assert_allclose(labels.forces, alone.forces, atol=1e-10)


def test_errors_of_a_potential_against_its_own_predictions_vanish(random_potential):
    bare = labelled([1, 6, 8], periodic=True)
    own = predict(random_potential, [bare], stress=True)[0]
    structure = labelled([1, 6, 8], own.energy, own.forces, own.stress, periodic=True)
    total = errors(random_potential, [structure]).total
    assert total.energy.largest == total.forces.largest == total.stress.largest == 0.0


def test_structures_without_any_label_are_refused(random_potential):
    with pytest.raises(ValueError, match="None of the 2 structures has an energy"):
        errors(random_potential, [labelled([1]), labelled([6])])


def test_a_prediction_that_is_not_finite_names_the_structure(random_potential):
    import torch

    with torch.no_grad():
        next(random_potential.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="of here.xyz:4 is not finite"):
        predict(random_potential, [labelled([1, 6], source="here.xyz:4")])
