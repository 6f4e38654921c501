"""Linear equations: times the weights they are energies, forces and virials."""

import numpy as np
import pytest
import torch
from tests.laws.potentials import random_potential
from tests.laws.systems import METHANOL, TRICLINIC

from multiace.design import Design
from multiace.fitting.rows import VOIGT, LinearModel
from multiace.geometry import build_graph
from multiace.potential import Potential

ACE = {
    "layers": 1,
    "channels": 1,
    "l_max": 3,
    "features_l_max": 0,
    "embedding": "one_hot",
    "cutoff": 3.2,
    "radial": {"family": "chebyshev", "number": 6, "hidden": [], "map": "none"},
    "atomic_basis": {"before_edges": "none", "after_pooling": "none", "pooling": "1"},
    "product_basis": {"correlation": 3, "coupling": "full", "total_degree": [6, 5, 4]},
    "update": {"linear": "none", "self_connection": "none"},
    "readout": {"kind": "sum"},
    "energy": {"scale": "none"},
}
LINEAR = {
    "ace": {},
    "scaled": {"energy": {"scale": "rms_forces", "shift": "mean", "per_element": True}},
    "normalised": {"atomic_basis": ACE["atomic_basis"] | {"pooling": "N"}},
    "shared weights": {"product_basis": ACE["product_basis"] | {"weights": "shared"}},
    "two channels": {"channels": 2},
    "transformed": {
        "radial": ACE["radial"] | {"family": "jacobi", "transform": "normalised_agnesi"}
    },
    "repelled": {"energy": {"scale": "none", "zbl": "outside"}},
}


def linear(**changes) -> Potential:
    """Return a small linear potential with random weights."""
    return random_potential(Design.model_validate(ACE | changes))


@pytest.mark.parametrize("structure", [METHANOL, TRICLINIC], ids=["molecule", "crystal"])
@pytest.mark.parametrize("name", LINEAR)
def test_equations_times_weights_are_what_the_potential_gives(name, structure):
    potential = linear(**LINEAR[name])
    model = LinearModel(potential)
    graph = build_graph(structure, potential.cutoff, potential.elements)
    rows, weights = model.rows(graph), model.weights.numpy()
    given = evaluate(potential, graph)
    model.weights = np.zeros(len(weights))
    fixed = evaluate(potential, graph)
    found = (rows.energy @ weights, rows.forces @ weights, rows.virial @ weights)
    for value, with_weights, without in zip(found, given, fixed, strict=True):
        expected = with_weights - without
        largest = max(np.abs(with_weights).max(), np.abs(without).max(), 1.0)
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12 * largest)
    model.weights = weights
    np.testing.assert_array_equal(model.weights, weights)


def evaluate(potential, graph):
    """Return energy, forces and the components of the virial."""
    with torch.no_grad():
        found = potential(graph, forces=True, stress=True)
    virial = [found.virial[0, c, d] for c, d in VOIGT]
    return float(found.energy[0]), found.forces.numpy().ravel(), np.array(virial)


def test_a_design_that_is_not_linear_is_refused():
    with pytest.raises(ValueError, match="not linear in its weights, because of readout.kind"):
        LinearModel(linear(readout={"kind": "linear"}))
    with pytest.raises(ValueError, match="constant of the element"):
        LinearModel(linear(update={"linear": "none", "self_connection": "per_element"}))
    with pytest.raises(ValueError, match=r"float64, but the potential is torch\.float32"):
        LinearModel(linear().float())
