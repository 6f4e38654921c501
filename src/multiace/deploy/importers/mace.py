"""Weights of MACE and ScaleShiftMACE, as mace-torch 0.3 with e3nn 0.4.4 keeps them.

| mace-torch | here |
|---|---|
| edge vector receiver - sender | sender - receiver |
| couplings with signs of e3nn | ours, compared by their values at probe vectors |
| one output for each head | one head |
| correlation 1: w_z B, then W | `update.linear: per_element`, W_z = w_z W |
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from multiace.deploy.importers.e3nn import (
    Reading,
    Weights,
    convert_atomic_basis,
    convert_readouts,
    fill_linear,
    linear_blocks,
    per_element_blocks,
    prefixed,
    slots,
)
from multiace.deploy.importers.mace_design import (
    BLOCKS,
    head_number,
    mace_design,
    mace_statistics,
)
from multiace.deploy.importers.neutral import ImportModelError, Neutral
from multiace.layer.layer import Layer
from multiace.layer.linear import EquivariantLinear
from multiace.layer.message import Message
from multiace.o3.couplings import product_couplings
from multiace.o3.irreps import Irrep, Irreps
from multiace.potential import Potential

_FREQUENCIES = "radial_embedding.bessel_fn.bessel_weights"
_NOT_WEIGHTS = re.compile(rf".*_w3j_\d+_\d+_\d+|{re.escape(_FREQUENCIES)}|probes|.*\.probed_\d")
_SAME_COUPLING = 1e-4  # of the largest value: files may be in float32


def import_mace(
    neutral: Neutral, *, head: str | None = None, dtype: torch.dtype, prune: bool = True
) -> Potential:
    """Build a Potential from a MACE or ScaleShiftMACE.

    Args:
        neutral: what the exporter wrote.
        head: which head, where there are several.
        dtype: dtype of the Potential.
        prune: leave out what cannot reach a readout.

    Returns:
        A Potential with the same energies, forces and stress.

    Raises:
        ImportModelError: a model with parts that are not supported, named one by one.
    """
    version = neutral.versions.get("mace-torch", "")
    if not version.startswith("0.3."):
        raise ImportModelError(
            f"the model was exported by mace-torch {version}: only 0.3.x is supported. Open the "
            "file with an environment that has it."
        )
    settings, number = neutral.settings, head_number(neutral.settings, head)
    weights = Reading({name: tensor.double() for name, tensor in neutral.tensors.items()})
    design = mace_design(settings, trained_frequencies=_are_trained(weights, settings["cutoff"]))
    elements, statistics = tuple(settings["elements"]), mace_statistics(settings, number)
    potential = Potential(design, elements, statistics, dtype=dtype, prune=prune)
    potential.load_state_dict(convert_mace(potential, weights, settings, number))
    weights.check_all_read(_NOT_WEIGHTS)
    return potential


def _are_trained(weights: Weights, cutoff: float) -> bool:
    """Whether the Bessel frequencies are others than n pi / cutoff."""
    if _FREQUENCIES not in weights:
        return False
    frequencies = weights[_FREQUENCIES]
    n = torch.arange(1, len(frequencies) + 1, dtype=frequencies.dtype)
    return not torch.allclose(frequencies, n * math.pi / cutoff, rtol=1e-6)


def convert_mace(
    potential: Potential, weights: Reading, settings: Mapping[str, Any], head: int
) -> dict[str, Tensor]:
    """Return the weights of a Potential in terms of those of the file.

    Linear in them where no correlation is 1.
    """
    n_elements = len(settings["elements"])
    features = Irreps.parse(settings["interactions"][0]["features"])
    embedding = weights["node_embedding.linear.weight"]
    result = {"model.embedding.weights": embedding.reshape(n_elements, features.dim)}
    if potential.design.radial.trainable:
        frequencies = weights[_FREQUENCIES] * settings["cutoff"]
        result["model.edge_functions.radial_basis.constants"] = frequencies
    for t, module in enumerate(potential.model.layers):
        converted = _convert_layer(cast(Layer, module), t, weights, settings)
        result.update(prefixed(f"model.layers.{t}.", converted))
    n_heads = len(settings["heads"])
    return result | convert_readouts(potential, weights, head=head, n_heads=n_heads)


def _convert_layer(
    layer: Layer, t: int, weights: Reading, settings: Mapping[str, Any]
) -> dict[str, Tensor]:
    n_elements, block = len(settings["elements"]), settings["interactions"][t]
    prefix, basis = f"interactions.{t}.", layer.atomic_basis
    features, target = Irreps.parse(block["features"]), Irreps.parse(block["target"])
    irreps_out = Irreps.parse(settings["products"][t]["irreps_out"])
    l_max = max(irrep.l for irrep in Irreps.parse(settings["harmonics"]).irreps)
    foreign = slots(features, l_max, set(target.irreps), sort=True)
    converted = convert_atomic_basis(basis, weights, prefix, features, target, foreign)
    result = prefixed("atomic_basis.", converted)
    skip = weights[f"{prefix}skip_tp.weight"]
    has_density, is_residual = BLOCKS[block["class"]]
    if is_residual:
        blocks = per_element_blocks(skip, features, irreps_out, n_elements)
        connection = layer.update.self_connection
        result.update(fill_linear(connection, "update.self_connection.", blocks))
    else:
        blocks = per_element_blocks(skip, target, target, n_elements)
        second = basis.after_pooling[1]
        result.update(fill_linear(second, "atomic_basis.after_pooling.1.", blocks))
    if has_density:
        density = weights[f"{prefix}density_fn.layer0.weight"]
        result["atomic_basis.density.weights"] = density.squeeze(1)
    return result | _convert_product(layer, t, weights, target, irreps_out)


def _convert_product(
    layer: Layer, t: int, weights: Reading, irreps_in: Irreps, irreps_out: Irreps
) -> dict[str, Tensor]:
    """Map the symmetric contraction and the linear map after it."""
    linear = linear_blocks(weights[f"products.{t}.linear.weight"], irreps_out, irreps_out)
    per_element = cast(EquivariantLinear, layer.update.linear).per_element
    result = {}
    for n, irrep in enumerate(irreps_out.irreps):
        contraction = f"products.{t}.symmetric_contractions.contractions.{n}."
        if layer.message is None:  # correlation 1: W_z = w_z W, and w W where elements are alike
            of_channels = _signed(contraction, 1, 1, irreps_in, irrep, weights).mT
            mapped = of_channels * linear[irrep] * math.sqrt(len(of_channels))
            linear[irrep] = mapped if per_element else mapped.squeeze(0)
        elif irrep in layer.message.product_basis.irreps_out.irreps:
            converted = _convert_message(layer.message, irrep, contraction, weights)
            result.update(prefixed("message.", converted))
        weights.leave_out(contraction)  # irreps that are pruned, orders without couplings
    return result | fill_linear(layer.update.linear, "update.linear.", linear)


def _convert_message(
    message: Message, irrep: Irrep, contraction: str, weights: Weights
) -> dict[str, Tensor]:
    """Map the weights of a symmetric contraction, the sign of each path included."""
    basis = message.product_basis
    return {
        f"weights.{irrep}_order{order}": _signed(
            contraction, order, basis.correlation, basis.irreps_in, irrep, weights
        )
        for order in range(1, basis.correlation + 1)
        if (irrep, order) in basis.n_paths
    }


def _signed(
    contraction: str,
    order: int,
    correlation: int,
    irreps_in: Irreps,
    irrep: Irrep,
    weights: Weights,
) -> Tensor:
    """Return the weights (elements, paths, channels) of one order for our signs of couplings."""
    # mace-torch keeps the highest order apart and lists the others downwards
    name = "weights_max" if order == correlation else f"weights.{correlation - 1 - order}"
    signs = _signs(
        irreps_in, irrep, order, weights["probes"], weights[f"{contraction}probed_{order}"]
    )
    theirs = weights[contraction + name]
    return theirs * signs.to(theirs).unsqueeze(1)


def _signs(irreps_in: Irreps, irrep: Irrep, order: int, probes: Tensor, theirs: Tensor) -> Tensor:
    """Return the sign of each coupling of ours against theirs, from values at probe vectors.

    Raises:
        ImportModelError: couplings that differ by more than a sign.
    """
    couplings = product_couplings(irreps_in.irreps, irrep, order, "mace")
    monomials = torch.from_numpy(couplings.monomials.copy())  # (monomials, order)
    products = probes[:, monomials].prod(dim=2)  # (probes, monomials)
    coefficients = torch.from_numpy(couplings.coefficients.copy())
    ours = torch.einsum("aq,mqp->amp", products, coefficients)  # (probes, M, paths)
    if ours.shape == theirs.shape:
        overlap = (ours * theirs).sum(dim=(0, 1))
        signs = torch.where(overlap < 0.0, -1.0, 1.0)  # both vanish where a chain does
        if (ours * signs - theirs).abs().max() <= _SAME_COUPLING * ours.abs().max():
            return signs
    raise ImportModelError(
        f"the products of {order} factors to {irrep} have {theirs.shape[2]} couplings, which are "
        f"not the {ours.shape[2]} unreduced ones of mace-torch: models built with use_reduced_cg "
        "and cuequivariance are not supported. Build the model with use_reduced_cg=False."
    )
