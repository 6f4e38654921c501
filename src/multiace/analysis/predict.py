"""Evaluate a potential on many structures, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from multiace.geometry import Graph, Labels, Structure, batch_graphs, build_graph
from multiace.potential import Potential, Prediction
from multiace.program import Plan

BATCH_EDGES = 4000
"""Edges evaluated at once: about 1 GB for the largest preset."""


def predict(
    potential: Potential | Plan,
    structures: Sequence[Structure],
    *,
    forces: bool = True,
    stress: bool = False,
    batch_edges: int = BATCH_EDGES,
) -> list[Labels]:
    """Predict the labels of structures, in their order.

    Args:
        potential: a potential or a plan of one, evaluated in its own dtype and on its own device.
        structures: their elements must be known to the potential.
        forces: predict forces, eV/Å.
        stress: predict the stress, eV/Å^3, of structures that are periodic in three directions.
        batch_edges: largest number of edges in a batch; a structure with more is a batch alone.

    Returns:
        One `Labels` a structure. `stress` is None where there is no volume.

    Raises:
        ElementError: a structure has an element that the potential does not know.
        ValueError: the limit is below 1, or a prediction is not finite.
    """
    if isinstance(potential, Plan):
        evaluate, model = potential.evaluate, potential.potential
    else:
        evaluate = model = potential
    if batch_edges < 1:
        raise ValueError(f"batch_edges must be at least 1, got {batch_edges}.")
    device = next(model.parameters()).device
    predicted: list[Labels] = []
    for batch in _batches(structures, model, batch_edges):
        graph = batch_graphs([graph for _, graph in batch]).to(device, model.dtype)
        with torch.no_grad():
            prediction = evaluate(graph, forces=forces, stress=stress)
        predicted.extend(_labels_of(prediction, [structure for structure, _ in batch]))
    return predicted


def _batches(
    structures: Iterable[Structure], model: Potential, batch_edges: int
) -> Iterator[list[tuple[Structure, Graph]]]:
    """Yield structures with their graphs, as many at once as the limit allows."""
    batch: list[tuple[Structure, Graph]] = []
    n_edges = 0
    for structure in structures:
        graph = build_graph(structure, model.cutoff, model.elements)
        if batch and n_edges + graph.n_edges > batch_edges:
            yield batch
            batch, n_edges = [], 0
        batch.append((structure, graph))
        n_edges += graph.n_edges
    if batch:
        yield batch


def _labels_of(prediction: Prediction, structures: Sequence[Structure]) -> Iterator[Labels]:
    """Cut the prediction of a batch into those of its structures."""
    energies = prediction.energy.cpu().double().numpy()
    forces = None if prediction.forces is None else prediction.forces.cpu().double().numpy()
    stresses = None if prediction.stress is None else prediction.stress.cpu().double().numpy()
    start = 0
    for index, structure in enumerate(structures):
        stop = start + structure.n_atoms
        labels = Labels(
            energy=float(energies[index]),
            forces=None if forces is None else forces[start:stop],
            stress=None if stresses is None or structure.volume is None else stresses[index],
        )
        for name in ("energy", "forces", "stress"):
            value = getattr(labels, name)
            if value is not None and not np.isfinite(value).all():
                origin = structure.source or f"structure {index}"
                raise ValueError(
                    f"The predicted {name} of {origin} is not finite. Look for overlapping atoms "
                    "there, or train with a smaller learning rate."
                )
        yield labels
        start = stop
