"""Probes of a potential-energy surface: each returns numbers, tables and curves.

A probe takes a model file, a `Potential`, an `Ensemble` or an ASE calculator where it makes sense,
and returns a `ProbeResult`. `multiace.probes.figures` draws it.
"""

from __future__ import annotations

from multiace.probes.bonds import bond_smoothness
from multiace.probes.cutoff import cutoff
from multiace.probes.diatomics import dimers
from multiace.probes.result import Mark, Number, Panel, ProbeResult, Series, Table, overlay
from multiace.probes.roughness import directions, roughness
from multiace.probes.scan import scan
from multiace.probes.smoothness import smoothness
from multiace.probes.surface import CalculatorSurface, Surface, surface

__all__ = [
    "CalculatorSurface",
    "Mark",
    "Number",
    "Panel",
    "ProbeResult",
    "Series",
    "Surface",
    "Table",
    "bond_smoothness",
    "cutoff",
    "dimers",
    "directions",
    "overlay",
    "roughness",
    "scan",
    "smoothness",
    "surface",
]
