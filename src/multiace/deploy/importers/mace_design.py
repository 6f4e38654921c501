"""What a model of mace-torch is, as a Design and Statistics; the rest is refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from multiace.deploy.importers.e3nn import E3NN_ACTIVATIONS
from multiace.deploy.importers.neutral import ImportModelError
from multiace.design import Design, Statistics
from multiace.elements import sorted_elements, symbol_of
from multiace.o3.couplings import CouplingBasis
from multiace.o3.irreps import Irrep, Irreps

_PREFIX, _DENSITY, _RESIDUAL, _SUFFIX = "RealAgnostic", "Density", "Residual", "InteractionBlock"
BLOCKS = {
    f"{_PREFIX}{density}{residual}{_SUFFIX}": (bool(density), bool(residual))
    for density in ("", _DENSITY)
    for residual in ("", _RESIDUAL)
}
"""Interaction block -> whether it divides by a density, and whether it has a self-connection."""

_READOUTS = {"LinearReadoutBlock": "linear", "NonLinearReadoutBlock": "mlp"}
_ACTIVATIONS = ("silu", "tanh")
_ZBL_COEFFICIENTS = (0.1818, 0.5099, 0.2802, 0.02817)
_ZBL_BOHR, _ZBL_COULOMB = 0.529, 14.3996  # Å and eV Å, as mace-torch has them


def head_number(settings: Mapping[str, Any], head: str | None) -> int:
    """Return the position of a head, the only one if none is named.

    Raises:
        ImportModelError: several heads and none named, or none of that name.

    Example:
        >>> head_number({"heads": ["dft", "cc"]}, "cc")
        1
    """
    heads = settings["heads"]
    if head is None and len(heads) == 1:
        return 0
    if head is None:
        raise ImportModelError(
            f"the model has the heads {', '.join(heads)}, and one is read at a time. "
            f"Name it: --head {heads[0]}."
        )
    if head not in heads:
        raise ImportModelError(
            f"the model has no head {head!r}: its heads are {', '.join(heads)}. Name one of them."
        )
    return heads.index(head)


def mace_statistics(settings: Mapping[str, Any], head: int) -> Statistics:
    """Read E0, shift, scale and mean neighbours of one head."""
    symbols = [symbol_of(number) for number in settings["elements"]]
    scaled = settings["scale"] is not None
    return Statistics(
        mean_neighbours=settings["interactions"][0]["average_neighbours"],
        atomic_energies=dict(zip(symbols, settings["atomic_energies"][head], strict=True)),
        scale=settings["scale"][head] if scaled else 1.0,
        shift=settings["shift"][head] if scaled else 0.0,
    )


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse what is not supported.

    Raises:
        ImportModelError: all of it, each with the rule and the way out.
    """
    problems = list(_problems(settings))
    if problems:
        raise ImportModelError("\n".join(problems))


def mace_design(
    settings: Mapping[str, Any], *, basis: CouplingBasis, trained_frequencies: bool
) -> Design:
    """Return the Design of a MACE or ScaleShiftMACE.

    Args:
        settings: what the exporter wrote, checked.
        basis: which couplings its products have.
        trained_frequencies: whether the Bessel frequencies are not n pi / cutoff.
    """
    blocks = [BLOCKS[block["class"]] for block in settings["interactions"]]
    products = settings["products"]
    features = [Irreps.parse(product["irreps_out"]) for product in products]
    correlations = [product["correlation"][0] for product in products]
    agnostic = products[0]["element_agnostic"]
    return Design.model_validate(
        {
            "layers": len(blocks),
            "channels": features[0].channels[0],
            "l_max": max(irrep.l for irrep in Irreps.parse(settings["harmonics"]).irreps),
            "features_l_max": [max(irrep.l for irrep in irreps.irreps) for irreps in features],
            "parity": "natural",
            "cutoff": settings["cutoff"],
            "radial": _radial(settings, trained_frequencies),
            "atomic_basis": {
                "pooling": "density" if blocks[0][0] else "N",
                "after_pooling": [
                    "shared" if residual else "shared_then_per_element" for _, residual in blocks
                ],
            },
            "product_basis": {
                "correlation": correlations,
                "basis": basis,
                "weights": "shared" if agnostic else "per_element",
            },
            "update": {
                "linear": [
                    "per_element" if correlation == 1 and not agnostic else "shared"
                    for correlation in correlations
                ],
                "self_connection": [
                    "per_element" if residual else "none" for _, residual in blocks
                ],
            },
            "readout": _readout(settings),
            "energy": _energy(settings),
            "normalisation": {
                "count_elements": True,
                "activation": E3NN_ACTIVATIONS | _constants(settings),
            },
        }
    )


def _radial(settings: Mapping[str, Any], trained_frequencies: bool) -> dict[str, Any]:
    radial = settings["radial"]
    agnesi = {"transform": "agnesi", "agnesi": radial["transform_parameters"]}
    return {
        "number": radial["number"],
        "trainable": trained_frequencies,
        "envelope_power": radial["power"],
        "envelope_on": "basis" if radial["on_basis"] else "weights",
        "hidden": [block["widths"][1:-1] for block in settings["interactions"]],
        "activation": settings["interactions"][0]["activation"]["name"],
        **(agnesi if radial["transform"] else {}),
    }


def readout_kinds(settings: Mapping[str, Any]) -> list[str]:
    """Return the readout of each layer; a single one is that of the last layer."""
    kinds = [_READOUTS[readout["class"]] for readout in settings["readouts"]]
    return ["none"] * (len(settings["products"]) - len(kinds)) + kinds


def _readout(settings: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"kind": readout_kinds(settings)}
    for readout in settings["readouts"]:
        if readout["hidden"] is not None:
            activation = readout["activation"]
            result["activation"] = "none" if activation is None else activation["name"]
            result["hidden"] = Irreps.parse(readout["hidden"]).dim // len(settings["heads"])
    return result


def _energy(settings: Mapping[str, Any]) -> dict[str, Any]:
    scaled, repulsion = settings["scale"] is not None, settings["pair_repulsion"]
    result: dict[str, Any] = {
        "shift": "mean" if scaled else "none",
        "scale": "rms_forces" if scaled else "none",
    }
    if repulsion is not None:
        result["zbl"] = "inside" if scaled else "outside"
        result["zbl_constants"] = {
            "length": repulsion["prefactor"] * _ZBL_BOHR,
            "power": repulsion["exponent"],
            "coulomb": _ZBL_COULOMB,
            "envelope_power": repulsion["power"],
        }
    return result


def _activations(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = (*settings["interactions"], *settings["readouts"])
    return [part["activation"] for part in parts if part["activation"] is not None]


def _constants(settings: Mapping[str, Any]) -> dict[str, float]:
    return {a["name"]: a["constant"] for a in _activations(settings)}


def _problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Say each part that is not supported: the rule and the way out."""
    for name in settings["others"]:
        yield f"{name} is not supported: only energies from positions and elements are."
    elements = tuple(settings["elements"])
    if elements != sorted_elements(elements):
        yield f"the atomic numbers {elements} are not in ascending order, which is needed."
    yield from _radial_problems(settings)
    for t, block in enumerate(settings["interactions"], 1):
        yield from _interaction_problems(t, block)
    if (
        len(
            {
                block["class"] in BLOCKS and BLOCKS[block["class"]][0]
                for block in settings["interactions"]
            }
        )
        > 1
    ):
        yield "some layers divide by a density and others do not: either all must, or none."
    if len({block["average_neighbours"] for block in settings["interactions"]}) > 1:
        yield "the layers have different avg_num_neighbors: all must share it."
    for t, product in enumerate(settings["products"], 1):
        yield from _product_problems(t, product)
    if len({product["element_agnostic"] for product in settings["products"]}) > 1:
        yield "use_agnostic_product differs between layers: all must share it."
    for readout in settings["readouts"]:
        yield from _readout_problems(readout)
    constants = _activations(settings)
    if any(_constants(settings)[a["name"]] != a["constant"] for a in constants):
        yield "one activation has several constants: models of one version of e3nn have one each."


def _radial_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    radial, repulsion = settings["radial"], settings["pair_repulsion"]
    if radial["class"] != "BesselBasis":
        yield f"the radial basis {radial['class']} is not supported: BesselBasis (bessel) is."
    if radial["cutoff_class"] != "PolynomialCutoff":
        yield f"the envelope {radial['cutoff_class']} is not supported: PolynomialCutoff is."
    if radial["transform"] not in (None, "AgnesiTransform"):
        yield (
            f"the distance transform {radial['transform']} is not supported: none and "
            "AgnesiTransform (Agnesi) are."
        )
    if repulsion is not None and repulsion["class"] != "ZBLBasis":
        yield f"the pair repulsion {repulsion['class']} is not supported: ZBLBasis is."
    elif repulsion is not None and any(
        abs(found - usual) > 1e-6
        for found, usual in zip(repulsion["coefficients"], _ZBL_COEFFICIENTS, strict=True)
    ):
        yield f"the ZBL coefficients {repulsion['coefficients']} are not {_ZBL_COEFFICIENTS}."
    if not _is_natural(Irreps.parse(settings["harmonics"])):
        yield (
            f"harmonics {settings['harmonics']} (use_so3) are not supported: those of parity "
            "(-1)^l are."
        )


_CONVERT = "Convert it to e3nn with `python -m mace.cli.convert_cueq_e3nn` first."


def _interaction_problems(t: int, block: Mapping[str, Any]) -> Iterator[str]:
    name = f"layer {t}: the interaction block {block['class']}"
    if block["class"] not in BLOCKS:
        yield f"{name} is not supported: {', '.join(BLOCKS)} are."
        return
    if block["accelerated"]:
        yield f"{name} is in the layout of another library. {_CONVERT}"
    if block["edge_features"] != block["features"]:
        yield (
            f"{name} has edge_irreps {block['edge_features']}, which is not supported: they must "
            f"be those of the features, {block['features']}."
        )
    if block["network"] != "FullyConnectedNet":
        yield f"{name} has a radial {block['network']}: FullyConnectedNet is supported."
    elif block["activation"] is None or block["activation"]["name"] not in _ACTIVATIONS:
        yield f"{name} has the activation {block['activation']}: {_ACTIVATIONS} are supported."


def _product_problems(t: int, product: Mapping[str, Any]) -> Iterator[str]:
    name = f"layer {t}: the product basis"
    if product["class"] != "SymmetricContraction" or product["accelerated"]:
        yield f"{name} is {product['class']} in the layout of another library. {_CONVERT}"
        return
    if len(product["correlation"]) != 1 or product["correlation"][0] > 4:
        yield f"{name} has the correlation {product['correlation']}: one up to 4 is supported."
    for side in ("irreps_in", "irreps_out"):
        if not _is_natural(Irreps.parse(product[side])):
            yield (
                f"{name} has {side} {product[side]}: equally many channels of every l from 0 and "
                "of parity (-1)^l are supported, such as 128x0e+128x1o."
            )


def _is_natural(irreps: Irreps) -> bool:
    """Whether there are equally many channels of every natural irrep from l = 0."""
    l_max = len(irreps.irreps) - 1
    natural = [Irrep.natural(l) for l in range(l_max + 1)]
    return bool(irreps.entries) and irreps == Irreps.of(irreps.channels[0], natural)


def _readout_problems(readout: Mapping[str, Any]) -> Iterator[str]:
    name = f"the readout {readout['class']}"
    if readout["class"] not in _READOUTS:
        yield f"{name} is not supported: {' and '.join(_READOUTS)} are."
        return
    if readout["hidden"] is not None and len(Irreps.parse(readout["hidden"]).entries) != 1:
        yield f"{name} has hidden irreps {readout['hidden']}: scalars (0e) are supported."
    activation = readout["activation"]
    if activation is not None and activation["name"] not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        yield f"{name} has the gate {activation['name']}: None, {known} are supported."
