"""BOTNet, NequIP and NequIP-linear as the code of Batatia et al. 2025 keeps them.

A model is a mapping of tensors under their original names, and its settings: `r_max`,
`num_bessel`, `polynomial_cutoff_p`, `l_max_edges`, `layers`, `hidden_irreps`, `elements`,
`atomic_energies`, `average_neighbours`, `scale`, `shift`, and `layers_irreps` (`irreps_in1` and
`linear_out` of each layer).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from multiace.deploy.importers.e3nn import (
    E3NN_ACTIVATIONS,
    Reading,
    Weights,
    convert_atomic_basis,
    convert_readouts,
    fill_linear,
    foreign_statistics,
    per_element_blocks,
    prefixed,
    slots,
)
from multiace.design import Design
from multiace.design.layout import SCALAR, layouts
from multiace.layer.layer import Layer
from multiace.o3.irreps import Irreps
from multiace.potential import Potential


def botnet_design(weights: Weights, settings: Mapping[str, Any]) -> Design:
    """Read the Design off the weights and settings of a model of the paper's code."""
    layers = settings["layers"]
    hidden = Irreps.parse(settings["hidden_irreps"])
    n_elements = len(settings["elements"])
    first = weights["interactions.0.skip_tp.weight"].numel()
    per_layer = len({name.split(".")[1] for name in weights if name.startswith("readouts.")}) > 1
    gated = "interactions.0.equivariant_nonlin.mul.weight" in weights
    residual = first == _residual_size(settings, n_elements)
    tables = [f"interactions.{t}.conv_tp_weights.weights" in weights for t in range(layers)]
    networks = [[] if table else [64, 64, 64] for table in tables]
    return Design.model_validate(
        {
            "layers": layers,
            "channels": hidden.channels[0],
            "l_max": settings["l_max_edges"],
            "features_l_max": max(irrep.l for irrep in hidden.irreps),
            "parity": "both",
            "cutoff": settings["r_max"],
            "radial": {
                "number": settings["num_bessel"],
                "envelope_power": settings["polynomial_cutoff_p"],
                "hidden": networks,
                "species": ["sender" if table else "none" for table in tables],
            },
            "atomic_basis": {
                "after_pooling": "shared"
                if residual
                else {"first": "shared_then_per_element", "rest": "shared"}
            },
            "update": {
                "self_connection": "per_element"
                if residual
                else {"first": "none", "rest": "per_element"},
                "nonlinearity": "gate" if gated else "none",
            },
            "readout": {
                "kind": {"rest": "linear" if per_layer else "none", "last": "mlp"},
                "activation": "silu" if per_layer else "none",
            },
            "energy": {
                "shift": "none" if settings["shift"] is None else "mean",
                "scale": "none" if settings["scale"] is None else "rms_forces",
            },
            "normalisation": {"count_elements": True, "activation": E3NN_ACTIVATIONS},
        }
    )


def _residual_size(settings: Mapping[str, Any], n_elements: int) -> int:
    """Weights of a first self-connection that reads h^(0), which has scalars only."""
    first = settings["layers_irreps"][0]
    scalars_in = Irreps.parse(first["irreps_in1"]).channels[0]
    out = Irreps.parse(first["linear_out"])
    return scalars_in * n_elements * out.channels[out.index(SCALAR)]


def import_botnet(
    weights: Weights, settings: Mapping[str, Any], *, dtype: torch.dtype, prune: bool = True
) -> Potential:
    """Build a Potential from a model of the paper's code.

    Args:
        weights: tensors under their original names.
        settings: see the head of this module.
        dtype: dtype of the Potential.
        prune: leave out what cannot reach a readout.

    Returns:
        A Potential with the same energies, forces and contributions.
    """
    statistics = foreign_statistics(settings)
    design = botnet_design(weights, settings)
    potential = Potential(design, tuple(settings["elements"]), statistics, dtype=dtype, prune=prune)
    reading = Reading(weights)
    potential.load_state_dict(convert_botnet(potential, reading, settings))
    reading.check_complete(settings["r_max"])
    return potential


def convert_botnet(
    potential: Potential, weights: Weights, settings: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return the weights of a Potential in terms of those of the file; linear in them."""
    model, n_elements = potential.model, len(settings["elements"])
    channels = Irreps.parse(settings["layers_irreps"][0]["irreps_in1"]).channels[0]
    result = {
        "model.embedding.weights": weights["node_embedding.linear.weight"].reshape(
            n_elements, channels
        )
    }
    hidden = Irreps.parse(settings["hidden_irreps"])
    for t, irreps in enumerate(settings["layers_irreps"]):
        layer, name = cast(Layer, model.layers[t]), f"model.layers.{t}."
        irreps_in = Irreps.parse(irreps["irreps_in1"])
        linear_out = Irreps.parse(irreps["linear_out"])
        foreign = slots(irreps_in, settings["l_max_edges"], set(hidden.irreps), sort=False)
        basis = convert_atomic_basis(
            layer.atomic_basis, weights, f"interactions.{t}.", irreps_in, linear_out, foreign
        )
        gates = {}
        if potential.design.per_layer("update.nonlinearity")[t] == "gate":
            features_out = layouts(potential.design, n_elements, prune=potential.pruned)[
                t
            ].features_out
            gates[SCALAR] = _gate_columns(linear_out, hidden, features_out)
        for irrep, columns in gates.items():
            key = f"after_pooling.0.weights.{irrep}"
            if key in basis:
                basis[key] = basis[key][:, columns]
        result.update(prefixed(f"{name}atomic_basis.", basis))
        skip = weights[f"interactions.{t}.skip_tp.weight"]
        if len(layer.atomic_basis.after_pooling) == 2:
            blocks = per_element_blocks(skip, linear_out, linear_out, n_elements)
            second = layer.atomic_basis.after_pooling[1]
            result.update(fill_linear(second, f"{name}atomic_basis.after_pooling.1.", blocks))
        else:
            blocks = per_element_blocks(skip, irreps_in, linear_out, n_elements)
            for irrep, columns in gates.items():
                blocks[irrep] = blocks[irrep][..., columns]
            connection = layer.update.self_connection
            result.update(fill_linear(connection, f"{name}update.self_connection.", blocks))
    return result | convert_readouts(potential, weights)


def _gate_columns(linear_out: Irreps, hidden: Irreps, features_out: Irreps) -> list[int]:
    """Columns of the even scalars that hold our scalars and gates, in our order."""
    width = {irrep: channels for channels, irrep in hidden.entries}
    there = [SCALAR] + [i for i in linear_out.irreps if i.l > 0]
    starts, start = {}, 0
    for irrep in there:
        starts[irrep] = start
        start += width[irrep]
    ours = [irrep for irrep in features_out.irreps if irrep == SCALAR or irrep.l > 0]
    return [starts[irrep] + c for irrep in ours for c in range(width[irrep])]
