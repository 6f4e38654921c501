"""Export a model of mace-torch 0.3: run by the interpreter that mace-torch is installed in.

    INTERPRETER mace.py FILE OUT

The file is a pickle, which can run code when it is opened; so it is opened here and nowhere else.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

N_PROBES = 32
"""Vectors at which the product couplings are evaluated, to tell the sign of each."""


def export_mace(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and tensors of a saved model.

    Args:
        path: a `.model` file: a whole model written by `torch.save`.
    """
    import torch

    torch.serialization.add_safe_globals([slice])  # e3nn 0.4.4 loads a table that has slices
    try:
        model = torch.load(path, map_location="cpu", weights_only=False)  # noqa: TID251
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        sys.exit(f"{path} is not a model that torch.load can read: {' '.join(str(error).split())}")
    if isinstance(model, dict):
        sys.exit(f"{path} is a checkpoint of a training. Give the .model file written at its end.")
    if isinstance(model, torch.jit.ScriptModule):
        sys.exit(f"{path} is a compiled model. Give the .model file that it was made from.")
    name = type(model).__name__
    if name not in ("MACE", "ScaleShiftMACE"):
        sys.exit(f"{path} is a {name}, which is not supported: MACE and ScaleShiftMACE are.")
    return describe_model(model), tensors_of(model)


def describe_model(model: Any) -> dict[str, Any]:
    """Return what a model is, as plain data."""
    heads = list(getattr(model, "heads", None) or ["Default"])
    scale_shift = getattr(model, "scale_shift", None)
    energies = model.atomic_energies_fn.atomic_energies.detach().double()
    return {
        "model": type(model).__name__,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "elements": [int(number) for number in model.atomic_numbers],
        "heads": heads,
        "atomic_energies": energies.reshape(-1, len(model.atomic_numbers)).tolist(),
        "scale": None if scale_shift is None else _by_head(scale_shift.scale, heads),
        "shift": None if scale_shift is None else _by_head(scale_shift.shift, heads),
        "cutoff": float(model.r_max),
        "harmonics": str(model.spherical_harmonics.irreps_out),
        "radial": _radial(model.radial_embedding),
        "pair_repulsion": _pair_repulsion(getattr(model, "pair_repulsion_fn", None)),
        "interactions": [_interaction(block) for block in model.interactions],
        "products": [_product(block) for block in model.products],
        "readouts": [_readout(block) for block in model.readouts],
        "others": sorted(set(dict(model.named_children())) - _PARTS),
    }


_PARTS = {
    "atomic_energies_fn",
    "interactions",
    "node_embedding",
    "pair_repulsion_fn",
    "products",
    "radial_embedding",
    "readouts",
    "scale_shift",
    "spherical_harmonics",
}


def _by_head(value: Any, heads: list[str]) -> list[float]:
    return [float(number) for number in value.detach().double().reshape(-1).expand(len(heads))]


def _radial(embedding: Any) -> dict[str, Any]:
    transform = getattr(embedding, "distance_transform", None)
    parameters = ("a", "q", "p")
    return {
        "class": type(embedding.bessel_fn).__name__,
        "number": int(embedding.out_dim),
        "cutoff_class": type(embedding.cutoff_fn).__name__,
        "power": int(embedding.cutoff_fn.p),
        "on_basis": bool(getattr(embedding, "apply_cutoff", True)),
        "transform": None if transform is None else type(transform).__name__,
        "transform_parameters": {
            name: float(getattr(transform, name)) for name in parameters if hasattr(transform, name)
        },
    }


def _pair_repulsion(block: Any) -> dict[str, Any] | None:
    if block is None:
        return None
    return {
        "class": type(block).__name__,
        "exponent": float(block.a_exp),
        "prefactor": float(block.a_prefactor),
        "power": int(block.p),
        "coefficients": [float(number) for number in block.c],
    }


def _interaction(block: Any) -> dict[str, Any]:
    network = block.conv_tp_weights
    return {
        "class": type(block).__name__,
        "features": str(block.node_feats_irreps),
        "edge_features": str(getattr(block, "edge_irreps", block.node_feats_irreps)),
        "target": str(block.target_irreps),
        "average_neighbours": float(block.avg_num_neighbors),
        "network": type(network).__name__,
        "widths": [int(width) for width in network.hs],
        "activation": _activation(getattr(getattr(network, "layer0", None), "act", None)),
        "accelerated": _accelerated(block),
    }


def _product(block: Any) -> dict[str, Any]:
    contraction = block.symmetric_contractions
    return {
        "class": type(contraction).__name__,
        "irreps_in": str(getattr(contraction, "irreps_in", "")),
        "irreps_out": str(getattr(contraction, "irreps_out", "")),
        "correlation": sorted(
            {int(c.correlation) for c in getattr(contraction, "contractions", [])}
        ),
        "element_agnostic": bool(getattr(block, "use_agnostic_product", False)),
        "accelerated": _accelerated(block),
    }


def _readout(block: Any) -> dict[str, Any]:
    nonlinear = hasattr(block, "non_linearity")
    acts = getattr(block.non_linearity, "acts", [None]) if nonlinear else [None]
    return {
        "class": type(block).__name__,
        "hidden": str(block.hidden_irreps) if nonlinear else None,
        "activation": _activation(acts[0]),
    }


def _accelerated(block: Any) -> bool:
    """Whether weights may be in the layout of another library."""
    configs = (getattr(block, name, None) for name in ("cueq_config", "oeq_config"))
    return any(getattr(config, "enabled", False) for config in configs)


def _activation(act: Any) -> dict[str, Any] | None:
    """Name and constant of an activation that e3nn normalised."""
    if act is None:
        return None
    function = getattr(act, "f", act)
    name = getattr(function, "__name__", type(function).__name__)
    return {"name": name.lower(), "constant": float(getattr(act, "cst", 1.0))}


def tensors_of(model: Any) -> dict[str, Any]:
    """Return parameters, couplings of the convolutions, frequencies, and products at probes."""
    tensors = {name: value for name, value in model.named_parameters() if value.numel()}
    for name, value in model.named_buffers():
        if "_w3j_" in name or name == "radial_embedding.bessel_fn.bessel_weights":
            tensors[name] = value
    return tensors | _probes(model)


def _probes(model: Any) -> dict[str, Any]:
    """Return vectors a and U a .. a of each contraction and order: (probes, 2L+1, paths)."""
    import torch

    contractions = {
        name: module
        for name, module in model.named_modules()
        if type(module).__name__ == "Contraction"
    }
    if not contractions:
        return {}
    width = max(module.U_matrix_1.shape[-2] for module in contractions.values())
    random = torch.Generator().manual_seed(0)
    vectors = torch.randn(N_PROBES, width, generator=random, dtype=torch.float64)
    result = {"probes": vectors}
    for name, module in contractions.items():
        for order in range(1, module.correlation + 1):
            couplings = getattr(module, f"U_matrix_{order}").double()
            if couplings.ndim == order + 1:
                couplings = couplings.unsqueeze(0)  # L = 0
            products = []
            for vector in vectors:
                product = couplings
                for _ in range(order):
                    product = torch.einsum("a,ma...->m...", vector[: product.shape[1]], product)
                products.append(product)
            result[f"{name}.probed_{order}"] = torch.stack(products)
    return result


if __name__ == "__main__":
    from neutral import run  # pyright: ignore[reportMissingImports]

    run("mace", ("mace-torch", "e3nn", "torch"), export_mace)
