"""Batches: several graphs as one, and how many structures go into each."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from multiace.geometry.graph import Graph
from multiace.geometry.pairs import Pairs


def batch_graphs(graphs: Sequence[Graph]) -> Graph:
    """Return one graph of all structures, in the order given.

    Nodes and edges follow one another graph by graph, so edges stay sorted by receiver.

    Raises:
        ValueError: no graph is given.

    Example:
        >>> import numpy as np
        >>> from multiace.geometry import Structure, build_graph
        >>> positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
        >>> pair = Structure(numbers=np.array([1, 1]), positions=positions)
        >>> graph = build_graph(pair, cutoff=2.0, elements=(1,))
        >>> batch_graphs([graph, graph]).senders.tolist()
        [1, 0, 3, 2]
    """
    if not graphs:
        raise ValueError("A batch needs at least one graph, got none.")
    first_node = _starts([graph.n_nodes for graph in graphs])
    first_structure = _starts([graph.n_structures for graph in graphs])
    return Graph(
        species=torch.cat([graph.species for graph in graphs]),
        senders=torch.cat([g.senders + n for g, n in zip(graphs, first_node, strict=True)]),
        receivers=torch.cat([g.receivers + n for g, n in zip(graphs, first_node, strict=True)]),
        edge_vectors=torch.cat([graph.edge_vectors for graph in graphs]),
        structure_of_node=torch.cat(
            [g.structure_of_node + b for g, b in zip(graphs, first_structure, strict=True)]
        ),
        n_structures=sum(graph.n_structures for graph in graphs),
        volume=torch.cat([graph.volume for graph in graphs]),
        pairs=_batch_pairs([graph.pairs for graph in graphs]),
    )


def _batch_pairs(every: Sequence[Pairs | None]) -> Pairs | None:
    """Return the pairs of all graphs, or None if one of these has none."""
    known = [pairs for pairs in every if pairs is not None]
    if len(known) < len(every):
        return None
    first_pair = _starts([len(pairs.edge) for pairs in known])
    first_edge = _starts([len(pairs.of_edge) for pairs in known])
    return Pairs(
        torch.cat([pairs.of_edge + n for pairs, n in zip(known, first_pair, strict=True)]),
        torch.cat([pairs.edge + n for pairs, n in zip(known, first_edge, strict=True)]),
    )


def batches_by(sizes: Sequence[int], order: Sequence[int], limit: int) -> list[list[int]]:
    """Cut an order of structures into batches of limited size.

    The next structure of the order joins the batch while the sum of sizes stays within the limit.
    Sizes of 1 give batches by structures, numbers of atoms or of edges batches by these.

    Args:
        sizes: size of each structure.
        order: indices into `sizes`, each structure to be seen, in this order.
        limit: largest sum of sizes in a batch.

    Raises:
        ValueError: the limit is below 1 or below the size of a single structure.

    Example:
        >>> batches_by(sizes=[9, 9, 27, 3], order=[3, 0, 1, 2], limit=30)
        [[3, 0, 1], [2]]
    """
    if limit < 1:
        raise ValueError(f"The batch limit must be at least 1, got {limit}.")
    batches: list[list[int]] = []
    filled = 0
    for index in order:
        size = sizes[index]
        if size > limit:
            raise ValueError(
                f"Structure {index} has size {size}, more than the batch limit of {limit}. "
                "Raise the limit or take the structure out."
            )
        if not batches or filled + size > limit:
            batches.append([])
            filled = 0
        batches[-1].append(int(index))
        filled += size
    return batches


def _starts(counts: Sequence[int]) -> list[int]:
    """Return the sum of all counts before each one."""
    starts = [0]
    for count in counts:
        starts.append(starts[-1] + count)
    return starts[:-1]
