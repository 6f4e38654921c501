"""NequIP 0.19: energy models as `nequip.model.NequIPGNNModel` builds them.

| nequip 0.19 with e3nn 0.6 | here |
|---|---|
| edge vector sender - receiver | the same |
| 2 pi / r_max^2 sinc(n x) n u(x), x = r / r_max | sqrt(2 / r_c) sin(n pi x) / r u(x) |
| radial network without unit second moment | its constants are in the next map |
| h / sqrt(N) before the edges | `atomic_basis.pooling: sqrt_N` |
| self-connection by the embedding of z | self-connection by z itself |
| per-type shift | E0, or a shift where it is trained |
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from multiace.activation import Activation
from multiace.deploy.importers.e3nn import (
    Reading,
    Weights,
    convert_atomic_basis,
    fill_linear,
    per_element_blocks,
    prefixed,
    slots,
)
from multiace.deploy.importers.nequip_design import (
    edge_harmonics,
    neighbours_of_types,
    nequip_design,
    nequip_statistics,
    type_order,
)
from multiace.deploy.importers.neutral import ImportModelError, Neutral
from multiace.design.layout import SCALAR, layouts
from multiace.layer.atomic_basis import AtomicBasis
from multiace.layer.layer import Layer
from multiace.o3.irreps import Irrep, Irreps
from multiace.potential import Potential
from multiace.readout import MLPReadout

_FUNC = "model.func."
_CONSTANTS = re.compile(
    r"_w3j_\d+_\d+_\d+|model\.func\.(edge_norm\._rmax_recip|pair_potential\..*"
    r"|per_type_energy_scale_shift\.(scales|shifts)|.*\.avg_num_neighbors_norm\.norm_const"
    r"|bessel_encode\.bessel_weights|.*\.alpha)"
)


def import_nequip(
    neutral: Neutral, *, head: str | None = None, dtype: torch.dtype, prune: bool = True
) -> Potential:
    """Build a Potential from a NequIP model.

    Args:
        neutral: what the exporter wrote.
        head: None; NequIP models have no heads.
        dtype: dtype of the Potential.
        prune: leave out what cannot reach a readout.

    Returns:
        A Potential with the same energies, forces and stress.

    Raises:
        ImportModelError: a model with parts that are not supported, named one by one.
    """
    if head is not None:
        raise ImportModelError(
            f"there is no head {head!r}: models of NequIP have one output. Leave the head out."
        )
    weights = Reading({name: tensor.double() for name, tensor in neutral.tensors.items()})
    settings = neutral.settings
    design = nequip_design(settings, weights)
    if not prune and design.parity == "both":
        raise ImportModelError(
            "prune=False lays out pseudoscalars in the last layer, which NequIP does not have "
            "there. Leave prune at True."
        )
    statistics = nequip_statistics(settings, weights)
    elements = tuple(type_order(settings["type_names"]))
    potential = Potential(design, elements, statistics, dtype=dtype, prune=prune)
    potential.load_state_dict(_convert(potential, weights, settings))
    weights.check_all_read(_CONSTANTS)
    return potential


def _convert(
    potential: Potential, weights: Weights, settings: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return the weights of a Potential in terms of those of the file."""
    types = list(type_order(settings["type_names"]).values())
    embedding = weights[f"{_FUNC}type_embed.embed_module.weight"][types]
    result = {"model.embedding.weights": embedding}
    if potential.design.radial.trainable:
        frequencies = weights[f"{_FUNC}bessel_encode.bessel_weights"].reshape(-1)
        result["model.edge_functions.radial_basis.constants"] = math.pi * frequencies
    neighbours = neighbours_of_types(settings, weights)
    rows = layouts(potential.design, len(types), prune=potential.pruned)
    for t, (module, row) in enumerate(zip(potential.model.layers, rows, strict=True)):
        layer, described = cast(Layer, module), settings["layers"][t]
        prefix, name = f"{_FUNC}layer{t}_convnet.conv.", f"model.layers.{t}."
        columns = _gate_columns(described["gate"], row.features_out)
        basis = _convert_atomic_basis(layer.atomic_basis, weights, prefix, settings, t)
        pooled = f"after_pooling.0.weights.{SCALAR}"
        basis[pooled] = basis[pooled][:, columns]
        if len(neighbours) > 1:
            factors = (potential.statistics.mean_neighbours / neighbours[types]).sqrt()
            for key in [key for key in basis if key.startswith("before_edges.")]:
                basis[key] = factors.view(-1, 1, 1) * basis[key]
        result.update(prefixed(f"{name}atomic_basis.", basis))
        if layer.update.self_connection is not None:
            blocks = _self_connection(weights[f"{prefix}sc.weight"], described, embedding)
            blocks[SCALAR] = blocks[SCALAR][..., columns]
            connection = layer.update.self_connection
            result.update(fill_linear(connection, f"{name}update.self_connection.", blocks))
    result.update(_convert_readout(potential, weights, settings["ScalarMLP"]))
    trained = prefixed("model.baseline.", dict(potential.model.baseline.named_parameters()))
    return result | {name: number.detach() for name, number in trained.items()}


def _convert_atomic_basis(
    ours: AtomicBasis, weights: Weights, prefix: str, settings: Mapping[str, Any], t: int
) -> dict[str, Tensor]:
    described = settings["layers"][t]
    irreps_in = Irreps.parse(described["irreps_in"])
    irreps_conv = Irreps.parse(described["irreps_conv"])
    l_max = max(irrep.l for irrep in edge_harmonics(settings))
    foreign = slots(irreps_in, l_max, set(irreps_conv.irreps), sort=False)
    named = {name: weights[name] for name in weights if name.startswith("_w3j_")}
    named["linear_up.weight"] = weights[f"{prefix}linear_1.weight"]
    named["linear.weight"] = weights[f"{prefix}linear_2.weight"]
    for n, name in enumerate(described["radial"]["linears"]):
        scale = 1.0 / settings["activation_constants"]["silu"] if n else _basis_scale(settings)
        weight = _unscaled(weights, f"{prefix}edge_mlp.mlp.{name}.")
        named[f"conv_tp_weights.layer{n}.weight"] = weight * scale
    return convert_atomic_basis(
        ours, named, "", irreps_in, irreps_conv, foreign, edges_reversed=False
    )


def _basis_scale(settings: Mapping[str, Any]) -> float:
    """Radial basis of NequIP in units of ours."""
    r_max = settings["EdgeLengthNormalizer"]["r_max"]
    return settings["ApplyFactor"]["factor"] * r_max**1.5 / (math.pi * math.sqrt(2.0))


def _unscaled(weights: Weights, prefix: str) -> Tensor:
    """Weights of a ScalarLinearLayer, to be divided by sqrt(fan-in) as ours are."""
    weight = weights[f"{prefix}weight"]
    return weight * weights[f"{prefix}alpha"] * len(weight) ** 0.5


def _gate_columns(gate: Mapping[str, Any], features_out: Irreps) -> list[int]:
    """Columns of the even scalars that hold our scalars and gates, in our order.

    NequIP keeps scalars, then gates, in the order of what they gate.
    """
    width = {irrep: channels for channels, irrep in Irreps.parse(gate["irreps_scalars"]).entries}
    gated = Irreps.parse(gate["irreps_gated"]).entries if gate["irreps_gated"] else ()
    start = width[SCALAR]
    columns = {SCALAR: range(start)}
    for channels, irrep in gated:
        columns[irrep] = range(start, start + channels)
        start += channels
    return [c for irrep in features_out.irreps for c in columns.get(irrep, ())]


def _self_connection(
    flat: Tensor, described: Mapping[str, Any], embedding: Tensor
) -> dict[Irrep, Tensor]:
    """Contract the product with the embedding into one matrix an element: (elements, in, out)."""
    irreps_in = Irreps.parse(described["irreps_in"])
    irreps_conv = Irreps.parse(described["irreps_conv"])
    channels = embedding.shape[1]
    blocks = per_element_blocks(flat, irreps_in, irreps_conv, channels)
    return {
        irrep: torch.einsum("zv,vio->zio", embedding, block) / math.sqrt(channels)
        for irrep, block in blocks.items()
    }


def _convert_readout(
    potential: Potential, weights: Weights, described: Mapping[str, Any]
) -> dict[str, Tensor]:
    ((t, readout),) = potential.model.readouts.items()
    prefix = f"{_FUNC}per_atom_energy_readout.mlp_module.mlp."
    if isinstance(readout, MLPReadout):
        first, second = (_unscaled(weights, f"{prefix}{n}.") for n in described["linears"])
        activation = cast(Activation, readout.activation)
        readout_weights = {"first": first, "second": second / activation.constant}
    elif len(described["linears"]) == 1:
        readout_weights = {"weights": _unscaled(weights, f"{prefix}{described['linears'][0]}.")}
    else:  # linear maps one after the other are one
        maps = [weights[f"{prefix}{name}"] for name in described["linears"]]
        product = torch.linalg.multi_dot(maps) * weights[f"{prefix}alpha"]
        readout_weights = {"weights": product * len(product) ** 0.5}
    return prefixed(f"model.readouts.{t}.", readout_weights)
