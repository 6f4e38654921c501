"""Structures, neighbour lists, graphs and batches of graphs."""

from __future__ import annotations

from multiace.geometry.batch import batch_graphs, batches_by
from multiace.geometry.graph import Graph, build_graph
from multiace.geometry.neighbours import NeighbourList, neighbour_list
from multiace.geometry.pairs import Pairs
from multiace.geometry.skin_list import SkinList
from multiace.geometry.structure import Labels, Structure

__all__ = [
    "Graph",
    "Labels",
    "NeighbourList",
    "Pairs",
    "SkinList",
    "Structure",
    "batch_graphs",
    "batches_by",
    "build_graph",
    "neighbour_list",
]
