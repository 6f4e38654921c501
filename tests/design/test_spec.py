"""A Design is frozen, typed data with a canonical form."""

import json
import pickle

import pytest
from pydantic import ValidationError

from multiace.design import Design
from multiace.design.spec import PER_LAYER_FIELDS, Energy, Radial

SPELLINGS = {
    "a number and a list": [{"channels": 4}, {"channels": [4, 4, 4]}],
    "a list and what differs": [
        {"update": {"self_connection": ["none", "per_element", "linear"]}},
        {"update": {"self_connection": {"first": "none", "rest": "per_element", "last": "linear"}}},
    ],
    "one network and a list of networks": [
        {"radial": {"hidden": [8, 8]}},
        {"radial": {"hidden": [[8, 8], [8, 8], [8, 8]]}},
        {"radial": {"hidden": (8, 8)}},
        {"radial": {"hidden": {"rest": [8, 8]}}},
    ],
    "defaults written out": [{}, Design(layers=3).to_dict()],
    "integers and floats": [{"cutoff": 4}, {"cutoff": 4.0}],
    "one width and equal widths by degree": [
        {"channels": 4},
        {"channels": {0: 4, 1: 4}},
        {"channels": {0: 4, 1: 4, 5: 3}},
        {"channels": {"first": {0: 4, 1: 4}, "rest": 4}},
    ],
    "widths beyond the largest degree": [
        {"channels": {0: 4, 1: 2}},
        {"channels": {0: 4, 1: 2, 2: 7}},
    ],
    "the width that the embedding has anyway": [
        {"channels": [{0: 4, 1: 2}, 8, 8]},
        {"channels": [{0: 4, 1: 2}, 8, 8], "embedding_channels": 4},
    ],
    "the degree that products have anyway": [
        {"l_max": 2, "product_basis": {"correlation": 2}},
        {"l_max": 2, "product_basis": {"correlation": 2, "l_max": 2}},
    ],
    "equal widths by degree": [
        {"channels": 4, "features_l_max": [1, 0, 1]},
        {"channels": {0: 4, 1: 4}, "features_l_max": [1, 0, 1]},
        {"channels": [{0: 4, 1: 4, 2: 7}, {0: 4, 1: 2}, 4], "features_l_max": [1, 0, 1]},
    ],
    "a product basis without products": [
        {"product_basis": {"correlation": 1}},
        {"product_basis": {"correlation": 1, "weights": "shared", "basis": "mace"}},
    ],
    "an MLP that no readout has": [
        {"readout": {"kind": "linear"}},
        {"readout": {"kind": "linear", "hidden": 3, "activation": "tanh"}},
    ],
    "activations of nothing": [
        {"update": {"nonlinearity": "none"}, "radial": {"hidden": []}},
        {
            "update": {"nonlinearity": "none", "activation": "tanh", "gate_activation": "tanh"},
            "radial": {"hidden": [], "activation": "tanh"},
        },
    ],
    "widths by degree in any order": [{"channels": {0: 4, 1: 2}}, {"channels": {"1": 2, "0": 4}}],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_hash_is_the_same_however_a_design_is_written(name):
    designs = [Design.model_validate({"layers": 3, **fields}) for fields in SPELLINGS[name]]
    assert len({design.content_hash for design in designs}) == 1
    assert all(design.canonical() == designs[0].canonical() for design in designs)


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": 3},
        {"channels": 16},
        {"channels": {0: 32, 1: 16}},
        {"channels": [32, {0: 32, 1: 16}]},
        {"embedding_channels": 16},
        {"product_basis": {"correlation": 2, "l_max": 2}},
        {"cutoff": 5.000001},
        {"radial": {"trainable": True}},
        {"radial": {"hidden": [64, 64]}},
        {"radial": {"hidden": [[64, 64, 64], []]}},
        {"product_basis": {"correlation": [1, 2]}},
        {"product_basis": {"correlation": [2, 1]}},
        {"readout": {"kind": {"rest": "linear", "last": "mlp"}}},
        {"normalisation": {"activation": {"silu": 1.6}}},
    ],
    ids=str,
)
def test_hash_of_another_design_is_another(changes):
    assert Design.model_validate(changes).content_hash != Design().content_hash


@pytest.mark.parametrize("features", [2, {"rest": 1, "last": 0}, [1, 0]])
def test_a_design_travels_between_processes(features):
    design = Design(
        layers=2, features_l_max=features, radial={"hidden": {"first": [], "rest": [8]}}
    )
    assert pickle.loads(pickle.dumps(design)) == design


def test_canonical_form_holds_what_differs_from_the_defaults():
    design = Design(layers=2, cutoff=4.0, update={"linear": {"first": "shared", "rest": "none"}})
    assert design.canonical() == {"cutoff": 4.0, "update": {"linear": ["shared", "none"]}}
    assert Design().canonical() == {}


def test_every_field_written_layer_by_layer_is_expanded_in_the_canonical_form():
    designs = [Design(layers=3), Design(layers=3)]
    content = designs[0].to_dict()
    for path in PER_LAYER_FIELDS:
        *groups, name = path.split(".")
        room = content
        for group in groups:
            room = room[group]
        room[name] = [room[name]] * 3
    written_out = Design.model_validate(content)
    assert written_out.content_hash == designs[1].content_hash
    per_layer = {
        f"{group}.{name}" if group else name
        for group, schema in (("", Design), *_groups())
        for name, field in schema.model_fields.items()
        if "PerLayer" in str(field.annotation)
    }
    assert per_layer == set(PER_LAYER_FIELDS)


def _groups():
    return [*_groups_of(Design, ""), *_groups_of(Radial, "radial."), *_groups_of(Energy, "energy.")]


def _groups_of(schema, prefix):
    return [
        (f"{prefix}{name}", field.annotation)
        for name, field in schema.model_fields.items()
        if hasattr(field.annotation, "model_fields")
    ]


def test_fields_added_since_do_not_change_the_hash_of_a_design():
    design = Design(radial={"transform": "agnesi", "agnesi": {"a": 1.2}})
    assert design.canonical() == {"radial": {"transform": "agnesi", "agnesi": {"a": 1.2}}}
    before = "5e901d2e4e5c437ddc3f74d470d3e5c3f3ee6d25435090a7bfc17ac4bfbc8af0"
    assert design.content_hash == before


# Left out of the hash where a Design does not set them: they mean this for ever.
DEFAULTS = {
    "layers": 2,
    "channels": 32,
    "embedding": "learned",
    "embedding_channels": None,
    "cutoff": 5.0,
    "l_max": 3,
    "features_l_max": 1,
    "parity": "natural",
    "radial.family": "bessel",
    "radial.number": 8,
    "radial.trainable": False,
    "radial.transform": "none",
    "radial.agnesi": {"a": 1.0805, "q": 0.9183, "p": 4.5791},
    "radial.normalised_agnesi": {"p": 2.0, "q": 4.0, "r_in": 0.0},
    "radial.envelope": "polynomial",
    "radial.two_sided": {"inner": 2, "outer": 2},
    "radial.envelope_power": 6,
    "radial.envelope_on": "basis",
    "radial.hidden": [64, 64, 64],
    "radial.activation": "silu",
    "radial.bias": False,
    "radial.species": "none",
    "atomic_basis.before_edges": "shared",
    "atomic_basis.pooling": "N",
    "atomic_basis.after_pooling": "shared",
    "product_basis.correlation": 1,
    "product_basis.l_max": None,
    "product_basis.basis": "reduced",
    "product_basis.weights": "per_element",
    "update.linear": "none",
    "update.self_connection": "per_element",
    "update.nonlinearity": "none",
    "update.activation": "silu",
    "update.gate_activation": "silu",
    "readout.kind": "linear",
    "readout.hidden": 16,
    "readout.activation": "silu",
    "energy.reference": "isolated_atoms",
    "energy.shift": "none",
    "energy.scale": "rms_forces",
    "energy.per_element": False,
    "energy.trainable": False,
    "energy.zbl": "none",
    "energy.zbl_constants": {
        "length": 0.8854 * 0.529177210903,
        "power": 0.23,
        "coulomb": 27.211386245988 * 0.529177210903,
        "envelope_power": 6,
        "coefficients": [0.1818, 0.5099, 0.2802, 0.02817],
        "exponents": [3.2, 0.9423, 0.4028, 0.2016],
        "ends_at": None,
    },
    "normalisation.path": "element",
    "normalisation.count_elements": False,
    "normalisation.fan_in": "forward",
    "normalisation.initialisation": "normal",
    "normalisation.activation": "second_moment",
}


@pytest.mark.parametrize("field", DEFAULTS)
def test_default_stays_what_it_was_in_format_version_1(field):
    value = Design().to_dict()
    for name in field.split("."):
        value = value[name]
    assert value == DEFAULTS[field]


def test_plain_data_of_a_design_give_it_back():
    design = Design.model_validate(
        {
            "layers": 3,
            "channels": [{0: 4, 1: 2}, 3, {0: 2, 1: 2, 2: 1}],
            "features_l_max": [1, 1, 2],
            "radial": {"hidden": {"first": [], "rest": [8]}, "species": ["pair", "none", "none"]},
            "normalisation": {"activation": {"silu": 1.68, "tanh": 1.59}},
        }
    )
    assert Design.model_validate(json.loads(json.dumps(design.to_dict()))) == design
    assert design.per_layer("radial.hidden") == ((), (8,), (8,))
    assert design.per_layer("channels")[0] == {0: 4, 1: 2}


def test_a_design_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Design().layers = 3


def test_every_field_is_described():
    for group, schema in (("design", Design), *_groups()):
        for name, field in schema.model_fields.items():
            assert field.description, f"{group}.{name}"
