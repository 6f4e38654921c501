"""Export an energy model of NequIP 0.19: run by the interpreter that nequip is installed in.

    INTERPRETER nequip.py FILE OUT

Everything is read off the modules, not off the configuration, because a model may have been
modified after it was built. What cannot be imported is described all the same: the importer knows
the rules.
"""

from __future__ import annotations

import sys
from typing import Any


def export_nequip(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and tensors of a saved model.

    Args:
        path: a `.ckpt` checkpoint, of which the averaged weights are taken where there are any, or
            a `.nequip.zip` package.
    """
    from nequip.model.saved_models import load_saved_model  # pyright: ignore[reportMissingImports]
    from nequip.utils.global_state import set_global_state  # pyright: ignore[reportMissingImports]

    if path.endswith((".pth", ".pt", ".pt2")):
        sys.exit(
            f"{path} is a compiled model. Give the .ckpt or .nequip.zip that it was made from."
        )
    set_global_state()
    try:
        model = load_saved_model(path)
    except Exception as error:  # whatever a pickle raises
        sys.exit(f"{path} is not a model that nequip can load: {' '.join(str(error).split())}")
    return describe_model(model), tensors_of(model)


def describe_model(model: Any) -> dict[str, Any]:
    """Return what a model is, as plain data under the names that NequIP gives it."""
    parts = dict(model.model.func.named_children())
    first_layer = next((part for name, part in parts.items() if "convnet" in name), None)
    settings = {
        "type_names": list(model.type_names),
        "dtype": str(model.model_dtype).removeprefix("torch."),
        "output": type(model.model).__name__,
        "parts": {name: type(part).__name__ for name, part in parts.items()},
        "layers": [_layer(part) for part in parts.values() if _is(part, "ConvNetLayer")],
        "activation_constants": _activation_constants(first_layer),
    }
    for part in parts.values():
        for name, describe_part in _PARTS.items():
            if _is(part, name):
                settings[name] = describe_part(part)
    return settings


def _is(part: Any, name: str) -> bool:
    """Compare classes by name: a package has copies of its own of them."""
    return type(part).__name__ == name


def _type_embed(part: Any) -> dict[str, Any]:
    return {"categorical_graph_fields": list(part.categorical_graph_field_embed_modules)}


def _spharm(part: Any) -> dict[str, Any]:
    return {
        "irreps": str(part.irreps_edge_sh),
        "normalize": bool(part.sh.normalize),
        "normalization": part.sh.normalization,
    }


def _edge_norm(part: Any) -> dict[str, Any]:
    return {"r_max": part.r_max, "per_edge_type_cutoff": bool(part._per_edge_type)}


def _bessel(part: Any) -> dict[str, Any]:
    return {
        "num_bessels": part.num_bessels,
        "trainable": bool(part.trainable),
        "cutoff": type(part.cutoff).__name__,
        "polynomial_cutoff_p": float(part.cutoff.p),
    }


def _factor(part: Any) -> dict[str, Any]:
    return {"factor": float(part.factor), "field": part.in_field}


def _readout(part: Any) -> dict[str, Any]:
    return _mlp(part.mlp_module)


def _scale_shift(part: Any) -> dict[str, Any]:
    return {
        "scales_trainable": bool(part.has_scales and part.scales_trainable),
        "shifts_trainable": bool(part.has_shifts and part.shifts_trainable),
    }


def _zbl(part: Any) -> dict[str, Any]:
    return {"cutoff": type(part.cutoff).__name__, "polynomial_cutoff_p": float(part.cutoff.p)}


_PARTS = {
    "NodeTypeEmbed": _type_embed,
    "SphericalHarmonicEdgeAttrs": _spharm,
    "EdgeLengthNormalizer": _edge_norm,
    "BesselEdgeLengthEncoding": _bessel,
    "ApplyFactor": _factor,
    "ScalarMLP": _readout,
    "PerTypeScaleShift": _scale_shift,
    "ZBL": _zbl,
}


def _layer(layer: Any) -> dict[str, Any]:
    conv, nonlinearity = layer.conv, layer.equivariant_nonlin
    settings = {
        "convolution": type(conv).__name__,
        "irreps_in": str(conv.linear_1.irreps_in),
        "irreps_mid": str(conv.linear_2.irreps_in),
        "irreps_conv": str(conv.linear_2.irreps_out),
        "irreps_out": str(layer.irreps_out["node_features"]),
        "resnet": bool(layer.resnet),
        "self_connection": conv.sc is not None,
        "radial": _mlp(conv.edge_mlp),
        "nonlinearity": type(nonlinearity).__name__,
    }
    if _is(nonlinearity, "Gate"):
        scalars, gates = nonlinearity.act_scalars, nonlinearity.act_gates
        settings["gate"] = {
            "irreps_scalars": str(nonlinearity.irreps_scalars),
            "irreps_gates": str(nonlinearity.irreps_gates),
            "irreps_gated": str(nonlinearity.irreps_gated),
            "act_scalars": [act.f.__name__ for act in scalars.acts],
            "act_gates": [act.f.__name__ for act in gates.acts],
        }
    return settings


def _mlp(mlp: Any) -> dict[str, Any]:
    """Describe a ScalarMLPFunction: the names of its weights in order, and what is between."""
    children = list(mlp.mlp.named_children())
    linears = [name for name, child in children if _is(child, "ScalarLinearLayer")]
    between = {type(child).__name__ for name, child in children if name not in linears}
    if _is(mlp.mlp, "DeepLinearMLP"):
        linears, between = [f"weights.{n}" for n in range(len(mlp.mlp.weights))], set()
    return {"linears": linears, "nonlinearity": sorted(between), "dims": list(mlp.dims)}


def _activation_constants(layer: Any) -> dict[str, float]:
    """Return the sampled constants of the gates: those of the model, or those of its e3nn."""
    import torch
    from e3nn.math import normalize2mom

    functions = {"silu": torch.nn.functional.silu, "tanh": torch.tanh}
    normalised: dict[str, Any] = {name: normalize2mom(f) for name, f in functions.items()}
    constants = {name: float(module.cst) for name, module in normalised.items()}
    if layer is not None and _is(layer.equivariant_nonlin, "Gate"):
        gate = layer.equivariant_nonlin
        for act in [*gate.act_scalars.acts, *gate.act_gates.acts]:
            constants[act.f.__name__] = float(act.cst)
    return constants


def tensors_of(model: Any) -> dict[str, Any]:
    """Return weights, constants (not all of them are in a state dict) and e3nn's couplings."""
    import torch
    from e3nn.o3 import wigner_3j

    tensors = dict(model.named_parameters()) | {
        name: buffer
        for name, buffer in model.named_buffers()
        if buffer.numel() and not name.endswith("output_mask") and "._compiled_main" not in name
    }
    spharm = next(part for part in model.modules() if _is(part, "SphericalHarmonicEdgeAttrs"))
    degrees = range(1, spharm.irreps_edge_sh.lmax + 1)
    couplings = {
        f"_w3j_{l_in}_{l_edge}_{l_out}": wigner_3j(l_in, l_edge, l_out, dtype=torch.float64)
        for l_in in degrees
        for l_edge in degrees
        for l_out in degrees
        if abs(l_in - l_edge) <= l_out <= l_in + l_edge
    }
    return tensors | couplings


if __name__ == "__main__":
    from neutral import run  # pyright: ignore[reportMissingImports]

    run("nequip", ("nequip", "e3nn", "torch"), export_nequip)
