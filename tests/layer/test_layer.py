"""A layer: atomic basis, message, update."""

import pytest
import torch
from tests.laws.potentials import statistics
from tests.laws.systems import CHIRAL, ELEMENTS

from multiace.design import Design
from multiace.geometry import build_graph
from multiace.potential import Potential


@pytest.mark.parametrize("correlation", [1, 2])
def test_layer_hands_h_to_a_then_a_to_m_then_m_and_h_to_the_update(correlation):
    design = Design(layers=1, channels=2, product_basis={"correlation": correlation})
    potential = Potential(design, ELEMENTS, statistics(design))
    layer, calls = potential.model.layers[0], {}
    for name, part in layer.named_children():
        part.register_forward_hook(
            lambda _, inputs, output, name=name: calls.update({name: (inputs, output)})
        )
    layer.register_forward_hook(lambda _, inputs, output: calls.update({"layer": (inputs, output)}))
    potential(build_graph(CHIRAL, design.cutoff, ELEMENTS))

    (h, _, species, of_element), h_next = calls["layer"]
    assert torch.equal(of_element[species], h)
    assert calls["atomic_basis"][0][0] is h
    m = calls["atomic_basis"][1]
    if correlation > 1:
        assert calls["message"][0][0] is m
        m = calls["message"][1]
    assert ("message" in calls) == (correlation > 1)
    assert calls["update"][0][0] is m
    assert calls["update"][0][1] is h
    assert calls["update"][1] is h_next
    assert torch.equal(calls["atomic_basis"][0][2], species)
    assert torch.equal(calls["update"][0][2], species)
