"""Train four potentials on bundled data and compare them in and out of domain."""

from __future__ import annotations

from multiace.demo.run import run_demo

__all__ = ["run_demo"]
