"""Potentials to test programs on: presets, and designs with each part that is treated apart."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from tests.laws.potentials import SMALL, random_potential
from tests.laws.systems import ATOM, CHIRAL, DIMER, ELEMENTS, METHANOL, SLAB, TRICLINIC

from multiace.design import Design
from multiace.geometry import Graph, Structure, batch_graphs, build_graph
from multiace.potential import Potential, Prediction
from multiace.presets import PRESETS

STRUCTURES = (METHANOL, TRICLINIC, ATOM, SLAB, CHIRAL, DIMER)
"""Molecules, cells smaller than the cutoff, an atom without edges."""

EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}
SPLINED = 1e-5
"""Of forces and stress: the errors of slopes, 1e-6 of the largest, add up and partly cancel."""

BASE = {"layers": 2, "channels": 4, "l_max": 2, "features_l_max": 1, "cutoff": 3.7}
FEATURES: dict[str, dict[str, Any]] = {
    "zbl outside": {"energy": {"zbl": "outside"}},
    "zbl inside": {"energy": {"zbl": "inside", "scale": "rms_forces"}},
    "density": {"atomic_basis": {"pooling": "density"}},
    "agnesi": {"radial": {"transform": "agnesi"}},
    "jacobi": {
        "radial": {
            "family": "jacobi",
            "envelope": "two_sided",
            "envelope_on": "weights",
            "hidden": [],
        }
    },
    "jacobi of agnesi": {"radial": {"family": "jacobi", "transform": "agnesi"}},
    "normalised agnesi": {
        "radial": {
            "family": "jacobi",
            "transform": "normalised_agnesi",
            "normalised_agnesi": {"r_in": 0.4},
            "envelope": "two_sided",
            "two_sided": {"inner": 3, "outer": 2},
        }
    },
    "bessel of normalised agnesi": {"radial": {"transform": "normalised_agnesi"}},
    "norm": {"update": {"nonlinearity": "norm"}},
    "gate": {"update": {"nonlinearity": "gate", "linear": "shared"}},
    "identity self-connection": {"update": {"self_connection": "identity"}},
    "no self-connection": {"update": {"self_connection": "none"}},
    "nothing before edges": {"atomic_basis": {"before_edges": "none"}},
    "by sender": {"radial": {"species": "sender"}},
    "by receiver": {"radial": {"species": "receiver"}},
    "by pair": {"radial": {"species": "pair", "envelope_on": "weights"}},
    "mlp readouts": {"readout": {"kind": "mlp"}},
    "readout of one layer": {"readout": {"kind": ["linear", "none"]}},
    "one layer": {"layers": 1, "features_l_max": 0},
    "unequal widths": {
        "channels": {0: 5, 1: 3, 2: 2},
        "product_basis": {"correlation": 1},
        "update": {"linear": "shared"},
    },
    "full coupling": {
        "product_basis": {"correlation": 3, "coupling": "full", "total_degree": [4, 4, 4]},
        "update": {"linear": "shared"},
    },
    "densities": {
        "embedding": "one_hot",
        "radial": {"map": {"first": "none", "rest": "linear"}, "hidden": [[6], [5]]},
        "atomic_basis": {
            "before_edges": {"first": "none", "rest": "shared"},
            "after_pooling": {"first": "none", "rest": "shared"},
        },
        "product_basis": {
            "correlation": 2,
            "coupling": {"first": "full", "rest": "per_channel"},
            "total_degree": [5, 5],
        },
    },
    "mixed densities": {
        "layers": 1,
        "embedding": "one_hot",
        "radial": {"map": "none", "transform": "agnesi"},
        "atomic_basis": {"before_edges": "none", "pooling": "density"},
        "readout": {"kind": "sum"},
        "features_l_max": 0,
    },
    "pooled by element": {"product_basis": {"correlation": 2}},
    "pooled by element, pair": {"radial": {"species": "pair"}},
    "pooled by element, sender": {"radial": {"species": "sender", "envelope_on": "weights"}},
    "pooled by element, receiver": {"radial": {"species": "receiver"}, "layers": 1},
    "pooled by element, density": {"atomic_basis": {"pooling": "density"}},
}
NAMES = (*PRESETS, *FEATURES)


@lru_cache
def potential(name: str, dtype: torch.dtype = torch.float64, kernels: str = "auto") -> Potential:
    """Return a small potential with random weights and forces of about 1 eV/Å."""
    if name in PRESETS:
        design = PRESETS[name]("small", channels=4, cutoff=4.0)
    else:
        design = Design.model_validate(BASE | FEATURES[name])
    double = random_potential(design)
    statistics = double.statistics
    if name.startswith("pooled by element"):  # which is what many neighbours bring about
        statistics = statistics.model_copy(update={"mean_neighbours": 30.0})
    found = Potential(design, ELEMENTS, statistics, dtype=dtype, kernels=kernels)
    found.load_state_dict(double.state_dict())
    return found


def graph_of(potential: Potential, structures: tuple[Structure, ...]) -> Graph:
    """Return a batch in the potential's dtype."""
    graphs = [build_graph(each, potential.cutoff, potential.elements) for each in structures]
    return batch_graphs(graphs).to(dtype=potential.dtype)


def evaluate(potential: Potential, graph: Graph) -> Prediction:
    """Evaluate a potential by autograd."""
    with torch.no_grad():
        return potential(graph, forces=True, stress=True)


def difference(found: Prediction, expected: Prediction) -> dict[str, float]:
    """Largest difference of each quantity relative to its largest value.

    E0 is left out, and of sums with it the rounding of energies as large.
    """
    one = {
        "terms": (found.contributions[:, 1:], expected.contributions[:, 1:]),
        "forces": (found.forces, expected.forces),
        "stress": (found.stress, expected.stress),
    }
    whole = {
        "energy": (found.energy, expected.energy),
        "atoms": (found.energies, expected.energies),
    }
    values = {name: _apart(*pair) / max(SMALL, _largest(pair[1])) for name, pair in one.items()}
    size = max(SMALL, _largest(expected.contributions[:, 1:]))
    for name, pair in whole.items():
        rounding = 4 * torch.finfo(torch.float64).eps * _largest(pair[1])
        values[name] = max(0.0, _apart(*pair) - rounding) / size
    return values


def assert_close(found: Prediction, expected: Prediction, tolerance: float) -> None:
    """Check that no quantity is further from the expected one than `tolerance`, relative."""
    apart = difference(found, expected)
    assert max(apart.values()) < tolerance, apart


def _apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    np.testing.assert_array_equal(found.isnan().numpy(), expected.isnan().numpy())
    return _largest(found - expected)


def _largest(x: torch.Tensor) -> float:
    return float(x.nan_to_num(0.0).abs().amax()) if x.numel() else 0.0
