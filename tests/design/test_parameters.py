"""Parameters are counted as the papers count them, and as torch does."""

from __future__ import annotations

import pytest
from tests.design.random_designs import on_random_designs
from tests.laws.potentials import statistics
from tests.laws.systems import ELEMENTS

from multiace.design import Design
from multiace.design.parameters import count_parameters
from multiace.potential import Potential
from multiace.presets import botnet, mace, nequip, nequip_linear

TABLE = {"hidden": [], "species": "sender"}
"""Element dependence of the paper's code: a linear map of the basis for each sender."""
TABLE_BUT_FIRST = {
    "hidden": {"first": [64, 64, 64], "rest": []},
    "species": {"first": "none", "rest": "sender"},
}
RESIDUAL = {
    "atomic_basis": {"after_pooling": "shared"},
    "update": {"self_connection": "per_element"},
}

# design, elements, parameters
PUBLISHED = {
    "botnet_of_2_elements": (botnet(), 2, 3_363_056),
    "botnet_of_3_elements": (botnet(), 3, 3_561_536),
    "botnet_of_4_elements": (botnet(), 4, 3_760_016),
    "botnet_64_of_2_elements": (botnet(channels=64), 2, 2_363_280),
    "botnet_64_of_3_elements": (botnet(channels=64), 3, 2_490_320),
    "botnet_64_of_4_elements": (botnet(channels=64), 4, 2_617_360),
    "botnet_by_element_of_3": (botnet(radial=TABLE_BUT_FIRST), 3, 2_777_920),
    "botnet_by_element_of_4": (botnet(radial=TABLE_BUT_FIRST), 4, 3_126_160),
    "botnet_by_element_residual_of_3": (botnet(radial=TABLE, **RESIDUAL), 3, 2_698_816),
    "botnet_by_element_residual_of_4": (botnet(radial=TABLE, **RESIDUAL), 4, 3_030_416),
    "botnet_of_the_acetylacetone_table": (botnet(radial=TABLE), 3, 2_756_416),
    "nequip_of_2_elements": (nequip(), 2, 2_965_136),
    "nequip_of_3_elements": (nequip(), 3, 3_190_480),
    "nequip_of_4_elements": (nequip(), 4, 3_415_824),
    "nequip_of_the_acetylacetone_table": (nequip(radial={"trainable": True}), 3, 3_190_488),
    "nequip_linear_of_2_elements": (nequip_linear(), 2, 2_338_448),
    "nequip_linear_of_3_elements": (nequip_linear(), 3, 2_453_200),
    "nequip_linear_of_4_elements": (nequip_linear(), 4, 2_567_952),
    "mace_of_the_acetylacetone_table": (mace(), 3, 2_803_984),
    "body_ordered_model_with_the_simple_block": (
        Design(
            layers=2,
            channels={0: 10, 1: 8, 2: 4},
            l_max=2,
            features_l_max=2,
            parity="both",
            radial={"number": 7, "hidden": []},
            atomic_basis={"before_edges": "none", "after_pooling": "shared_then_per_element"},
            update={"self_connection": "none"},
        ),
        2,
        2_772,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_count_is_that_of(name):
    design, n_elements, expected = PUBLISHED[name]
    assert sum(count_parameters(design, n_elements, prune=False).values()) == expected


@on_random_designs(25)
def test_parameters_counted_are_those_that_torch_has(design):
    for prune in (True, False):
        potential = Potential(design, ELEMENTS, statistics(design), prune=prune)
        counts = count_parameters(design, len(ELEMENTS), prune=prune)
        assert sum(counts.values()) == potential.n_parameters
        found = dict.fromkeys(counts, 0)
        for name, weights in potential.named_parameters():
            found[part_of(name)] += weights.numel()
        assert found == counts


PARTS = {
    "embedding": "embedding",
    "radial": ("edge_functions", "radial_network", "density"),
    "before_edges": "before_edges",
    "after_pooling": "after_pooling",
    "product_basis": "message",
    "update": "update.linear",
    "self_connection": "self_connection",
    "readout": "readouts",
    "energy": "baseline",
}


def part_of(name):
    (part,) = (
        part
        for part, places in PARTS.items()
        if any(f".{place}." in name for place in ([places] if isinstance(places, str) else places))
    )
    return part
