"""MACE as mace-torch 0.3.x with e3nn 0.4.4 keeps it: ScaleShiftMACE with agnostic blocks.

A model is a mapping of tensors under their original names, and its settings: `r_max`,
`num_bessel`, `polynomial_cutoff_p`, `l_max_edges`, `layers`, `hidden_irreps`, `correlation`,
`elements`, `atomic_energies`, `average_neighbours`, `scale`, `shift` and `first_block`. The
product couplings of mace-torch come along as arrays, because the sign of each is e3nn's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
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
    linear_blocks,
    per_element_blocks,
    prefixed,
    slots,
)
from multiace.design import Design
from multiace.layer.layer import Layer
from multiace.layer.message import Message
from multiace.o3.couplings import product_couplings
from multiace.o3.irreps import Irrep, Irreps
from multiace.potential import Potential

Couplings = Callable[[int, int], np.ndarray]
"""(L, order) -> mace-torch's U: (2L+1 if L > 0, lm of each factor, path)."""

_RESIDUAL = "RealAgnosticResidualInteractionBlock"
_NON_RESIDUAL = "RealAgnosticInteractionBlock"


def mace_design(settings: Mapping[str, Any]) -> Design:
    """Return the Design of a ScaleShiftMACE.

    Raises:
        ValueError: a first block that is neither of the two agnostic ones.
    """
    block = settings["first_block"]
    if block not in (_RESIDUAL, _NON_RESIDUAL):
        raise ValueError(
            f"the first interaction block {block!r} is not supported: {_RESIDUAL} and "
            f"{_NON_RESIDUAL} are."
        )
    residual = block == _RESIDUAL
    hidden = Irreps.parse(settings["hidden_irreps"])
    return Design.model_validate(
        {
            "layers": settings["layers"],
            "channels": hidden.channels[0],
            "l_max": settings["l_max_edges"],
            "features_l_max": {"rest": max(i.l for i in hidden.irreps), "last": 0},
            "parity": "natural",
            "cutoff": settings["r_max"],
            "radial": {
                "number": settings["num_bessel"],
                "envelope_power": settings["polynomial_cutoff_p"],
                "hidden": [64, 64, 64],
            },
            "atomic_basis": {
                "after_pooling": "shared"
                if residual
                else {"first": "shared_then_per_element", "rest": "shared"}
            },
            "product_basis": {"correlation": settings["correlation"], "basis": "mace"},
            "update": {
                "linear": "shared",
                "self_connection": "per_element"
                if residual
                else {"first": "none", "rest": "per_element"},
            },
            "readout": {"kind": {"rest": "linear", "last": "mlp"}},
            "energy": {"shift": "mean", "scale": "rms_forces"},
            "normalisation": {"count_elements": True, "activation": E3NN_ACTIVATIONS},
        }
    )


def import_mace(
    weights: Weights,
    settings: Mapping[str, Any],
    couplings: Couplings,
    *,
    dtype: torch.dtype,
    prune: bool = True,
) -> Potential:
    """Build a Potential from a ScaleShiftMACE.

    Args:
        weights: tensors under their original names.
        settings: see the head of this module.
        couplings: the U of mace-torch.
        dtype: dtype of the Potential.
        prune: leave out what cannot reach a readout.

    Returns:
        A Potential with the same energies, forces and stress.
    """
    statistics = foreign_statistics(settings)
    elements = tuple(settings["elements"])
    potential = Potential(mace_design(settings), elements, statistics, dtype=dtype, prune=prune)
    reading = Reading(weights)
    potential.load_state_dict(convert_mace(potential, reading, settings, couplings))
    reading.check_complete(settings["r_max"])
    return potential


def convert_mace(
    potential: Potential, weights: Weights, settings: Mapping[str, Any], couplings: Couplings
) -> dict[str, Tensor]:
    """Return the weights of a Potential in terms of those of the file; linear in them."""
    n_elements, l_max = len(settings["elements"]), settings["l_max_edges"]
    hidden = Irreps.parse(settings["hidden_irreps"])
    channels = hidden.channels[0]
    interaction = Irreps.of(channels, [Irrep.natural(l) for l in range(l_max + 1)])
    scalars = Irreps(hidden.entries[:1])
    result = {
        "model.embedding.weights": weights["node_embedding.linear.weight"].reshape(
            n_elements, channels
        )
    }
    irreps_in = scalars
    for t, module in enumerate(potential.model.layers):
        layer = cast(Layer, module)
        name, block = f"model.layers.{t}.", f"interactions.{t}."
        irreps_out = scalars if t == settings["layers"] - 1 else hidden
        foreign = slots(irreps_in, l_max, set(interaction.irreps), sort=True)
        basis = layer.atomic_basis
        converted = convert_atomic_basis(basis, weights, block, irreps_in, interaction, foreign)
        result.update(prefixed(f"{name}atomic_basis.", converted))
        skip = weights[f"{block}skip_tp.weight"]
        if len(basis.after_pooling) == 2:
            blocks = per_element_blocks(skip, interaction, interaction, n_elements)
            second = basis.after_pooling[1]
            result.update(fill_linear(second, f"{name}atomic_basis.after_pooling.1.", blocks))
        else:
            blocks = per_element_blocks(skip, irreps_in, irreps_out, n_elements)
            connection = layer.update.self_connection
            result.update(fill_linear(connection, f"{name}update.self_connection.", blocks))
        converted = _convert_message(
            cast(Message, layer.message), weights, f"products.{t}.", couplings
        )
        result.update(prefixed(f"{name}message.", converted))
        blocks = linear_blocks(weights[f"products.{t}.linear.weight"], irreps_out, irreps_out)
        result.update(fill_linear(layer.update.linear, f"{name}update.linear.", blocks))
        irreps_in = irreps_out
    return result | convert_readouts(potential, weights)


def _convert_message(
    message: Message, weights: Weights, prefix: str, couplings: Couplings
) -> dict[str, Tensor]:
    """Map the weights of a symmetric contraction, the sign of each path included."""
    basis = message.product_basis
    result = {}
    for n, irrep in enumerate(basis.irreps_out.irreps):
        contraction = f"{prefix}symmetric_contractions.contractions.{n}."
        for order in range(1, basis.correlation + 1):
            # mace-torch keeps the highest order apart and lists the others downwards
            highest = order == basis.correlation
            name = "weights_max" if highest else f"weights.{basis.correlation - 1 - order}"
            ours = product_couplings(basis.irreps_in.irreps, irrep, order, "mace")
            signs = _coupling_signs(ours.monomials, ours.coefficients, couplings(irrep.l, order))
            theirs = weights[contraction + name]
            result[f"weights.{irrep}_order{order}"] = theirs * signs.to(theirs).unsqueeze(1)
    return result


def _coupling_signs(monomials: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> Tensor:
    """Sign of each of our couplings against mace-torch's, from all their coefficients."""
    theirs = theirs.reshape(ours.shape[0], *theirs.shape[-monomials.shape[1] - 1 :])
    coefficients = np.zeros_like(ours)
    position = {tuple(row): q for q, row in enumerate(monomials)}
    for index in zip(*np.nonzero(np.abs(theirs).sum(axis=(0, -1))), strict=True):
        key = tuple(sorted(int(component) for component in index))
        if key in position:  # antisymmetric parts cancel over the orders of a monomial
            coefficients[:, position[key]] += theirs[(slice(None), *index)]
    return torch.from_numpy(np.sign((coefficients * ours).sum(axis=(0, 1))))
