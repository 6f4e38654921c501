"""Weights of MACE and ScaleShiftMACE, as mace-torch 0.3 with e3nn 0.4.4 keeps them.

| mace-torch | here |
|---|---|
| edge vector receiver - sender | sender - receiver |
| couplings with signs of e3nn, or reduced | ours, by their values at probe vectors |
| one output for each head | one head |
| correlation 1: w_z B, then W | `update.linear: per_element`, W_z = w_z W |
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast, get_args

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
    check_settings,
    head_number,
    mace_design,
    mace_statistics,
)
from multiace.deploy.importers.neutral import ImportModelError, Neutral
from multiace.layer.layer import Layer
from multiace.layer.linear import EquivariantLinear
from multiace.layer.product_basis import ProductBasis
from multiace.o3.couplings import CouplingBasis, count_couplings, product_couplings
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
    check_settings(settings)
    design = mace_design(
        settings,
        basis=_coupling_basis(weights, settings),
        trained_frequencies=_are_trained(weights, settings["cutoff"]),
    )
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
        contraction = _contraction(t, n)
        if layer.message is None:  # correlation 1: W_z = w_z W, and w W where elements are alike
            one_factor = ProductBasis(irreps_in, irreps_out, 1, "mace")
            of_channels = _of_order(one_factor, irrep, 1, contraction, weights).mT
            mapped = of_channels * linear[irrep] * math.sqrt(len(of_channels))
            linear[irrep] = mapped if per_element else mapped.squeeze(0)
            continue
        basis = layer.message.product_basis
        for order in range(1, basis.correlation + 1):
            if (irrep, order) in basis.n_paths:
                converted = _of_order(basis, irrep, order, contraction, weights)
                result[f"message.weights.{irrep}_order{order}"] = converted
        weights.leave_out(contraction)  # irreps that are pruned, orders without couplings
    return result | fill_linear(layer.update.linear, "update.linear.", linear)


def _contraction(t: int, n: int) -> str:
    """Prefix of the tensors of layer t that lead to its n-th irrep."""
    return f"products.{t}.symmetric_contractions.contractions.{n}."


def _of_order(
    basis: ProductBasis, irrep: Irrep, order: int, contraction: str, weights: Weights
) -> Tensor:
    """Return the weights (elements, paths, channels) of our couplings to one irrep.

    Couplings that are those of ours but for a sign take it over. Reduced ones, a basis of the same
    space, give w = T w' where U' = U T.
    """
    # mace-torch keeps the highest order apart and lists the others downwards
    highest = order == basis.correlation
    name = "weights_max" if highest else f"weights.{basis.correlation - 1 - order}"
    theirs, probed = weights[contraction + name], weights[f"{contraction}probed_{order}"]
    ours = _at_probes(basis, irrep, order, weights["probes"])
    if basis.basis == "mace":
        overlap = (ours * probed).sum(dim=(0, 1))
        transform = torch.where(overlap < 0.0, -1.0, 1.0).diag().to(ours)  # both may vanish
    else:
        equations, values = ours.flatten(0, 1), probed.flatten(0, 1)  # (probes x M, paths)
        if len(equations) <= equations.shape[1]:
            raise ImportModelError(
                f"reduced products of {order} factors to {irrep} have {equations.shape[1]} "
                f"couplings: up to {len(equations) - 1} are supported. Use a smaller correlation."
            )
        transform = torch.linalg.lstsq(equations, values).solution
    if (ours @ transform - probed).abs().max() > _SAME_COUPLING * ours.abs().max():
        raise ImportModelError(
            f"the couplings of {order} factors to {irrep} are not those that mace-torch builds, "
            "unreduced or reduced. The model cannot be imported."
        )
    return torch.einsum("pq,zqc->zpc", transform.to(theirs), theirs)


def _at_probes(basis: ProductBasis, irrep: Irrep, order: int, probes: Tensor) -> Tensor:
    """Return the couplings at the probe vectors: (probes, M, paths)."""
    couplings = product_couplings(basis.irreps_in.irreps, irrep, order, basis.basis)
    monomials = torch.from_numpy(couplings.monomials.copy())  # (monomials, order)
    products = probes[:, monomials].prod(dim=2)  # (probes, monomials)
    coefficients = torch.from_numpy(couplings.coefficients.copy())
    return torch.einsum("aq,mqp->amp", products, coefficients)


def _coupling_basis(weights: Weights, settings: Mapping[str, Any]) -> CouplingBasis:
    """Tell unreduced couplings from reduced ones by their numbers.

    Raises:
        ImportModelError: neither.
    """
    counts = []
    for t, product in enumerate(settings["products"]):
        factors = Irreps.parse(product["irreps_in"]).irreps
        for n, irrep in enumerate(Irreps.parse(product["irreps_out"]).irreps):
            for order in range(1, product["correlation"][0] + 1):
                n_paths = weights[f"{_contraction(t, n)}probed_{order}"].shape[2]
                counts.append((n_paths, factors, irrep, order))
    for basis in get_args(CouplingBasis):
        # where there are no couplings, mace-torch has one that vanishes
        if all(
            n_paths == (count_couplings(factors, irrep, order, basis) or 1)
            for n_paths, factors, irrep, order in counts
        ):
            return basis
    raise ImportModelError(
        "the products have numbers of couplings that are neither those of mace-torch (unreduced) "
        "nor those of cuEquivariance (use_reduced_cg). The model cannot be imported."
    )
