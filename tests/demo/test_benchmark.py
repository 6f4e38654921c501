"""Coordinates of the scans, against those that the data were made with."""

import numpy as np
import pytest
from ase.io import read

from multiace.data import bundled
from multiace.demo.benchmark import FOLDER, TESTS, TRAINING, dissociation_limit, load, scans


@pytest.mark.parametrize(
    ("scan", "key", "tolerance"),
    [("dihedral", "dihedral_deg", 0.1), ("proton_transfer", "transfer_A", 2e-3),
     ("stretch", "distance_A", 1e-6)],
)  # fmt: skip
def test_the_coordinate_of_a_scan_is_the_one_it_was_made_with(scan, key, tolerance):
    (found,) = (s for s in scans() if s.name == scan)
    expected = [atoms.info[key] for atoms in read(bundled(f"{FOLDER}/{scan}"), ":")]
    np.testing.assert_allclose(found.values, expected, atol=tolerance)


def test_scans_go_where_training_data_are_rare_or_absent():
    """At least a quarter of each scan has less than 2 % of the training data around it."""
    training = load(TRAINING)
    for scan in scans():
        values, scanned = scan.covered(training), scan.values
        width = np.ptp(scanned) / 20
        around = (np.abs(values[:, None] - scanned[None, :]) < width / 2).mean(axis=0)
        assert (around < 0.02).mean() > 0.25


def test_the_test_sets_have_the_temperature_of_their_name():
    """Equipartition: forces grow with the temperature."""
    rms = [
        np.sqrt(np.mean([np.mean(s.labels.forces**2) for s in load(name)]))
        for name in TESTS.values()
    ]
    assert rms == sorted(rms)


def test_the_stretch_comes_close_to_the_limit_of_separate_fragments():
    energies = [structure.labels.energy for structure in load("stretch")]
    assert dissociation_limit() - energies[-1] == pytest.approx(0.1, abs=0.05)
