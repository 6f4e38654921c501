"""Designs without meaning are refused: what was wrong, the rule, the way out."""

import math

import pytest
from pydantic import ValidationError

from multiace.design import Design

GATED = {"update": {"nonlinearity": "gate"}}

# fields, what the message says in this order
REFUSED = {
    "bias_under_an_envelope_on_the_basis": (
        {"radial": {"bias": True}},
        ["radial.bias with radial.envelope_on: basis", "R(cutoff) != 0", "envelope_on: weights"],
    ),
    "bias_without_hidden_layers": (
        {"radial": {"bias": True, "envelope_on": "weights", "hidden": []}},
        ["radial.bias has no effect", "radial.hidden: []", "give hidden layers"],
    ),
    "chebyshev_polynomials_to_train": (
        {"radial": {"family": "chebyshev", "trainable": True}},
        ["radial.trainable", "Chebyshev", "bessel or gaussian"],
    ),
    "jacobi_polynomials_to_train": (
        {"radial": {"family": "jacobi", "trainable": True}},
        ["radial.trainable", "Jacobi", "bessel or gaussian"],
    ),
    "constants_of_the_normalised_transform_without_it": (
        {"radial": {"transform": "agnesi", "normalised_agnesi": {"p": 1.5}}},
        ["radial.normalised_agnesi has no effect", "transform: agnesi", "normalised_agnesi."],
    ),
    "powers_of_the_normalised_transform_in_the_wrong_order": (
        {"radial": {"transform": "normalised_agnesi", "normalised_agnesi": {"p": 5.0}}},
        ["radial.normalised_agnesi.q is 4", "at least p = 5", "near zero take q"],
    ),
    "a_constant_transform": (
        {"radial": {"transform": "normalised_agnesi", "normalised_agnesi": {"p": 1, "q": 1}}},
        ["normalised_agnesi.p and q are both 1", "constant", "larger q"],
    ),
    "a_transform_that_begins_beyond_the_cutoff": (
        {"radial": {"transform": "normalised_agnesi", "normalised_agnesi": {"r_in": 5.0}}},
        ["radial.normalised_agnesi.r_in is 5", "below cutoff = 5"],
    ),
    "a_kink_where_the_transform_begins": (
        {"radial": {"transform": "normalised_agnesi", "normalised_agnesi": {"r_in": 0.5}}},
        ["r_in is 0.5", "forces would jump", "two_sided.inner of 2 or more, or r_in to 0"],
    ),
    "a_kink_under_an_envelope_with_a_slope": (
        {
            "radial": {
                "transform": "normalised_agnesi",
                "normalised_agnesi": {"r_in": 0.5},
                "envelope": "two_sided",
                "two_sided": {"inner": 1},
            }
        },
        ["r_in is 0.5", "forces would jump", "two_sided.inner of 2 or more"],
    ),
    "bessel_functions_of_zero": (
        {
            "radial": {
                "transform": "normalised_agnesi",
                "normalised_agnesi": {"r_in": 0.5},
                "envelope": "two_sided",
            }
        },
        ["r_in is 0.5", "at x = 0", "radial.family: jacobi, or r_in: 0"],
    ),
    "powers_of_an_envelope_without_it": (
        {"radial": {"two_sided": {"inner": 1}}},
        ["radial.two_sided has no effect", "envelope: polynomial", "radial.envelope: two_sided"],
    ),
    "power_of_the_polynomial_for_a_two_sided_envelope": (
        {"radial": {"envelope": "two_sided", "envelope_power": 5}},
        ["radial.envelope_power is 5", "two_sided has powers of its own", "radial.two_sided"],
    ),
    "network_of_jacobi_polynomials_without_their_envelope": (
        {"radial": {"family": "jacobi", "envelope": "two_sided", "envelope_on": "weights"}},
        ["jacobi with a two_sided envelope on the weights", "thousands", "envelope_on: basis"],
    ),
    "density_of_jacobi_polynomials_without_their_envelope": (
        {
            "radial": {
                "family": "jacobi",
                "envelope": "two_sided",
                "envelope_on": "weights",
                "hidden": [],
            },
            "atomic_basis": {"pooling": "density"},
        },
        ["jacobi with a two_sided envelope on the weights", "no density pooling"],
    ),
    "two_sided_envelope_of_a_transform_without_end": (
        {"radial": {"envelope": "two_sided", "transform": "agnesi"}},
        ["two_sided with radial.transform: agnesi", "does not vanish", "normalised_agnesi or none"],
    ),
    "constants_of_a_transform_without_it": (
        {"radial": {"agnesi": {"a": 1.2}}},
        ["radial.agnesi has no effect", "radial.transform: none", "transform: agnesi"],
    ),
    "powers_of_the_transform_in_the_wrong_order": (
        {"radial": {"transform": "agnesi", "agnesi": {"q": 5.0}}},
        ["radial.agnesi.p is 4.5791", "above q = 5", "near zero take p"],
    ),
    "constants_of_a_repulsion_without_it": (
        {"energy": {"zbl_constants": {"power": 0.3}}},
        ["energy.zbl_constants has no effect", "energy.zbl: none", "outside or inside"],
    ),
    "gate_without_gate_scalars": (
        {"product_basis": {"correlation": [1, 3]}, **GATED},
        ["Layer 2", "correlation 3", "update.linear, which is 'none'", "Use 'shared' or"],
    ),
    "products_of_unequal_channels": (
        {"product_basis": {"correlation": [2, 1]}, "channels": {0: 4, 1: 2}},
        ["Layer 1", "correlation 2", "channel by channel", "update.linear: shared"],
    ),
    "width_missing_for_a_degree": (
        {"channels": {0: 4, 2: 2}, "features_l_max": [0, 2]},
        ["channels of layer 2", "no entry for l = 1", "features_l_max is 2", "from 0 to 2"],
    ),
    "identity_to_fewer_channels": (
        {"embedding_channels": 4, "channels": 2, "update": {"self_connection": "identity"}},
        ["Layer 1", "'identity' adds 4 channels of 0e to 2", "as many or more, or use 'linear'"],
    ),
    "identity_to_fewer_channels_and_their_gates": (
        {"channels": [4, 2], "update": {"self_connection": "identity", "nonlinearity": "gate"}},
        ["Layer 2", "'identity' adds 4 channels of 0e to 2"],
    ),
    "channels_of_a_one_hot": (
        {"embedding": "one_hot", "embedding_channels": 4},
        ["embedding_channels is 4", "one channel for each element", "Leave it out"],
    ),
    "power_of_a_cosine": (
        {"radial": {"envelope": "cosine", "envelope_power": 5}},
        ["radial.envelope_power is 5", "cosine has no power", "envelope: polynomial"],
    ),
    "degree_of_products_without_products": (
        {"product_basis": {"l_max": 2}},
        ["product_basis.l_max is 2", "correlation is 1 in every layer", "2 or more"],
    ),
    "shift_and_scale_to_train_without_either": (
        {"energy": {"scale": "none", "trainable": True}},
        ["energy.trainable is true", "neither a shift nor a scale", "energy.shift: mean"],
    ),
    "shift_and_scale_by_element_without_either": (
        {"energy": {"scale": "none", "per_element": True}},
        ["energy.per_element is true", "neither a shift nor a scale", "energy.shift: mean"],
    ),
    "standard_deviation_by_element": (
        {"energy": {"scale": "std", "per_element": True}},
        ["energy.per_element is true", "energy.scale: std is one number", "Use energy.scale"],
    ),
    "no_readout_at_all": (
        {"readout": {"kind": "none"}},
        ["readout.kind is 'none' for every layer", "Set at least one layer to"],
    ),
    "list_of_another_length": (
        {"channels": [4, 4, 4]},
        ["channels lists 3 values for 2 layers", "Give one value a layer"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_is(name):
    fields, parts = REFUSED[name]
    with pytest.raises(ValidationError) as error:
        Design(layers=2, **fields)
    position = -1
    for part in parts:
        assert part in str(error.value)
        assert str(error.value).index(part) > position
        position = str(error.value).index(part)


# the nearest neighbours of what is refused
ACCEPTED = {
    "bias_under_an_envelope_on_the_weights": {"radial": {"bias": True, "envelope_on": "weights"}},
    "bias_with_hidden_layers_in_one_layer": {
        "radial": {"bias": True, "envelope_on": "weights", "hidden": [[], [8]]}
    },
    "gaussians_to_train": {"radial": {"family": "gaussian", "trainable": True}},
    "jacobi_polynomials_of_either_transform": {
        "radial": {"family": "jacobi", "transform": "agnesi"},
    },
    "a_transform_that_begins_at_a_distance": {
        "radial": {
            "family": "jacobi",
            "transform": "normalised_agnesi",
            "normalised_agnesi": {"r_in": 0.5, "p": 1, "q": 2},
            "envelope": "two_sided",
            "two_sided": {"inner": 2},
        }
    },
    "linear_map_of_jacobi_polynomials_without_their_envelope": {
        "radial": {
            "family": "jacobi",
            "envelope": "two_sided",
            "envelope_on": "weights",
            "hidden": [],
        }
    },
    "two_sided_envelope_of_the_distance": {
        "radial": {"envelope": "two_sided", "two_sided": {"inner": 0, "outer": 4}}
    },
    "gate_after_products_and_a_map": {
        "product_basis": {"correlation": 3},
        "update": {"nonlinearity": "gate", "linear": "shared"},
    },
    "gate_after_products_in_another_layer": {
        "product_basis": {"correlation": [1, 3]},
        "update": {"nonlinearity": ["gate", "none"]},
    },
    "products_before_a_map_to_unequal_channels": {
        "product_basis": {"correlation": 2},
        "channels": {0: 4, 1: 2},
        "update": {"linear": "per_element"},
    },
    "products_of_channels_equal_by_degree": {
        "product_basis": {"correlation": 2},
        "channels": {0: 4, 1: 4},
    },
    "identity_to_more_channels": {
        "channels": [2, 4],
        "update": {"self_connection": "identity"},
    },
    "products_of_channels_equal_up_to_the_largest_degree": {
        "product_basis": {"correlation": 2},
        "channels": {0: 4, 1: 4, 5: 3},
    },
    "degree_of_products_in_one_layer": {"product_basis": {"l_max": 2, "correlation": [1, 2]}},
    "cosine_with_the_default_power": {"radial": {"envelope": "cosine", "envelope_power": 6}},
    "shift_to_train_by_element": {
        "energy": {"scale": "none", "shift": "mean", "trainable": True, "per_element": True}
    },
    "standard_deviation_to_train": {"energy": {"scale": "std", "trainable": True}},
    "readout_of_one_layer": {"readout": {"kind": ["linear", "none"]}},
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_is(name):
    assert Design(layers=2, **ACCEPTED[name]).layers == 2


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("layers", 0, "greater than or equal to 1"),
        ("channels", 0, "greater than or equal to 1"),
        ("embedding_channels", 0, "greater than or equal to 1"),
        ("cutoff", 0.0, "greater than 0"),
        ("cutoff", math.inf, "finite number"),
        ("cutoff", math.nan, "finite number"),
        ("l_max", 7, "less than or equal to 6"),
        ("l_max", -1, "greater than or equal to 0"),
        ("features_l_max", 7, "less than or equal to 6"),
        ("radial.number", 0, "greater than or equal to 1"),
        ("radial.envelope_power", 1, "greater than or equal to 2"),
        ("radial.hidden", [0], "greater than or equal to 1"),
        ("radial.two_sided.outer", 1, "greater than or equal to 2"),
        ("radial.two_sided.inner", -1, "greater than or equal to 0"),
        ("radial.normalised_agnesi.p", 0.5, "greater than or equal to 1"),
        ("radial.normalised_agnesi.r_in", -0.5, "greater than or equal to 0"),
        ("radial.family", "bessle", "'bessel', 'chebyshev', 'gaussian' or 'jacobi'"),
        ("update.linear", "all", "'none', 'shared' or 'per_element'"),
        ("product_basis.correlation", 5, "less than or equal to 4"),
        ("product_basis.corelation", 2, "Extra inputs are not permitted"),
        ("readout.hidden", 0, "greater than or equal to 1"),
        ("colour", "blue", "Extra inputs are not permitted"),
    ],
)
def test_value_out_of_range_is_refused_by_field_value_and_rule(field, value, rule):
    *groups, name = field.split(".")
    fields = {name: value}
    for group in reversed(groups):
        fields = {group: fields}
    with pytest.raises(ValidationError) as error:
        Design.model_validate(fields)
    for part in (field, f"input_value={value!r}" if value != [0] else "input_value=0", rule):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"first": "all", "rest": "none"}, "update.linear.apart.first"),
        ({"rest": "none", "last": "all"}, "update.linear.apart.last"),
        (["none", "all"], "update.linear.list.1"),
        ("all", "update.linear.value"),
    ],
)
def test_value_of_one_layer_is_refused_at_its_place(value, place):
    with pytest.raises(ValidationError) as error:
        Design(layers=2, update={"linear": value})
    assert [".".join(map(str, details["loc"])) for details in error.value.errors()] == [place]


def test_layer_that_is_neither_first_nor_last_nor_rest_is_refused():
    with pytest.raises(ValidationError, match="channels.apart.second"):
        Design(layers=2, channels={"rest": 4, "second": 4})
