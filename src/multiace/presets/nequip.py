"""NequIP and its linearised form."""

from __future__ import annotations

from typing import Any

from multiace.design import Design
from multiace.presets.build import Size, build

_NEQUIP: dict[str, Any] = {
    "layers": 5,
    "channels": 64,
    "l_max": 3,
    "features_l_max": 3,
    "parity": "both",
    "cutoff": 4.0,
    "radial": {"number": 8, "envelope_power": 6, "hidden": [64, 64, 64]},
    "atomic_basis": {"before_edges": "shared", "after_pooling": "shared", "pooling": "N"},
    "update": {"self_connection": "per_element", "nonlinearity": "gate"},
    "readout": {"kind": {"rest": "none", "last": "mlp"}, "activation": "none"},
    "energy": {"reference": "isolated_atoms", "shift": "mean", "scale": "rms_forces"},
    "normalisation": {"count_elements": True},
}
_SMALL: dict[str, Any] = {
    "layers": 3,
    "channels": 16,
    "l_max": 2,
    "features_l_max": 2,
    "parity": "natural",
    "radial": {"hidden": [32, 32]},
}


def nequip(size: Size = "paper", **changes: Any) -> Design:
    """Return NequIP as the paper's code builds it: gated updates, one linear two-layer readout.

    Args:
        size: `paper` (5 layers, 64 channels, l <= 3, both parities) or `small` (3 layers,
            16 channels, l <= 2) for a CPU.
        **changes: fields of the Design to change; groups are merged.

    Source: Batatia et al. 2025 (the NequIP of its ablation); Batzner et al. 2022.

    Example:
        >>> nequip(channels=32).update.nonlinearity
        'gate'
    """
    return build(_NEQUIP, _SMALL, size, changes)


def nequip_linear(size: Size = "paper", **changes: Any) -> Design:
    """Return NequIP without its gates: the total energy has body order layers + 1.

    Args:
        size: `paper` or `small`, as for `nequip`.
        **changes: fields of the Design to change; groups are merged.

    Source: Batatia et al. 2025 (linearised NequIP).

    Example:
        >>> nequip_linear("small").layers
        3
    """
    linear = {**_NEQUIP, "update": {**_NEQUIP["update"], "nonlinearity": "none"}}
    return build(linear, _SMALL, size, changes)
