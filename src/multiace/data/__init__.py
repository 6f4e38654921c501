"""Reading, checking, dividing and summarising reference data."""

from __future__ import annotations

from multiace.data.atomic_energies import (
    atomic_energies,
    is_isolated_atom,
    isolated_atom_energies,
)
from multiace.data.bundled import BUNDLED, Bundled, bundled
from multiace.data.edge_counts import EdgeCounts, count_edges, mean_neighbours
from multiace.data.errors import DataError, DataErrors, DataWarning
from multiace.data.extxyz import iterate_structures, keys_in_file, read_structures
from multiace.data.frame_reader import LabelNames
from multiace.data.labels import LabelTable, label_table
from multiace.data.selection import Selection
from multiace.data.split import split
from multiace.data.statistics import compute_statistics
from multiace.data.store import Store, fresh_store, is_store, prepare_store
from multiace.data.strict import Reading, read_files

__all__ = [
    "BUNDLED",
    "Bundled",
    "DataError",
    "DataErrors",
    "DataWarning",
    "EdgeCounts",
    "LabelNames",
    "LabelTable",
    "Reading",
    "Selection",
    "Store",
    "atomic_energies",
    "bundled",
    "compute_statistics",
    "count_edges",
    "fresh_store",
    "is_isolated_atom",
    "is_store",
    "isolated_atom_energies",
    "iterate_structures",
    "keys_in_file",
    "label_table",
    "mean_neighbours",
    "prepare_store",
    "read_files",
    "read_structures",
    "split",
]
