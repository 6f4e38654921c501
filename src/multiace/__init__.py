"""Build, train, probe and run E(3)-equivariant atom-centred interatomic potentials.

Names are loaded on first use, so that `import multiace` takes no time and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiace import presets
    from multiace.checkpoint import load
    from multiace.deploy.ase import ASECalculator
    from multiace.design import Design
    from multiace.ensemble import Ensemble
    from multiace.geometry import Structure
    from multiace.potential import Potential

__version__ = "0.1.0"

__all__ = ["ASECalculator", "Design", "Ensemble", "Potential", "Structure", "load", "presets"]

_HOMES = {
    "ASECalculator": ("multiace.deploy.ase", "ASECalculator"),
    "Design": ("multiace.design", "Design"),
    "Ensemble": ("multiace.ensemble", "Ensemble"),
    "Potential": ("multiace.potential", "Potential"),
    "Structure": ("multiace.geometry", "Structure"),
    "load": ("multiace.checkpoint", "load"),
}


def __getattr__(name: str) -> Any:
    if name == "presets":
        return import_module("multiace.presets")
    if name not in _HOMES:
        raise AttributeError(f"module 'multiace' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
