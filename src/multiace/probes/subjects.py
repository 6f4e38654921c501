"""Subjects by name: what the command line and study files write for a model or calculator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from ase.calculators.calculator import Calculator, get_calculator_class

from multiace.checkpoint import load
from multiace.probes.surface import CalculatorSurface, EnsembleSurface, PotentialSurface, Surface

TBLITE, ASE = "tblite:", "ase:"


def named_surface(name: str, *, dtype: torch.dtype = torch.float64, device: str = "cpu") -> Surface:
    """Return the surface of a model file, of `tblite:METHOD` or of `ase:CALCULATOR`.

    Args:
        name: a path; or the method of tblite, such as `tblite:GFN2-xTB`; or a calculator as ASE
            names it, with its default parameters, such as `ase:emt`.
        dtype: compute type of a model.
        device: where a model computes.

    Raises:
        ModelFileError: a file that is not a model.
        ValueError: there is no such calculator, or tblite is not installed.

    Example:
        >>> named_surface("ase:emt").name
        'ase:emt'
    """
    if name.startswith(TBLITE):
        return CalculatorSurface(_tblite(name.removeprefix(TBLITE)), name)
    if name.startswith(ASE):
        return CalculatorSurface(_ase(name.removeprefix(ASE)), name)
    return PotentialSurface(load(name, dtype=dtype, device=device), short_names([name])[0])


def named_surfaces(
    names: Sequence[str],
    *,
    ensemble: bool = False,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
) -> list[Surface]:
    """Return one surface for each name, or one ensemble of all.

    Args:
        names: as `named_surface` takes them.
        ensemble: whether the names are model files of one ensemble.
        dtype: compute type of models.
        device: where models compute.
    """
    if ensemble:
        return [EnsembleSurface(load(list(names), dtype=dtype, device=device))]
    found = [named_surface(name, dtype=dtype, device=device) for name in names]
    for each, short in zip(found, short_names(names), strict=True):
        each.name = short
    return found


def short_names(names: Sequence[str]) -> list[str]:
    """Name model files by what tells them apart: their folder, or their stem.

    Example:
        >>> short_names(["runs/a/model.safetensors", "runs/b/model.safetensors"])
        ['a', 'b']
        >>> short_names(["x.safetensors", "tblite:GFN2-xTB"])
        ['x', 'tblite:GFN2-xTB']
    """
    shortest = [_short(name) for name in names]
    if len(set(shortest)) == len(names):
        return shortest
    return [str(Path(name).with_suffix("")) for name in names]


def _short(name: str) -> str:
    if name.startswith((TBLITE, ASE)):
        return name
    path = Path(name)
    return path.parent.name if path.stem == "model" and path.parent.name else path.stem


def _tblite(method: str) -> Calculator:
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ValueError(
            f"tblite:{method} needs tblite, which is not installed: pip install multiace[labels]."
        ) from error
    return TBLite(method=method, verbosity=0)


def _ase(name: str) -> Calculator:
    try:
        return get_calculator_class(name)()
    except ImportError as error:
        raise ValueError(
            f"ase:{name} is not a calculator of ASE. Try ase:emt or ase:lj, or write a Python "
            "script for a calculator that needs parameters."
        ) from error
