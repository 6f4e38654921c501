"""Evaluations: equal to those of training, kept, and made again where they must be."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.training.tiny import crystals, molecules, write

from multiace.analysis import errors, predict
from multiace.report.runs import RunError, collect, read_run
from multiace.report.runs.predictions import FOLDER, predicted_labels, predicted_terms


def silent(what: str, part: float) -> None:
    pass


@pytest.fixture
def run(folder, tmp_path):
    """Return a copy of a run that nothing was predicted for."""
    shutil.copytree(folder / "run", tmp_path / "run", ignore=shutil.ignore_patterns(FOLDER))
    return read_run(tmp_path / "run", "one")


def test_errors_are_those_that_training_wrote(evidence, folder):
    written = json.loads((folder / "run" / "errors.json").read_text())
    for name, found in (("validation", evidence.validation), ("hot", evidence.tests["hot"])):
        expected = written[name]["total"]
        total = found["one"].errors.total.to_json()
        for quantity in ("energy", "forces"):
            assert total[quantity]["rmse"] == pytest.approx(expected[quantity]["rmse"], rel=1e-6)


def test_predictions_are_kept_and_are_those_of_the_potential(run, monkeypatch):
    structures = molecules(4, seed=3)
    parts = []
    first = predicted_labels(run, "set", structures, lambda what, part: parts.append(part))
    assert parts[-1] == 1.0
    for found, expected in zip(first, predict(run.potential, structures), strict=True):
        assert found.energy == pytest.approx(expected.energy, abs=1e-9)
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-9)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("evaluated again")

    monkeypatch.setattr("multiace.report.runs.predictions.predict", never)
    again = predicted_labels(run, "set", structures, silent)
    assert [l.energy for l in again] == [l.energy for l in first]
    with pytest.raises(AssertionError, match="evaluated again"):
        predicted_labels(run, "set", molecules(4, seed=4), silent)


def test_a_damaged_file_is_made_again(run):
    structures = molecules(3, seed=3)
    first = predicted_labels(run, "set", structures, silent)
    (file,) = (run.path / FOLDER).glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    again = predicted_labels(run, "set", structures, silent)
    assert [l.energy for l in again] == [l.energy for l in first]


def test_another_model_in_the_same_place_is_asked_anew(run, folder):
    structures = molecules(3, seed=3)
    first = predicted_labels(run, "set", structures, silent)
    shutil.copy(folder / "other" / "model.safetensors", run.model_path)
    other = predicted_labels(read_run(run.path, "one"), "set", structures, silent)
    assert other[0].energy != first[0].energy


def test_stresses_of_crystals_are_predicted_and_those_of_molecules_are_not(run):
    structures = [*crystals(2), *molecules(1)]
    labels = predicted_labels(run, "set", structures, silent)
    assert [l.stress is None for l in labels] == [False, False, True]
    expected = predict(run.potential, structures, stress=True)
    np.testing.assert_allclose(labels[1].stress, expected[1].stress, atol=1e-9)


def test_terms_add_up_to_the_energy(run):
    structures = molecules(3, seed=3)
    terms = predicted_terms(run, structures)
    assert terms.shape == (3, len(run.potential.terms))
    energies = [l.energy for l in predict(run.potential, structures)]
    np.testing.assert_allclose(terms.sum(axis=1), energies, atol=1e-8)
    assert (predicted_terms(run, structures) == terms).all()


def test_data_that_changed_since_are_noticed(run):
    assert collect([run], progress=silent).changed == ()
    data = run.config.data.model_copy(update={"valid": 2})
    other = replace(run, config=run.config.model_copy(update={"data": data}))
    assert collect([other], progress=silent).changed == ("one",)


def test_a_set_with_unknown_elements_is_left_out(run):
    nitrogen = [replace(s, numbers=np.array([7, 1, 1])) for s in molecules(2)]
    evidence = collect([run], tests={"ammonia": nitrogen}, progress=silent)
    assert dict(evidence.tests["ammonia"]) == {}
    assert set(evidence.tests["hot"]) == {"one"}


def test_data_that_are_not_there_say_how_to_find_them(run, tmp_path):
    data = run.config.data.model_copy(update={"train": ("elsewhere/train.xyz",)})
    lost = replace(run, config=run.config.model_copy(update={"data": data}))
    with pytest.raises(RunError, match="elsewhere/train.xyz, which is not here.*--data-folder"):
        collect([lost], progress=silent)
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere" / "train.xyz", molecules(12))
    assert collect([lost], data_folder=tmp_path, progress=silent).changed == ()


def test_different_test_sets_of_one_name_are_refused(run):
    with pytest.raises(RunError, match="different test sets of the name 'hot'"):
        collect([run], tests={"hot": molecules(2, seed=8)}, progress=silent)
    with pytest.raises(RunError, match="names a test set 'validation'"):
        collect([run], tests={"validation": molecules(2, seed=8)}, progress=silent)


def test_errors_over_all_sets_are_those_of_the_potential(evidence, runs):
    tested = evidence.tested("two")
    expected = errors(runs[1].potential, tested.structures).total
    assert tested.errors.total.forces.rmse == pytest.approx(expected.forces.rmse, rel=1e-8)
