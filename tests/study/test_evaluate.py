"""What models are judged on: kinds of test sets, paths and zeros of scans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.study import tiny
from tests.training.tiny import ENERGIES, molecules, write

from multiace.analysis import predict
from multiace.checkpoint import save_model
from multiace.design import Design, Statistics
from multiace.geometry import Labels, Structure
from multiace.potential import Potential
from multiace.study import StudyError
from multiace.study.evaluate import check_evaluations, evaluate, evaluations_of, paths_of, read

LENGTHS = (0.8, 1.0, 1.3, 1.9)


@pytest.fixture(scope="module")
def potential() -> Potential:
    design = Design(layers=1, channels=4, l_max=1, features_l_max=0, cutoff=3.0)
    statistics = Statistics(mean_neighbours=2.0, atomic_energies=ENERGIES)
    return Potential(design, (1, 8), statistics, dtype=torch.float64, seed=0)


@pytest.fixture(scope="module")
def model(potential, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, potential)
    return path


def dimers() -> list[Structure]:
    """Return two dissociation curves with energies, the far ends first."""
    return [
        Structure(
            numbers=np.array(numbers),
            positions=np.diag([0.0, length, 0.0])[:2],
            labels=Labels(energy=-30.0 - 1.0 / length),
            config_type=kind,
        )
        for kind, numbers in (("HH", [1, 1]), ("OH", [8, 1]))
        for length in LENGTHS[::-1]
    ]


def scan_of(tmp_path: Path, structures: list[Structure], **options: object):
    path = write(tmp_path / "scan.xyz", structures)
    study = tiny.study(tmp_path, evaluations={"scans": {"path": {"file": str(path), **options}}})
    return evaluations_of(study)["path"]


def test_a_test_set_of_one_kind_leaves_the_others_out(tmp_path, model):
    some, others = molecules(3, seed=5), molecules(2, seed=6)
    mixed = [replace(s, config_type="here") for s in some] + others
    content = {"files": str(write(tmp_path / "mixed.xyz", mixed)), "config_type": "here"}
    study = tiny.study(tmp_path, evaluations={"out_of_domain": {"away": content}})
    evaluation = evaluations_of(study)["away"]
    assert [s.config_type for s in read(evaluation)] == ["here"] * 3
    found = evaluate(model, evaluation)
    whole = evaluate(model, {**evaluation, "config_type": None})
    assert (found["n_structures"], whole["n_structures"]) == (3, 5)
    assert found["errors"]["forces"]["rmse"] != whole["errors"]["forces"]["rmse"]


def test_a_kind_that_is_not_in_the_files_is_refused_with_its_line(tmp_path):
    tiny.study_fields(tmp_path)
    content = {"files": str(tmp_path / "far.xyz"), "config_type": "nowhere"}
    study = tiny.study(tmp_path, evaluations={"out_of_domain": {"away": content}})
    with pytest.raises(
        StudyError, match=r"no structure .*'away' has the config_type 'nowhere'.*study.yaml:\d+"
    ):
        check_evaluations(evaluations_of(study), study.places)


def test_each_kind_in_a_scan_is_a_path_sorted_along_its_coordinate():
    first, second = paths_of(dimers(), ())
    assert (first.name, second.name) == ("HH", "OH")
    assert first.label == "distance 0–1 (Å)"
    np.testing.assert_allclose(second.coordinate, LENGTHS)
    assert first.members.tolist() == [3, 2, 1, 0]
    assert second.members.tolist() == [7, 6, 5, 4]


def test_from_the_far_end_a_constant_of_each_path_is_no_error(tmp_path, model, potential):
    structures = dimers()
    energies = [float(labels.energy or 0.0) for labels in predict(potential, structures)]
    labelled = [
        replace(s, labels=Labels(energy=e + (5.0 if s.config_type == "HH" else -3.0)))
        for s, e in zip(structures, energies, strict=True)
    ]
    absolute = evaluate(model, scan_of(tmp_path, labelled))
    assert absolute["errors"]["energy"]["rmse"] == pytest.approx(1e3 * np.sqrt(17.0))
    relative = evaluate(model, scan_of(tmp_path, labelled, zero="far_end"))
    assert relative["errors"]["energy"]["largest"] == pytest.approx(0.0, abs=1e-6)
    assert relative["energies"] == absolute["energies"]


def test_another_zero_is_another_result_and_another_coordinate_is_not(tmp_path):
    ids = [
        scan_of(tmp_path, dimers(), **options)["id"]
        for options in ({}, {"zero": "far_end"}, {"coordinate": [0, 1]})
    ]
    assert ids[0] == ids[2] != ids[1]


def test_a_far_end_without_energy_is_refused(tmp_path):
    structures = dimers()
    structures[0] = replace(structures[0], labels=Labels())
    study = tiny.study(tmp_path)
    evaluations = {"path": scan_of(tmp_path, structures, zero="far_end")}
    with pytest.raises(StudyError, match="zero is far_end, but the last structure"):
        check_evaluations(evaluations, study.places)
