"""Probes of a potential-energy surface: each returns numbers, tables and curves.

A probe takes a model file, a `Potential`, an `Ensemble` or an ASE calculator where it makes sense,
and returns a `ProbeResult`. `overlay` makes a figure of it, or of several.
"""

from __future__ import annotations

from multiace.probes.body_order import body_order, contributions
from multiace.probes.bonds import bond_smoothness
from multiace.probes.completeness import completeness
from multiace.probes.cost import cost
from multiace.probes.cutoff import cutoff
from multiace.probes.diatomics import dimers
from multiace.probes.locality import locality
from multiace.probes.result import REFERENCE, Number, ProbeResult, Table, combine, overlay
from multiace.probes.roughness import directions, roughness
from multiace.probes.scan import scan
from multiace.probes.smoothness import smoothness
from multiace.probes.stability import stability
from multiace.probes.surface import CalculatorSurface, Surface, surface
from multiace.probes.symmetry import symmetry

__all__ = [
    "REFERENCE",
    "CalculatorSurface",
    "Number",
    "ProbeResult",
    "Surface",
    "Table",
    "body_order",
    "bond_smoothness",
    "combine",
    "completeness",
    "contributions",
    "cost",
    "cutoff",
    "dimers",
    "directions",
    "locality",
    "overlay",
    "roughness",
    "scan",
    "smoothness",
    "stability",
    "surface",
    "symmetry",
]
