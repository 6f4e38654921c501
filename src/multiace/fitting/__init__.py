"""Closed-form fits of potentials that are linear in their weights."""

from multiace.fitting.fit import LabelWeights, Smoothness, fit
from multiace.fitting.least_squares import LeastSquares, Solution

__all__ = ["LabelWeights", "LeastSquares", "Smoothness", "Solution", "fit"]
