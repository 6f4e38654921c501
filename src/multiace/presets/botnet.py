"""BOTNet, with isolated-atom energies and scale-shifted."""

from __future__ import annotations

from typing import Any

from multiace.design import Design
from multiace.presets.build import Size, build

_BOTNET: dict[str, Any] = {
    "layers": 5,
    "channels": 80,
    "l_max": 3,
    "features_l_max": 3,
    "parity": "both",
    "cutoff": 4.0,
    "radial": {"number": 8, "envelope_power": 6, "hidden": [64, 64, 64]},
    "atomic_basis": {
        "before_edges": "shared",
        "after_pooling": {"first": "shared_then_per_element", "rest": "shared"},
        "pooling": "N",
    },
    "update": {"self_connection": {"first": "none", "rest": "per_element"}},
    "readout": {"kind": {"rest": "linear", "last": "mlp"}, "activation": "silu"},
    "energy": {"reference": "isolated_atoms", "shift": "none", "scale": "none"},
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


def botnet(size: Size = "paper", **changes: Any) -> Design:
    """Return BOTNet (E0): linear updates, a readout per layer, an MLP only on the last.

    E_t holds at most t + 1 bodies for t < layers, and an isolated atom has exactly E0.

    Args:
        size: `paper` (5 layers, 80 channels, l <= 3, both parities) or `small` (3 layers,
            16 channels, l <= 2) for a CPU.
        **changes: fields of the Design to change; groups are merged.

    Source: Batatia et al. 2025.

    Example:
        >>> botnet(channels=32).channels
        32
    """
    return build(_BOTNET, _SMALL, size, changes)


def botnet_ssh(size: Size = "paper", **changes: Any) -> Design:
    """Return BOTNet with scale and shift of the training set.

    Args:
        size: `paper` or `small`, as for `botnet`.
        **changes: fields of the Design to change; groups are merged.

    Source: Batatia et al. 2025 (BOTNet-SSH).

    Example:
        >>> botnet_ssh().energy.shift
        'mean'
    """
    energy = {**_BOTNET["energy"], "shift": "mean", "scale": "rms_forces"}
    return build({**_BOTNET, "energy": energy}, _SMALL, size, changes)
