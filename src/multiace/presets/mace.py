"""MACE."""

from __future__ import annotations

from typing import Any

from multiace.design import Design
from multiace.presets.build import Size, build

_MACE: dict[str, Any] = {
    "layers": 2,
    "channels": 256,
    "l_max": 3,
    "features_l_max": {"rest": 2, "last": 0},
    "parity": "natural",
    "cutoff": 5.0,
    "radial": {"number": 8, "envelope_power": 5, "hidden": [64, 64, 64]},
    "atomic_basis": {"before_edges": "shared", "after_pooling": "shared", "pooling": "N"},
    "product_basis": {"correlation": 3, "basis": "mace", "weights": "per_element"},
    "update": {"linear": "shared", "self_connection": "per_element"},
    "readout": {"kind": {"rest": "linear", "last": "mlp"}, "activation": "silu"},
    "energy": {"reference": "isolated_atoms", "shift": "mean", "scale": "rms_forces"},
    "normalisation": {"count_elements": True},
}
_SMALL: dict[str, Any] = {
    "channels": 16,
    "features_l_max": {"rest": 1, "last": 0},
    "radial": {"hidden": [32, 32]},
    "product_basis": {"basis": "reduced"},
}


def mace(size: Size = "paper", **changes: Any) -> Design:
    """Return MACE: two layers of products of up to three neighbours.

    The first layer has the self-connection of `RealAgnosticResidualInteractionBlock`; for the
    non-residual form set `update.self_connection: {first: none, rest: per_element}` and
    `atomic_basis.after_pooling: {first: shared_then_per_element, rest: shared}`.

    Args:
        size: `paper` (256 channels, features to l = 2, the unreduced couplings of mace-torch) or
            `small` (16 channels, features to l = 1, the reduced couplings: same functions).
        **changes: fields of the Design to change; groups are merged.

    Source: Batatia et al., MACE, NeurIPS 2022.

    Example:
        >>> mace(channels=32).product_basis.correlation
        3
    """
    return build(_MACE, _SMALL, size, changes)
