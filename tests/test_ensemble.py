"""Ensembles: loading, what belongs together, mean and spread."""

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
