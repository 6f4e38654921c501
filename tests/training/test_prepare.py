"""From files to examples: isolated atoms, labels, statistics, the identity of data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training import tiny

from multiace.data import DataError, DataErrors, Selection
from multiace.elements import ElementError
from multiace.geometry import Labels, Structure, build_graph
from multiace.kernels.operations.repulsion import Repulsion
from multiace.repulsion import zbl_table
from multiace.training import train
from multiace.training.examples import collate, make_example
from multiace.training.prepare import make_data, read_sets, statistics_of, summary


def _atom(number: int, energy: float) -> Structure:
    return Structure(
        numbers=np.array([number]), positions=np.zeros((1, 3)), labels=Labels(energy=energy)
    )


ATOMS = [_atom(1, -13.5), _atom(8, -2040.0)]


def _without_energies(directory, **changes):
    fields = tiny.config_fields(directory, **changes)
    fields["data"]["energies"] = {}
    return tiny.make_config(fields)


def test_isolated_atoms_in_the_training_file_give_e0_and_are_not_trained_on(tmp_path):
    tiny.write(tmp_path / "train.xyz", [*tiny.molecules(12), *ATOMS])
    config = _without_energies(tmp_path)
    sets = read_sets(config)
    assert (len(sets.training), len(sets.validation), len(sets.isolated_atoms)) == (9, 3, 2)
    assert statistics_of(sets, config).atomic_energies == tiny.ENERGIES


def test_isolated_atoms_may_have_a_file_of_their_own(tmp_path):
    atoms = tiny.write(tmp_path / "atoms.xyz", [*ATOMS, _atom(6, -1000.0)])
    config = _without_energies(tmp_path, data={"isolated_atoms": str(atoms)})
    assert statistics_of(read_sets(config), config).atomic_energies == tiny.ENERGIES


def test_energies_in_the_config_go_before_isolated_atoms(tmp_path):
    tiny.write(tmp_path / "train.xyz", [*tiny.molecules(12), *ATOMS])
    energies = {"H": -13.0, "O": -2041.0}
    config = tiny.config(tmp_path, data={"energies": energies})
    assert statistics_of(read_sets(config), config).atomic_energies == energies


def test_isolated_atoms_give_the_energies_that_the_config_does_not(tmp_path):
    tiny.write(tmp_path / "train.xyz", [*tiny.molecules(12), *ATOMS])
    fields = tiny.config_fields(tmp_path)
    fields["data"]["energies"] = {"H": -1.0}
    config = tiny.make_config(fields)
    sets = read_sets(config)
    assert statistics_of(sets, config).atomic_energies == {"H": -1.0, "O": -2040.0}
    with pytest.raises(DataError, match="missing O"):
        statistics_of(replace(sets, isolated_atoms=Selection.of(ATOMS[:1])), config)


def test_other_frames_in_files_of_isolated_atoms_are_refused(tmp_path):
    atoms = tiny.write(tmp_path / "atoms.xyz", [*ATOMS, *tiny.molecules(1)])
    with pytest.raises(DataError, match=r"atoms\.xyz:2: .* no isolated atom: 3 atoms"):
        read_sets(tiny.config(tmp_path, data={"isolated_atoms": str(atoms)}))


def test_structures_in_training_and_tests_are_counted_before_the_run(tmp_path):
    frames = tiny.molecules(12)
    tiny.write(tmp_path / "train.xyz", [*frames, *ATOMS])
    test = tiny.write(tmp_path / "test.xyz", [*tiny.molecules(2, seed=7), frames[3]])
    sets = read_sets(tiny.config(tmp_path, data={"tests": {"hot": str(test)}}))
    (warning,) = sets.warnings
    assert "the first of 1 in test hot that repeat frames of the" in warning
    assert "test.xyz, frame 2" in warning
    assert f"Warning: {warning}" in summary(sets)


def test_the_problems_of_every_file_are_told_at_once(tmp_path):
    for name in ("train.xyz", "test.xyz"):
        path = tiny.write(tmp_path / name, tiny.molecules(12))
        path.write_text(path.read_text()[:-1])
    config = tiny.config(tmp_path, data={"tests": {"hot": str(tmp_path / "test.xyz")}})
    with pytest.raises(DataErrors, match="2 problems"):
        read_sets(config)


def test_without_any_source_of_e0_the_run_does_not_begin(tmp_path):
    with pytest.raises(DataError, match="isolated atoms"):
        train(_without_energies(tmp_path), progress="none")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("stage", ["loss", "second"])
def test_a_weighted_term_without_labels_is_an_error(tmp_path, stage):
    loss = {"stress": 1.0} if stage == "loss" else {}
    if stage == "second":
        loss = {"second": {"epoch": 1, "energy": 1.0, "forces": 1.0, "stress": 1.0}}
    with pytest.raises(DataError, match="weight for stress"):
        train(tiny.config(tmp_path, loss=loss), progress="none")


def test_a_term_without_weight_needs_no_labels(tmp_path):
    tiny.write(tmp_path / "train.xyz", tiny.molecules(12, forces=False))
    config = tiny.config(tmp_path, loss={"forces": 0.0}, epochs=1)
    result = train(config, progress="none")
    assert "forces" not in result.history[0].rmse


def test_structures_that_lack_a_label_train_on_the_others(tmp_path):
    structures = [*tiny.molecules(8), *tiny.molecules(4, 1, forces=False)]
    tiny.write(tmp_path / "train.xyz", structures)
    result = train(tiny.config(tmp_path, epochs=1), progress="none")
    assert np.isfinite(result.history[0].train_loss)


def test_validation_files_are_taken_whole_and_in_order(tmp_path):
    valid = tiny.write(tmp_path / "valid.xyz", tiny.molecules(4, seed=9))
    sets = read_sets(tiny.config(tmp_path, data={"valid": str(valid)}))
    assert len(sets.training) == 12
    assert [structure.source for structure in sets.validation] == [f"{valid}:{i}" for i in range(4)]


def test_an_element_only_in_validation_is_an_error(tmp_path):
    carbon = replace(tiny.molecules(1)[0], numbers=np.array([6, 1, 1]))
    valid = tiny.write(tmp_path / "valid.xyz", [carbon])
    with pytest.raises(ElementError, match="C"):
        train(tiny.config(tmp_path, data={"valid": str(valid)}), progress="none")


def test_an_element_only_in_a_test_set_is_an_error_before_training(tmp_path):
    carbon = replace(tiny.molecules(1)[0], numbers=np.array([6, 1, 1]))
    test = tiny.write(tmp_path / "test.xyz", [carbon])
    with pytest.raises(ElementError, match="C"):
        train(tiny.config(tmp_path, data={"tests": {"c": str(test)}}), progress="none")
    assert not list((tmp_path / "run").glob("metrics.jsonl"))


def test_a_test_set_without_labels_is_an_error_before_training(tmp_path):
    test = tiny.write(tmp_path / "test.xyz", tiny.molecules(2, energy=False, forces=False))
    with pytest.raises(DataError, match="test set 'bare' has an energy, forces or a stress"):
        read_sets(tiny.config(tmp_path, data={"tests": {"bare": str(test)}}))


def test_a_config_type_that_does_not_occur_is_an_error(tmp_path):
    config = tiny.config(tmp_path, loss={"config_weights": {"liquid": 2.0}})
    with pytest.raises(DataError, match="'liquid'"):
        train(config, progress="none")


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 2.0},
        {"config_type": "other"},
        {"positions": np.zeros((3, 3)) + np.eye(3)},
        {"labels": Labels(energy=1.0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_identity_of_data_depends_on_everything_trained_on(tmp_path, change):
    sets = read_sets(tiny.config(tmp_path))
    first = Selection.of([replace(sets.training[0], **change)])
    changed = replace(sets, training=Selection.of(first, sets.training[1:]))
    assert changed.content_hash != sets.content_hash
    assert replace(sets, training=sets.training[::-1]).content_hash != sets.content_hash
    assert replace(sets, tests={"a": sets.training}).content_hash == sets.content_hash


def test_statistics_leave_out_the_repulsion_that_the_model_adds_itself(tmp_path):
    config = tiny.config(tmp_path, design={"energy": {"scale": "rms_forces", "zbl": "outside"}})
    sets = read_sets(config)
    repulsion = Repulsion(zbl_table((1, 8)))
    squares = []
    for structure in sets.training:
        graph = build_graph(structure, 3.0, (1, 8))
        step = 1e-5
        for atom in range(3):
            for axis in range(3):
                values = []
                for sign in (1, -1):
                    positions = structure.positions.copy()
                    positions[atom, axis] += sign * step
                    moved = build_graph(replace(structure, positions=positions), 3.0, (1, 8))
                    distances = moved.edge_vectors.norm(dim=1)
                    atoms = repulsion(distances, moved.senders, moved.receivers, graph.species)
                    values.append(atoms.sum().item())
                force = -(values[0] - values[1]) / (2 * step)
                squares.append((structure.labels.forces[atom, axis] - force) ** 2)
    assert statistics_of(sets, config).scale == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-6)


def test_a_batch_predicts_what_its_structures_predict(tmp_path):
    structures = [*tiny.molecules(2), *tiny.crystals(1)]
    potential = tiny.potential(dtype=torch.float64)
    examples = [make_example(s, 3.0, (1, 8)) for s in structures]
    together = potential(collate(examples).graph)
    alone = [potential(example.graph) for example in examples]
    torch.testing.assert_close(together.energy, torch.cat([one.energy for one in alone]))
    torch.testing.assert_close(together.forces, torch.cat([one.forces for one in alone]))


def test_every_structure_is_validated_once(tmp_path):
    config = tiny.config(tmp_path, data={"valid": 5})
    sets = read_sets(config)
    data = make_data(sets, tiny.potential(), config)
    indices = [index for batch in data.validation_batches for index in batch]
    assert indices == list(range(5))
    sources = [data.validation.source(index) for index in indices]
    assert sources == [structure.source for structure in sets.validation]


@pytest.mark.parametrize("structures", [1, 20], ids=["alone", "with others"])
def test_isolated_atoms_that_are_trained_on_leave_everything_finite(tmp_path, structures):
    tiny.write(tmp_path / "train.xyz", [*tiny.molecules(9), *ATOMS])
    config = tiny.config(
        tmp_path,
        epochs=1,
        batch={"structures": structures},
        design={"energy": {"reference": "given"}},
    )
    result = train(config, progress="none")
    assert np.isfinite([result.history[0].train_loss, result.history[0].valid_loss]).all()
    assert all(torch.isfinite(weights).all() for weights in result.potential.parameters())
    assert not list(result.out.glob("not-finite-*.json"))
    assert result.potential.statistics.mean_neighbours == 2.0


def test_a_cutoff_that_no_neighbour_is_within_is_an_error_before_training(tmp_path):
    with pytest.raises(DataError, match="no atom has a neighbour within the cutoff"):
        train(tiny.config(tmp_path, design={"cutoff": 0.3}), progress="none")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("batch", [{"structures": 9}, {"structures": None, "atoms": 100}])
def test_a_batch_that_holds_the_whole_training_set_is_said(tmp_path, batch):
    result = train(tiny.config(tmp_path, epochs=1, batch=batch), progress="none")
    assert result.history[0].step == 1
    log = (result.out / "log.txt").read_text()
    unit = next(name for name, limit in batch.items() if limit)
    assert f"batch.{unit} is {batch[unit]}, and the whole training set has" in log
    smaller = tiny.config(tmp_path, epochs=1, out=str(tmp_path / "smaller"))
    assert "batch." not in (train(smaller, progress="none").out / "log.txt").read_text()
