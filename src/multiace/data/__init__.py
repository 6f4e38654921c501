"""Reading, checking, dividing and summarising reference data."""

from __future__ import annotations

from multiace.data.atomic_energies import (
    atomic_energies,
    is_isolated_atom,
    isolated_atom_energies,
)
from multiace.data.bundled import BUNDLED, Bundled, bundled
from multiace.data.errors import DataError, DataErrors, DataWarning
from multiace.data.extxyz import LabelNames, keys_in_file, read_structures
from multiace.data.labels import LabelTable, label_table
from multiace.data.split import split
from multiace.data.statistics import compute_statistics, mean_neighbours
from multiace.data.strict import Reading, read_files

__all__ = [
    "BUNDLED",
    "Bundled",
    "DataError",
    "DataErrors",
    "DataWarning",
    "LabelNames",
    "LabelTable",
    "Reading",
    "atomic_energies",
    "bundled",
    "compute_statistics",
    "is_isolated_atom",
    "isolated_atom_energies",
    "keys_in_file",
    "label_table",
    "mean_neighbours",
    "read_files",
    "read_structures",
    "split",
]
