"""What a Design is said to compute."""

from __future__ import annotations

import json

import pytest
import torch
from tests.design.random_designs import on_random_designs
from tests.laws.potentials import statistics
from tests.laws.systems import ATOM, ELEMENTS

from multiace.design import Design
from multiace.design.describe import atomic_limit, body_orders, describe, differences
from multiace.geometry import build_graph
from multiace.potential import Potential
from multiace.presets import PRESETS, botnet, mace, nequip, nequip_linear

LAST_MLP = {"readout": {"kind": {"rest": "linear", "last": "mlp"}}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"layers": 5}, (2, 3, 4, 5, 6)),
        ({"layers": 2, "product_basis": {"correlation": 2}}, (3, 7)),
        ({"layers": 2, "product_basis": {"correlation": 3}}, (4, 13)),
        ({"layers": 1, "product_basis": {"correlation": 4}}, (5,)),
        ({"layers": 2, "product_basis": {"correlation": [1, 2]}}, (2, 5)),
        ({"layers": 2, "product_basis": {"correlation": [2, 1]}}, (3, 4)),
        ({"layers": 3, **LAST_MLP}, (2, 3, None)),
        ({"layers": 3, "update": {"nonlinearity": ["none", "gate", "none"]}}, (2, None, None)),
        ({"layers": 2, "readout": {"kind": "mlp", "activation": "none"}}, (2, 3)),
        ({"layers": 3, "readout": {"kind": ["none", "linear", "none"]}}, (3,)),
    ],
    ids=str,
)
def test_body_order_follows_the_recursion_of_the_paper(fields, expected):
    assert body_orders(Design.model_validate(fields)) == expected


@pytest.mark.parametrize(
    ("preset", "orders", "field"),
    [
        ("botnet", (2, 3, 4, 5, None), 20.0),
        ("botnet-ssh", (2, 3, 4, 5, None), 20.0),
        ("nequip", (None,), 20.0),
        ("nequip-linear", (6,), 20.0),
        ("mace", (4, None), 10.0),
    ],
)
def test_presets_have_the_body_orders_and_receptive_fields_of_the_paper(preset, orders, field):
    facts = describe(PRESETS[preset]())
    assert facts.body_orders == orders
    assert facts.receptive_field == field


LINEAR_ACE = {
    "family": "jacobi",
    "number": 4,
    "transform": "normalised_agnesi",
    "normalised_agnesi": {"r_in": 0.5},
    "envelope": "two_sided",
    "two_sided": {"inner": 2, "outer": 3},
}


def test_radial_functions_of_linear_ace_are_written_out():
    facts = describe(Design(layers=1, radial=LINEAR_ACE))
    assert [equation for _, equation in facts.equations[:4]] == [
        "T = 5 Å (y(0.5 Å) - y(r)) / (y(0.5 Å) - y(5 Å)), not below 0",
        "y = 1 / (1 + a x^4 / (1 + x^(4 - 2))), x = r / (R_j + R_i)",
        "e_n(T(r; z_j, z_i)) = 4 Jacobi polynomials P^(6, 4), two_sided u(T(r; z_j, z_i)/5 Å) on "
        "the basis",
        "u(s) = s^2 (1 - s)^3",
    ]
    assert facts.smoothness == "C2"


@pytest.mark.parametrize(
    ("radial", "basis", "smoothness"),
    [
        ({}, "e_n(r) = 8 bessel functions, polynomial u(r/5 Å) on the basis", "C2"),
        (
            {"family": "jacobi", "envelope": "cosine"},
            "e_n(r) = 8 Legendre polynomials, cosine u(r/5 Å) on the basis",
            "C1",
        ),
        (
            {"family": "jacobi", "envelope": "two_sided"},
            "e_n(r) = 8 Jacobi polynomials P^(4, 4), two_sided u(r/5 Å) on the basis",
            "C1",
        ),
    ],
    ids=["default", "legendre", "jacobi"],
)
def test_radial_basis_and_smoothness_are_those_of_the_fields(radial, basis, smoothness):
    facts = describe(Design(layers=1, radial=radial))
    assert ("all", basis) in facts.equations
    assert facts.smoothness == smoothness


def test_receptive_field_ends_with_the_last_readout():
    design = Design(layers=4, cutoff=3.0, readout={"kind": ["none", "linear", "none", "none"]})
    assert describe(design).receptive_field == 6.0


@on_random_designs(15)
def test_atomic_limit_is_the_energy_of_an_isolated_atom(design):
    potential = Potential(design, ELEMENTS, statistics(design), dtype=torch.float64)
    prediction = potential(build_graph(ATOM, design.cutoff, ELEMENTS), forces=False)
    of_terms = dict(zip(potential.terms, prediction.contributions[0].tolist(), strict=True))
    limit = atomic_limit(design).split(" + ")
    assert limit[0] == "E0"
    assert ("shift" in limit) == (of_terms.get("shift", 0.0) != 0.0)
    readouts = [value for name, value in of_terms.items() if name not in ("E0", "shift", "ZBL")]
    assert ("constant of the element" in limit) == any(readouts)


def test_description_has_the_keys_that_scripts_rely_on():
    content = json.loads(json.dumps(describe(botnet(), ("H", "C", "O")).to_dict()))
    expected = {
        "elements": ["H", "C", "O"],
        "parameters": 3_561_536,
        "active_parameters": 2_154_816,
        "paths_per_layer": [4, 34, 64, 68, 68],
        "live_paths_per_layer": [4, 34, 61, 34, 4],
        "body_orders": [2, 3, 4, 5, None],
        "atomic_limit": "E0",
        "receptive_field": 20.0,
    }
    assert {key: content[key] for key in expected} == expected
    assert sum(content["active_parameters_by_part"].values()) == content["active_parameters"]
    assert Design.model_validate(content["design"]) == botnet()


def test_layers_after_the_last_readout_have_no_live_path():
    facts = describe(Design(layers=3, readout={"kind": ["none", "linear", "none"]}))
    assert len(facts.live_paths_per_layer) == len(facts.paths_per_layer) == 3
    assert facts.live_paths_per_layer[2] == 0


@pytest.mark.parametrize(
    ("design", "other", "expected"),
    [
        (botnet(), botnet(), []),
        (
            botnet(channels=80),
            botnet(channels=[80, 80, 80, 80, 80]),
            [],
        ),
        (nequip(), nequip_linear(), [("update.nonlinearity", "gate", "none")]),
        (mace(), mace(radial={"number": 6}), [("radial.number", 8, 6)]),
        (
            Design(channels={0: 4, 1: 2}),
            Design(channels=4),
            [("channels", {"0": 4, "1": 2}, 4)],
        ),
        (Design(channels={0: 4, 1: 4, 2: 3}), Design(channels=4, embedding_channels=4), []),
    ],
    ids=["same", "same_in_other_words", "one_field", "a_field_of_a_group", "widths", "same_widths"],
)
def test_difference_is_the_fields_that_differ(design, other, expected):
    plain = json.loads(json.dumps(differences(design, other)))
    assert [tuple(row) for row in plain] == expected


def test_equations_name_the_layers_that_share_them():
    rows = describe(botnet()).equations
    assert [name for name, _ in rows if name not in ("all", "1")] == ["2-4"] * 5 + ["5"] * 5
    text = dict(rows)
    assert text["all"].startswith("E_i = E0_zi")
    of_first = [equation for name, equation in rows if name == "1"]
    assert "h_i' = m_i" in of_first  # no self-connection
    assert any("W_zi W 1/N sum_j" in equation for equation in of_first)
    of_last = [equation for name, equation in rows if name == "5"]
    assert "h_i' = m_i + S_zi h_i" in of_last
    assert "R_t = w silu(W h_i')" in of_last
