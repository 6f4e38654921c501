"""The terms of each atom's energy: what the probes look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from multiace.analysis.predict import BATCH_EDGES
from multiace.geometry import Graph, Structure, batch_graphs, batches_by, build_graph
from multiace.potential import Potential


def site_terms(potential: Potential, graph: Graph) -> Float64[Tensor, "nodes terms"]:
    """Return the terms of each atom's energy, named by `potential.terms`, eV.

    Unlike `Potential.forward` it is a plain function of `graph.edge_vectors`, to be differentiated
    any number of times.
    """
    return potential.model(
        graph.edge_vectors.to(potential.dtype),
        graph.senders,
        graph.receivers,
        graph.species,
        graph.n_nodes,
    )


def structure_graph(potential: Potential, structures: Sequence[Structure]) -> Graph:
    """Return one graph of all structures on the device of the potential."""
    graphs = [build_graph(s, potential.cutoff, potential.elements) for s in structures]
    return batch_graphs(graphs).to(next(potential.parameters()).device)


def terms_of_atoms(
    potential: Potential, structures: Sequence[Structure]
) -> list[Float64[np.ndarray, "atoms terms"]]:
    """Return the terms of each atom's energy in many structures, evaluated batch by batch, eV."""
    graphs = [build_graph(s, potential.cutoff, potential.elements) for s in structures]
    device = next(potential.parameters()).device
    sizes = [min(graph.n_edges, BATCH_EDGES) for graph in graphs]
    result: list[np.ndarray] = []
    for batch in batches_by(sizes, range(len(graphs)), BATCH_EDGES):
        graph = batch_graphs([graphs[index] for index in batch]).to(device)
        with torch.no_grad():
            terms = site_terms(potential, graph).cpu().numpy()
        result.extend(np.split(terms, graph.n_atoms.cumsum(0)[:-1].tolist()))
    return result
