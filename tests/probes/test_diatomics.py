"""Dimers: the measures of MLIP Arena on curves with known answers, holes, pairs not trained on."""

import numpy as np
import pytest
from tests.probes.conftest import PairCalculator

from multiace import probes
from multiace.geometry import Structure
from multiace.probes.diatomics import all_pairs, diatomic_measures, distances_of

R = np.linspace(0.5, 5.0, 451)


def morse(r, depth=4.0, width=1.5, length=1.2):
    decay = np.exp(-width * (r - length))
    return depth * (decay**2 - 2.0 * decay), 2.0 * depth * width * (decay - decay**2)


def test_a_morse_curve_is_one_monotonic_well():
    energies, slope = morse(R)
    found = diatomic_measures(R, energies, -slope)
    assert found.tortuosity == pytest.approx(1.0)
    assert found.force_flips == found.energy_flips == 1
    assert found.spearman_energy_repulsion == found.spearman_force_descending == -1.0
    assert found.spearman_energy_attraction == found.spearman_force_ascending == 1.0
    assert found.conservation_deviation < 0.05
    assert found.energy_jump < 0.01
    assert found.force_variation == pytest.approx(np.abs(np.diff(slope)).sum())


def test_forces_that_are_not_minus_the_slope_are_found():
    energies, slope = morse(R)
    exact = diatomic_measures(R, energies, -slope).conservation_deviation
    found = diatomic_measures(R, energies, -slope + 0.5).conservation_deviation
    assert found == pytest.approx(0.5, abs=2 * exact)


def test_a_step_is_an_energy_jump_and_lengthens_the_curve():
    energies, slope = morse(R)
    energies[R < 3.0] -= 0.7  # on the way out, up; on the way in, an extra step down
    energies[R < 2.0] += 1.4  # on the way in, a step up against the attraction
    found = diatomic_measures(R, energies, -slope)
    k = int((R < 2.0).sum())
    steps = np.abs(np.diff(energies))
    beside = steps[k - 2] + 2.0 * steps[k - 1] + steps[k]
    smooth = diatomic_measures(R, *morse(R)).energy_jump
    assert found.energy_jump == pytest.approx(beside, abs=2 * smooth)
    assert found.energy_flips == 3
    ends = abs(energies[-1] - energies.min()) + energies[0] - energies.min()
    assert found.tortuosity == pytest.approx(steps.sum() / ends)
    assert found.tortuosity > 1.0


def test_ripples_below_the_thresholds_of_force_and_energy_do_not_count():
    energies, slope = morse(R, depth=0.01)
    ripple = 1e-4 * np.sin(200.0 * R)
    found = diatomic_measures(R, energies + ripple, -slope)
    assert found.energy_flips <= 1


def test_the_range_is_that_of_the_published_benchmark():
    r = distances_of(6, 6)
    assert r[0] == pytest.approx(0.9 * 0.76)
    assert r[-1] == pytest.approx(3.1 * 1.77)
    assert len(r) == int((r[-1] - r[0]) / 0.01)
    assert distances_of(1, 6)[0] == pytest.approx(0.45 * (0.31 + 0.76))


def test_a_hole_is_found_where_repulsion_turns_into_attraction():
    def with_hole(r):
        return morse(r)[0] - 60.0 * np.exp(-(((r - 0.7) / 0.1) ** 2))

    def slope(r):
        return morse(r)[1] + 12000.0 * (r - 0.7) * np.exp(-(((r - 0.7) / 0.1) ** 2))

    good = PairCalculator(lambda r: morse(r)[0], lambda r: morse(r)[1])
    assert probes.dimers(good, [(6, 6)])["holes"] == 0
    found = probes.dimers(
        PairCalculator(lambda r: with_hole(r) + 100.0 * (r < 0.75), slope), [(6, 6)]
    )
    (row,) = found.table("dimers").rows
    assert found["holes"] == 1
    assert 0.7 < row[5] < 1.0


def test_pairs_say_how_near_they_were_in_training(potentials):
    training = [Structure(np.array([1, 8, 8]), np.array([[0.0] * 3, [0.9, 0, 0], [2.0, 0, 0]]))]
    pairs = [(1, 1), (1, 8)]
    found = probes.dimers(potentials[0], pairs, training=training)
    nearest = {row[0]: row[1] for row in found.table("dimers").rows}
    assert nearest == {"H–H": None, "H–O": pytest.approx(0.9)}
    (equal, _) = found.table("dimers").rows
    assert found["tortuosity"] == equal[6]
    assert found["pairs"] == len(found.panels) == 2


def test_pairs_are_all_of_the_elements():
    assert all_pairs([8, 1, 8]) == [(1, 1), (1, 8), (8, 8)]


def test_a_calculator_needs_to_be_told_its_pairs():
    with pytest.raises(ValueError, match="does not say its elements"):
        probes.dimers(PairCalculator(lambda r: r, lambda r: 0 * r + 1))
