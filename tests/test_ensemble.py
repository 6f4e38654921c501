"""Ensembles: loading, what belongs together, mean and spread."""

import numpy as np
import pytest
import torch
from tests.probes.conftest import potentials  # noqa: F401

import multiace
from multiace.checkpoint import save_model
from multiace.ensemble import Ensemble


def test_several_files_load_as_one_ensemble_and_one_file_as_a_potential(potentials, tmp_path):  # noqa: F811
    paths = [tmp_path / f"{k}.safetensors" for k in range(3)]
    for path, potential in zip(paths, potentials, strict=True):
        save_model(path, potential)
    ensemble = multiace.load(paths)
    assert len(ensemble) == 3
    assert ensemble.dtype == torch.float64
    for found, expected in zip(ensemble, potentials, strict=True):
        for name, weights in expected.state_dict().items():
            assert torch.equal(found.state_dict()[name], weights)
    assert isinstance(multiace.load(str(paths[0])), multiace.Potential)


def test_one_member_or_members_that_differ_are_refused(potentials):  # noqa: F811
    with pytest.raises(ValueError, match="at least two potentials, got 1"):
        Ensemble(potentials[:1])
    first = potentials[0]
    other = multiace.Potential(first.design, (1, 6), first.statistics, dtype=torch.float64)
    with pytest.raises(ValueError, match="the first knows H, C, O, number 2 H, C"):
        Ensemble([first, other])
    single = multiace.Potential(first.design, first.elements, first.statistics)
    with pytest.raises(ValueError, match="must compute alike"):
        Ensemble([first, single])


def test_the_calculator_returns_mean_and_standard_deviation(potentials):  # noqa: F811
    from ase.build import bulk, molecule

    for atoms in (molecule("CH3OH"), bulk("C", cubic=True).repeat(1)):
        each = []
        for potential in potentials:
            atoms.calc = multiace.ASECalculator(potential, exact=True)
            each.append((atoms.get_potential_energy(), atoms.get_forces().copy()))
            assert "energy_spread" not in atoms.calc.results
        energies, forces = (np.array(values) for values in zip(*each, strict=True))
        atoms.calc = multiace.ASECalculator(Ensemble(potentials), exact=True)
        assert atoms.get_potential_energy() == pytest.approx(energies.mean())
        np.testing.assert_allclose(atoms.get_forces(), forces.mean(axis=0), atol=1e-12)
        results = atoms.calc.results
        assert results["energy_spread"] == pytest.approx(energies.std(ddof=1))
        np.testing.assert_allclose(results["forces_spread"], forces.std(axis=0, ddof=1), atol=1e-12)
    with pytest.raises(ValueError, match="an Ensemble keeps its own"):
        multiace.ASECalculator(Ensemble(potentials), dtype=torch.float32)
