"""The published models, as they were when a file or a ledger named them."""

from __future__ import annotations

import pytest
import torch
from tests.laws.potentials import statistics
from tests.laws.systems import CHIRAL, ELEMENTS

from multiace.design import Design, DesignError
from multiace.geometry import build_graph
from multiace.potential import Potential
from multiace.presets import PRESETS

# Part of the file format: a study finds its finished runs by these.
HASHES = {
    ("nequip", "paper"): "49239cafccd09a268a5ae26800035ed02f4a0df03cd4ea32b72a9b6322696071",
    ("nequip", "small"): "8c8265094579bef19632add5ad6f7f0a83131598366d5e849e22e590bda4c37d",
    ("nequip-linear", "paper"): "7e2d1f5f7fe7bb01c7168d2abdcf9f23dc942c68284736499708e853350b448b",
    ("nequip-linear", "small"): "08dfd92a1091340e198d4945477ea8f8ac025a9cb891e0d21c7cd1ef0156346d",
    ("botnet", "paper"): "48b605d024e8eda9a2b8fc89edd4b386fb759537ca74610da6c0e22694963aea",
    ("botnet", "small"): "a17ff2a462b3c1da7338908bc07139ea14349a8151efcea4e0f55d9df41b5738",
    ("botnet-ssh", "paper"): "e328e99b7983a68b70a3c83636baed0d1ee704ba4084ea5081abe6c4779a6b73",
    ("botnet-ssh", "small"): "1cfdc420d1598e24a437d884ca83512ce640c54aee78bae596a3a8804a452d21",
    ("mace", "paper"): "7ae0bc3e453f2cf5208cf4a0ec5f87702d265a83a9e36e0d57906d21f6b7e6cd",
    ("mace", "small"): "37ea54aa774612c5bd87378909160207cd1114b4656ea1cfe7bd808a75a9c0c5",
}

every_preset = pytest.mark.parametrize("name", PRESETS)
every_size = pytest.mark.parametrize("size", ["paper", "small"])


def test_every_preset_and_size_has_a_frozen_hash():
    assert set(HASHES) == {(name, size) for name in PRESETS for size in ("paper", "small")}


@every_preset
@every_size
def test_preset_stays_the_design_it_was(name, size):
    assert PRESETS[name](size).content_hash == HASHES[name, size]


@every_preset
@every_size
def test_plain_data_of_a_preset_give_it_back(name, size):
    design = PRESETS[name](size)
    assert Design.model_validate(design.to_dict()) == design


@every_preset
def test_field_given_goes_before_that_of_the_preset(name):
    design = PRESETS[name]("small", channels=3, radial={"number": 5}, cutoff=6.0)
    unchanged = PRESETS[name]("small")
    assert (design.channels, design.radial.number, design.cutoff) == (3, 5, 6.0)
    assert design.radial.hidden == unchanged.radial.hidden
    assert design.update == unchanged.update


@pytest.mark.unchecked  # the checker refuses it first
@every_preset
def test_size_that_does_not_exist_is_refused_with_those_that_do(name):
    with pytest.raises(ValueError, match="size must be 'paper' or 'small', got 'large'"):
        PRESETS[name]("large")


@every_preset
def test_unknown_field_is_refused_with_the_nearest_one(name):
    with pytest.raises(DesignError) as error:
        PRESETS[name](product_basis={"corelation": 2})
    assert str(error.value) == (
        "'product_basis.corelation' is not a design option. "
        "Did you mean 'product_basis.correlation'?"
    )
    with pytest.raises(DesignError, match="Did you mean 'size'"):
        PRESETS[name](sise="small")


@every_preset
def test_small_preset_gives_finite_energies_and_forces(name):
    design = PRESETS[name]("small")
    potential = Potential(design, ELEMENTS, statistics(design), seed=0)
    with torch.no_grad():
        found = potential(build_graph(CHIRAL, potential.cutoff, ELEMENTS))
    assert found.energy.isfinite().all()
    assert found.forces.isfinite().all()
    assert found.forces.abs().max() > 1e-3
