"""A potential laid out for molecular dynamics: the same numbers, without autograd's bookkeeping."""

from multiace.plan.plan import Plan

__all__ = ["Plan"]
