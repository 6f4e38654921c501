"""Scans: harmonic pairs with known minima and errors, the mean and spread of ensembles."""

from dataclasses import replace

import numpy as np
import pytest
from tests.probes.conftest import LENGTH, STIFFNESS, PairCalculator, harmonic

from multiace import probes
from multiace.analysis import predict
from multiace.ensemble import Ensemble
from multiace.figures import Level
from multiace.geometry import Labels, Structure
from multiace.probes import paths

DISTANCES = np.linspace(0.8, 1.4, 61)


@pytest.fixture
def pair():
    return paths.dimer(8, 1, DISTANCES)


def test_a_harmonic_dimer_has_its_minimum_height_and_depth(pair):
    found = probes.scan(harmonic(), pair)
    assert found["minimum"] == pytest.approx(LENGTH)
    assert found["depth"] == pytest.approx(0.5 * STIFFNESS * 0.3**2)
    np.testing.assert_allclose(
        found.panels["energy"].marks[-1].y, 0.5 * STIFFNESS * (DISTANCES - LENGTH) ** 2
    )


def test_errors_are_those_of_a_surface_that_is_shifted_and_stiffer(pair):
    stiff = harmonic(stiffness=1.5 * STIFFNESS)
    off = PairCalculator(lambda r: stiff.u(r) + 0.25, stiff.slope)
    found = probes.scan(off, pair, reference=harmonic())
    ripple = 0.25 * STIFFNESS * (DISTANCES - LENGTH) ** 2
    assert found["energy_rmse"] == pytest.approx(1e3 * np.sqrt(np.mean((ripple + 0.25) ** 2)))
    assert found["energy_rmse_shifted"] == pytest.approx(1e3 * ripple.std())
    assert found["energy_max"] == pytest.approx(1e3 * (ripple.max() + 0.25))
    force = 0.5 * STIFFNESS * (DISTANCES - LENGTH)  # along x, of two of six components
    assert found["forces_rmse"] == pytest.approx(1e3 * np.sqrt(np.mean(force**2) / 3.0))


def test_labels_of_the_file_are_the_reference_where_there_is_no_other(pair):
    energies = np.linspace(-1.0, 1.0, len(DISTANCES))
    labelled = [
        Structure(s.numbers, s.positions, labels=Labels(energy=e))
        for s, e in zip(pair.structures, energies, strict=True)
    ]
    path = paths.along_file(labelled[::-1], (0, 1))
    np.testing.assert_allclose(path.coordinate, DISTANCES)
    found = probes.scan(harmonic(), path)
    np.testing.assert_array_equal(found.panels["energy"].marks[-1].y, energies)
    with pytest.raises(KeyError, match="no number 'forces_rmse'"):
        found["forces_rmse"]


def test_scans_of_a_pair_in_a_file_are_laid_over_such_pairs_of_the_training_data(pair):
    path = paths.along_file(pair.structures)
    water = Structure(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
    assert path.measure is not None
    assert path.measure(water) == pytest.approx([0.96, np.hypot(0.24, 0.93)])
    longer = replace(water, positions=1.6 * water.positions)  # both beyond the scan
    assert path.measure(longer) == []


def test_curves_are_absolute_and_the_limit_is_the_sum_of_e0(potentials, pair):
    found = probes.scan(potentials[0], pair)
    panel = found.panels["energy"]
    limit, curve = panel.marks
    expected = [labels.energy for labels in predict(potentials[0], list(pair.structures))]
    np.testing.assert_array_equal(curve.y, expected)
    assert panel.zero == -2054.0
    assert limit == Level(-2054.0, "Σ E0")


def test_the_limit_of_a_reference_is_that_of_its_separated_fragments(potentials):
    water = Structure(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
    path = paths.bond(water, 0, 1, np.linspace(0.8, 2.0, 5))
    mark = probes.scan(potentials[0], path, reference=potentials[1]).panels["energy"].marks[0]
    alone = [Structure(water.numbers[k], water.positions[k]) for k in ([0, 2], [1])]
    assert mark.value == pytest.approx(sum(l.energy for l in predict(potentials[1], alone)))


def test_an_ensemble_is_its_mean_with_its_standard_deviation(potentials, pair):
    found = probes.scan(Ensemble(potentials), pair, reference=potentials[0])
    each = np.array([[l.energy for l in predict(p, list(pair.structures))] for p in potentials])
    _, band, curve, _ = found.panels["energy"].marks
    np.testing.assert_allclose(curve.y, each.mean(axis=0), rtol=1e-14)
    deviation = each.std(axis=0, ddof=1)
    np.testing.assert_allclose(band.high - band.low, 2.0 * deviation, atol=1e-11)
    np.testing.assert_allclose(band.high + band.low, 2.0 * curve.y, rtol=1e-14)
    assert found["energy_spread"] == pytest.approx(1e3 * each.std(axis=0, ddof=1).mean(), rel=1e-6)
    assert 0.0 <= found["within_two_spreads"] <= 1.0


def test_a_reference_that_fails_leaves_a_gap(pair):
    from ase.calculators.calculator import CalculationFailed

    class Fails(PairCalculator):
        def calculate(self, atoms=None, *arguments, **options):
            if len(atoms) > 1 and atoms.get_distance(0, 1) > 1.305:
                raise CalculationFailed("not converged")
            super().calculate(atoms, *arguments, **options)

    found = probes.scan(harmonic(), pair, reference=Fails(harmonic().u, harmonic().slope))
    assert found["reference_failed"] == 10
    assert found["energy_rmse"] == pytest.approx(0.0)
    assert found.to_json()["panels"]["energy"]["marks"][-1]["y"][-1] is None


def test_the_histogram_is_of_the_coordinate_in_the_training_data(potentials, pair):
    training = [Structure(np.array([1, 8, 1]), np.array([[0.0] * 3, [0.9, 0, 0], [0, 7.0, 0]]))]
    covered = probes.scan(potentials[0], pair, training=training).panels["energy"].marks[0]
    np.testing.assert_allclose(covered.values, [0.9])


def test_panels_of_subjects_are_laid_over_one_reference(potentials, pair):
    results = [
        probes.scan(probes.surface(p, name), pair, reference=potentials[2])
        for p, name in zip(potentials[:2], "ab", strict=True)
    ]
    figure = probes.overlay(results)
    (panel,) = figure.panels
    assert [curve.name for curve in figure.legend] == ["a", "b", "reference"]
    assert panel.zero == results[0].panels["energy"].zero
