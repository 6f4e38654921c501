"""Scans: coordinates against ASE, and how they are described."""

from dataclasses import replace

import numpy as np
import pytest
from tests.training.tiny import molecules, write

from multiace.data import DataError
from multiace.geometry import Labels, Structure
from multiace.geometry.coordinate import coordinate
from multiace.report.runs import Scan, parse_scan


def test_the_number_of_atoms_says_what_the_coordinate_is(tmp_path):
    path = write(tmp_path / "my_scan.xyz", molecules(3))
    (by_angle,) = parse_scan(f"{path}:1,0,2:limit=-2070.5")
    assert (by_angle.name, by_angle.title) == ("my_scan", "my scan")
    assert by_angle.label == "angle 1–0–2 (degrees)"
    assert by_angle.limit == -2070.5
    assert by_angle.values[0] == pytest.approx(coordinate(by_angle.structures[0], (1, 0, 2)))


def test_without_atoms_it_is_the_length_of_the_path(tmp_path):
    first, second, third = molecules(3)
    (scan,) = parse_scan(str(write(tmp_path / "path.xyz", [first, second, third])))
    steps = [
        np.linalg.norm(b.positions - a.positions) for a, b in ((first, second), (second, third))
    ]
    np.testing.assert_allclose(scan.values, [0.0, steps[0], sum(steps)], atol=1e-6)
    assert scan.covered(molecules(2)).size == 0


def test_several_dimers_in_a_file_are_several_scans_along_their_distance(tmp_path):
    pairs = [
        Structure(
            numbers=np.array(numbers),
            positions=np.diag([0.0, length, 0.0])[:2],
            labels=Labels(energy=-length),
            config_type=kind,
        )
        for kind, numbers in (("HH", [1, 1]), ("OH", [8, 1]))
        for length in (0.7, 0.9)
    ]
    scans = parse_scan(str(write(tmp_path / "dimers.xyz", pairs)))
    assert [scan.title for scan in scans] == ["HH", "OH"]
    assert len({scan.name for scan in scans}) == 2
    np.testing.assert_allclose(scans[1].values, [0.7, 0.9])


def test_training_data_with_other_atoms_cover_nothing():
    structures = molecules(3)
    scan = Scan("s", "s", "r", tuple(structures), lambda s: coordinate(s, (0, 1)))
    other = replace(structures[0], numbers=np.array([8, 1, 8]))
    assert len(scan.covered([*structures, other])) == 3


@pytest.mark.parametrize(
    ("description", "error", "message"),
    [
        (":0", DataError, "made of 2, 3 or 4 different atoms, got 0"),
        (":0,0", DataError, "different atoms, got 0, 0"),
        (":0,3", DataError, "no atoms 0, 3 in a structure of 3"),
        (":0,1:limit=low", ValueError, "limit must be an energy in eV, got 'low'"),
    ],
)
def test_descriptions_that_mean_nothing_are_refused(tmp_path, description, error, message):
    path = write(tmp_path / "scan.xyz", molecules(2))
    with pytest.raises(error, match=message):
        parse_scan(f"{path}{description}")


def test_a_scan_needs_energies():
    with pytest.raises(DataError, match="has no energy to compare with"):
        Scan("s", "s", "r", tuple(molecules(1, energy=False)))
