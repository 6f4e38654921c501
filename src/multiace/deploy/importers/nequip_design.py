"""What a NequIP model is, as a Design and Statistics; what cannot be said is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from multiace.deploy.importers.e3nn import Weights
from multiace.deploy.importers.neutral import ImportModelError
from multiace.design import Design, Statistics
from multiace.design.layout import SCALAR, layouts
from multiace.elements import ElementError, atomic_number, symbol_of
from multiace.o3.irreps import Irrep, Irreps

_PARTS = {
    "NodeTypeEmbed",
    "SphericalHarmonicEdgeAttrs",
    "EdgeLengthNormalizer",
    "BesselEdgeLengthEncoding",
    "ApplyFactor",
    "ConvNetLayer",
    "ScalarMLP",
    "PerTypeScaleShift",
    "AtomwiseReduce",
}
_OPTIONAL_PARTS = {"ZBL"}
_ACTIVATIONS = {"SiLU": "silu", "Tanh": "tanh"}


def type_order(type_names: list[str]) -> dict[int, int]:
    """Return atomic number -> position among the types of the model, by atomic number.

    Raises:
        ImportModelError: types that are not chemical elements.

    Example:
        >>> type_order(["O", "H"])
        {1: 1, 8: 0}
    """
    try:
        numbers = [atomic_number(name) for name in type_names]
    except ElementError as error:
        raise ImportModelError(
            f"the types of the model are {', '.join(type_names)}, and {error} Types of atoms must "
            "be elements: rename them in the configuration of the model."
        ) from None
    return {number: numbers.index(number) for number in sorted(numbers)}


def nequip_design(settings: Mapping[str, Any], weights: Weights) -> Design:
    """Return the Design of a NequIP model.

    Args:
        settings: what the exporter wrote.
        weights: tensors under their original names.

    Raises:
        ImportModelError: naming the part that is not supported, the rule and the way out.
    """
    _check_parts(settings)
    _check_edges(settings)
    for t, layer in enumerate(settings["layers"]):
        _check_layer(t, layer)
    features = [Irreps.parse(layer["irreps_out"]) for layer in settings["layers"]]
    natural = all(irrep.is_natural for irreps in features for irrep in irreps.irreps)
    connections = [
        "per_element" if layer["self_connection"] else "none" for layer in settings["layers"]
    ]
    bessel = settings["BesselEdgeLengthEncoding"]
    constants = settings["activation_constants"]
    design = Design.model_validate(
        {
            "layers": len(features),
            "channels": [_widths(t, irreps) for t, irreps in enumerate(features)],
            "embedding_channels": weights["model.func.type_embed.embed_module.weight"].shape[1],
            "l_max": max(irrep.l for irrep in edge_harmonics(settings)),
            "features_l_max": [max(irrep.l for irrep in irreps.irreps) for irreps in features],
            "parity": "natural" if natural else "both",
            "cutoff": settings["EdgeLengthNormalizer"]["r_max"],
            "radial": {
                "number": bessel["num_bessels"],
                "trainable": _trained_frequencies(bessel, weights),
                "envelope_power": _power(bessel),
                "hidden": [layer["radial"]["dims"][1:-1] for layer in settings["layers"]],
            },
            "atomic_basis": _atomic_basis(settings, weights),
            "update": {"self_connection": connections, "nonlinearity": "gate"},
            "readout": _readout(settings["ScalarMLP"]),
            "energy": _energy(settings["PerTypeScaleShift"], weights) | _zbl(settings, weights),
            "normalisation": {"activation": {name: constants[name] for name in ("silu", "tanh")}},
        }
    )
    _check_irreps(design, features)
    return design


def nequip_statistics(settings: Mapping[str, Any], weights: Weights) -> Statistics:
    """Read E0, shift, scale and mean neighbours off a NequIP model."""
    order = type_order(settings["type_names"])
    per_element = _energy(settings["PerTypeScaleShift"], weights)["per_element"]
    trained = settings["PerTypeScaleShift"]["shifts_trainable"]

    def by_element(name: str, default: float) -> dict[str, float]:
        values = _per_type(weights, name, default).expand(len(order))
        return {symbol_of(number): float(values[n]) for number, n in order.items()}

    def by_element_or_one(name: str, default: float) -> dict[str, float] | float:
        values = by_element(name, default)
        return values if per_element else next(iter(values.values()))

    shifts = by_element("shifts", 0.0)
    return Statistics(
        mean_neighbours=float(neighbours_of_types(settings, weights).mean()),
        atomic_energies=dict.fromkeys(shifts, 0.0) if trained else shifts,
        scale=by_element_or_one("scales", 1.0),
        shift=by_element_or_one("shifts", 0.0) if trained else 0.0,
    )


def neighbours_of_types(settings: Mapping[str, Any], weights: Weights) -> Tensor:
    """Return the mean neighbours that the sums are normalised by: one number, or one a type.

    Raises:
        ImportModelError: layers that do not share them.
    """
    names = [
        f"model.func.layer{t}_convnet.conv.avg_num_neighbors_norm.norm_const"
        for t in range(len(settings["layers"]))
    ]
    norms = [weights[name].reshape(-1) for name in names]
    if any(not torch.equal(norm, norms[0]) for norm in norms):
        raise ImportModelError(
            "the layers of the model have different avg_num_neighbors, which is not supported: "
            "all layers must share it. Build the model with NequIPGNNModel."
        )
    return norms[0] ** -2


def _per_type(weights: Weights, name: str, default: float) -> Tensor:
    """Return scales or shifts: one number, or one a type."""
    key = f"model.func.per_type_energy_scale_shift.{name}"
    return weights[key].reshape(-1) if key in weights else torch.tensor([default])


def _atomic_basis(settings: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """Neighbours of each type are in weights per element before the edges: of the sender."""
    if len(neighbours_of_types(settings, weights)) > 1:
        return {"before_edges": "per_element", "pooling": "sqrt_N"}
    return {"pooling": "sqrt_N"}


def _energy(described: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    scaled = "model.func.per_type_energy_scale_shift.scales" in weights
    scales_trained, shifts_trained = described["scales_trainable"], described["shifts_trainable"]
    # what is trained must be a shift or a scale of the Design; other shifts are E0
    scale = scales_trained or (scaled and not shifts_trained)
    n_shifts = len(_per_type(weights, "shifts", 0.0)) if shifts_trained else 1
    return {
        "reference": "given",
        "shift": "mean" if shifts_trained else "none",
        "scale": "rms_forces" if scale else "none",
        "trainable": scales_trained or shifts_trained,
        "per_element": max(n_shifts, len(_per_type(weights, "scales", 1.0))) > 1,
    }


def _zbl(settings: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """Core repulsion with the constants of LAMMPS, up to the cutoff.

    Raises:
        ImportModelError: in units other than eV, or of other elements than the types.
    """
    if "ZBL" not in settings:
        return {}
    numbers = [int(number) for number in weights["model.func.pair_potential.atomic_numbers"]]
    coulomb = 2.0 * float(weights["model.func.pair_potential._qqr2exesquare"])
    types = [atomic_number(name) for name in settings["type_names"]]
    if numbers != types or abs(coulomb - 14.399645) > 1e-4:
        raise ImportModelError(
            f"the ZBL potential has elements {numbers} and the constant {coulomb:g}, which is not "
            f"supported: the elements of the types, {types}, in units: metal (14.3996 eV Å) are. "
            "Train a model with these."
        )
    constants = {
        "length": 0.46850,
        "coulomb": coulomb,
        "envelope_power": _power(settings["ZBL"]),
        "coefficients": (0.18175, 0.50986, 0.28022, 0.02817),
        "exponents": (3.19980, 0.94229, 0.40290, 0.20162),
        "ends_at": settings["EdgeLengthNormalizer"]["r_max"],
    }
    return {"zbl": "outside", "zbl_constants": constants}


def _readout(described: Mapping[str, Any]) -> dict[str, Any]:
    """A linear readout, however many linear maps it has, or an MLP with one hidden layer."""
    if not described["nonlinearity"]:
        return {"kind": {"rest": "none", "last": "linear"}}
    if len(described["dims"]) > 3:
        raise ImportModelError(
            f"readout_mlp_hidden_layers_depth is {len(described['dims']) - 2}, which is not "
            "supported: a readout has one hidden layer at most. Train a model with less depth."
        )
    activation = _only(described["nonlinearity"], _ACTIVATIONS, "readout_mlp_nonlinearity")
    return {
        "kind": {"rest": "none", "last": "mlp"},
        "hidden": described["dims"][1],
        "activation": activation,
    }


def _trained_frequencies(bessel: Mapping[str, Any], weights: Weights) -> bool:
    """Whether the Bessel frequencies are trained, or were."""
    n = torch.arange(1, bessel["num_bessels"] + 1, dtype=torch.float64)
    frequencies = weights["model.func.bessel_encode.bessel_weights"].reshape(-1)
    return bessel["trainable"] or not torch.equal(frequencies, n)


def _power(described: Mapping[str, Any]) -> int:
    power = described["polynomial_cutoff_p"]
    if described["cutoff"] != "PolynomialCutoff" or power != int(power):
        raise ImportModelError(
            f"the cutoff function is {described['cutoff']} with p = {power:g}, which is not "
            "supported: PolynomialCutoff with a whole number is. Train a model with such a cutoff."
        )
    return int(power)


def edge_harmonics(settings: Mapping[str, Any]) -> tuple[Irrep, ...]:
    """Return the harmonics of the edges.

    Raises:
        ImportModelError: others than component-normalised ones of every l.
    """
    described = settings["SphericalHarmonicEdgeAttrs"]
    irreps = Irreps.parse(described["irreps"])
    natural = Irreps.of(1, (Irrep.natural(l) for l in range(len(irreps))))
    conventions = (described["normalize"], described["normalization"])
    if irreps != natural or conventions != (True, "component"):
        raise ImportModelError(
            f"the edges have harmonics {irreps} with normalize, normalization = {conventions}, "
            f"which is not supported: {natural} with (True, 'component') are. Build the model with "
            "NequIPGNNModel."
        )
    return irreps.irreps


def _widths(t: int, irreps: Irreps) -> dict[int, int]:
    """Return the channels of each l, the same for both parities.

    Raises:
        ImportModelError: parities of other widths, or an l left out.
    """
    widths: dict[int, int] = {}
    for channels, irrep in irreps.entries:
        if widths.setdefault(irrep.l, channels) != channels:
            raise ImportModelError(
                f"layer {t + 1} has features {irreps}, which is not supported: both parities of "
                f"an l must have the same number of channels, and l = {irrep.l} has not. Build the "
                "model with NequIPGNNModel."
            )
    return widths


def _check_irreps(design: Design, features: list[Irreps]) -> None:
    """Refuse features other than those that the Design gives its layers."""
    last = len(features) - 1
    for t, (row, irreps) in enumerate(zip(layouts(design, 1, prune=False), features, strict=True)):
        ours = [e for e in row.features_out.entries if t != last or e[1] == SCALAR]
        if ours != sorted(irreps.entries, key=lambda entry: entry[1]):
            raise ImportModelError(
                f"layer {t + 1} has features {irreps}, which is not supported: layers have every "
                f"irrep that their paths reach, here {'+'.join(f'{c}x{i}' for c, i in ours)}, and "
                "the last one even scalars only. Build the model with NequIPGNNModel."
            )


def _check_parts(settings: Mapping[str, Any]) -> None:
    unknown = [
        f"{name} ({kind})"
        for name, kind in settings["parts"].items()
        if kind not in _PARTS | _OPTIONAL_PARTS
    ]
    if settings["output"] != "ForceStressOutput":
        unknown.append(settings["output"])
    missing = sorted(_PARTS - set(settings["parts"].values()))
    if unknown or missing:
        what = f"parts that are not supported: {', '.join(unknown)}" if unknown else "other parts"
        raise ImportModelError(
            f"the model has {what}. Energy models of NequIPGNNModel are supported"
            f"{', and this one has no ' + ', '.join(missing) if missing else ''}."
        )
    fields = settings["NodeTypeEmbed"]["categorical_graph_fields"]
    if fields:
        raise ImportModelError(
            f"the model embeds {', '.join(fields)} of whole structures "
            "(categorical_graph_field_embed), which is not supported: only types of atoms are. "
            "Train a model without it."
        )


def _check_edges(settings: Mapping[str, Any]) -> None:
    if settings["EdgeLengthNormalizer"]["per_edge_type_cutoff"]:
        raise ImportModelError(
            "the model has cutoffs for pairs of types (per_edge_type_cutoff), which are not "
            "supported: all pairs must share r_max. Train a model without them."
        )


def _check_layer(t: int, layer: Mapping[str, Any]) -> None:
    where = f"layer {t + 1} has"
    if layer["convolution"] != "InteractionBlock":
        raise ImportModelError(
            f"{where} a {layer['convolution']}, which is not supported: InteractionBlock is. "
            "Build the model with NequIPGNNModel."
        )
    if layer["resnet"]:
        raise ImportModelError(
            f"{where} convnet_resnet, which is not supported: the input of a layer is added before "
            "its nonlinearity only. Train a model with convnet_resnet: false."
        )
    if layer["nonlinearity"] != "Gate":
        raise ImportModelError(
            f"{where} the nonlinearity {layer['nonlinearity']}, which is not supported: Gate is. "
            "Train a model with convnet_nonlinearity_type: gate."
        )
    _only(layer["radial"]["nonlinearity"], {"SiLU": "silu"}, "nonlinearity of the radial network")
    _check_gate(where, layer["gate"])


def _check_gate(where: str, gate: Mapping[str, Any]) -> None:
    scalars = Irreps.parse(gate["irreps_scalars"]).irreps
    for irrep, activation in zip(scalars, gate["act_scalars"], strict=True):
        wanted = "silu" if irrep == SCALAR else "tanh"
        if activation != wanted:
            raise ImportModelError(
                f"{where} the activation {activation} of scalars {irrep}, which is not supported: "
                f"{wanted} is. Train a model with convnet_nonlinearity_scalars: "
                "{e: silu, o: tanh}."
            )
    gates = Irreps.parse(gate["irreps_gates"]).irreps if gate["irreps_gates"] else ()
    if any(irrep != SCALAR for irrep in gates) or set(gate["act_gates"]) - {"silu"}:
        raise ImportModelError(
            f"{where} gates {gate['irreps_gates']} with {', '.join(gate['act_gates'])}, which is "
            "not supported: even scalars with silu are. Train a model with "
            "convnet_nonlinearity_gates: {e: silu, o: tanh}."
        )


def _only(found: list[str], known: Mapping[str, str], field: str) -> str:
    """Return our name of the one activation between the maps of a network."""
    unknown = [name for name in found if name not in known]
    if unknown:
        raise ImportModelError(
            f"{field} is {', '.join(unknown)}, which is not supported: {', '.join(known)} is. "
            "Train a model with that."
        )
    return known[found[0]] if found else "none"
