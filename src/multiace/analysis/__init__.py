"""What a potential predicts, how far that is from reference data, and which laws it keeps."""

from __future__ import annotations

from multiace.analysis.body_order import BodyOrders, body_orders, site_body_orders
from multiace.analysis.completeness import degenerate_pair, separation
from multiace.analysis.errors import Deviation, ErrorRow, ErrorTable, compare, errors
from multiace.analysis.gradients import hessian, numerical_forces, numerical_stress
from multiace.analysis.locality import influence
from multiace.analysis.precision import float32_errors
from multiace.analysis.predict import predict
from multiace.analysis.smoothness import Jump, Scan, cutoff_jumps, scan
from multiace.analysis.symmetry import Departure, Image, departures, symmetry

__all__ = [
    "BodyOrders",
    "Departure",
    "Deviation",
    "ErrorRow",
    "ErrorTable",
    "Image",
    "Jump",
    "Scan",
    "body_orders",
    "compare",
    "cutoff_jumps",
    "degenerate_pair",
    "departures",
    "errors",
    "float32_errors",
    "hessian",
    "influence",
    "numerical_forces",
    "numerical_stress",
    "predict",
    "scan",
    "separation",
    "site_body_orders",
    "symmetry",
]
