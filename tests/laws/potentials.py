"""The potentials that the laws are tested on: presets, a trained model, random designs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from tests.laws.strategies import accepted, designs
from tests.laws.systems import CHIRAL, ELEMENTS, SYMBOLS
from tests.laws.trained import trained_potential

from multiace.analysis.predict import predict
from multiace.design import Design, Statistics
from multiace.geometry import Labels, Structure, build_graph
from multiace.potential import Potential
from multiace.presets import PRESETS

ATOMIC_ENERGIES = dict(zip(SYMBOLS, (-13.59, -203.4, -1029.3, -2041.8, -7875.2), strict=True))
SHIFTS = dict(zip(SYMBOLS, (-0.3, 0.7, 0.1, -0.4, 0.2), strict=True))
NAMES = (*PRESETS, "trained")
EXAMPLES = {"random": 5, "many_random": 50}
CUTOFF = 4.0
SMALL = 0.1  # eV, eV/Å: forces of symmetric structures cancel, their rounding does not
Law = Callable[[Potential], None]


def for_every_potential(law: Law) -> Callable[[str], None]:
    """Test a law on each preset, on a trained model and on random designs (many, if slow)."""
    slow = pytest.param("many_random", marks=pytest.mark.slow)

    @pytest.mark.parametrize("potential", [*NAMES, "random", slow])
    def test(potential: str) -> None:
        if potential in EXAMPLES:
            for_random_designs(law, EXAMPLES[potential])
        else:
            law(named_potential(potential))

    test.__name__, test.__doc__, test.__module__ = law.__name__, law.__doc__, law.__module__
    return test


def for_random_designs(law: Law, examples: int) -> None:
    """Test a law on random designs, other ones for each law."""

    def check(fields: dict[str, Any]) -> None:
        design = accepted(fields)
        assume(design is not None)
        law(random_potential(design))

    check.__name__ = law.__name__  # the seed of the examples
    only_drawn = settings(
        max_examples=examples,
        phases=[Phase.generate],  # a law that fails on a design says so at once
        suppress_health_check=[HealthCheck.too_slow],
    )
    only_drawn(given(fields=designs())(check))()


@lru_cache
def named_potential(name: str) -> Potential:
    """Return a small preset with random weights, or the trained model, in float64."""
    if name == "trained":
        return trained_potential()
    return random_potential(PRESETS[name]("small", channels=4, cutoff=CUTOFF))


def random_potential(design: Design, seed: int = 0) -> Potential:
    """Return a potential with random weights, scaled such that forces are about 1 eV/Å.

    Then absolute tolerances in eV and eV/Å are relative ones too.
    """
    potential = Potential(design, ELEMENTS, statistics(design), dtype=torch.float64, seed=seed)
    with torch.no_grad():
        largest = float(potential(build_graph(CHIRAL, design.cutoff, ELEMENTS)).forces.abs().max())
        scale = 1.0 / largest if largest > 0.0 else 1.0
        potential.statistics = statistics(design, scale)
        potential.model.baseline.scale.mul_(scale)
    return potential


def statistics(design: Design, scale: float = 1.0) -> Statistics:
    """Return statistics of a training set that there is not."""
    scales = {symbol: scale * (1.0 + 0.1 * n) for n, symbol in enumerate(SYMBOLS)}
    per_element = design.energy.per_element
    return Statistics(
        mean_neighbours=7.3,
        atomic_energies=ATOMIC_ENERGIES,
        shift=SHIFTS if per_element else -0.4,
        scale=scales if per_element else scale,
    )


def enlarged(potential: Potential, factor: float) -> Potential:
    """Multiply all weights: those drawn leave nonlinearities and high orders barely visible."""
    with torch.no_grad():
        for weights in potential.parameters():
            weights *= factor
    return potential


def evaluate(potential: Potential, structure: Structure) -> Labels:
    """Return energy, forces and, with a volume, stress."""
    return predict(potential, [structure], stress=structure.volume is not None)[0]


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference relative to the largest expected value, or to `SMALL`."""
    return float(np.abs(found - expected).max() / max(SMALL, np.abs(expected).max()))
