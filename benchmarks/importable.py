"""The multiace that can be imported, old or new: the one place that knows how they differ.

Programs that compare two versions run on both, each in its own interpreter.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch

import multiace

try:
    from multiace.program import Plan
except ImportError:  # 38b1ade and before
    from multiace.plan import Plan  # pyright: ignore[reportMissingImports]

__all__ = ["Plan", "about"]


def about() -> dict[str, Any]:
    """Return the commit of the source that was imported, and what else its results depend on."""
    source = Path(multiace.__file__).resolve().parent
    return {
        "multiace": multiace.__version__,
        "commit": _git(source, "rev-parse", "HEAD"),
        "changed": bool(_git(source, "status", "--short", ".")),
        "kernels": multiace.kernels.dispatch.select_kernels("cpu").label,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "ase": ase.__version__,
    }


def _git(folder: Path, *words: str) -> str | None:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True)
    return done.stdout.strip() or None
