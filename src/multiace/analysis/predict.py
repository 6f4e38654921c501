"""Evaluate a potential on many structures, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from multiace.geometry import Labels, Structure, batch_graphs, batches_by, build_graph
from multiace.plan import Plan
from multiace.potential import Potential, Prediction

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
    graphs = [build_graph(s, model.cutoff, model.elements) for s in structures]
    sizes = [min(graph.n_edges, batch_edges) for graph in graphs]
    device = next(model.parameters()).device
    predicted: list[Labels] = []
    for batch in batches_by(sizes, range(len(graphs)), batch_edges):
        graph = batch_graphs([graphs[index] for index in batch]).to(device, model.dtype)
        with torch.no_grad():
            prediction = evaluate(graph, forces=forces, stress=stress)
        predicted.extend(_labels_of(prediction, [structures[index] for index in batch]))
    return predicted


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
