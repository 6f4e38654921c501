"""`build_program`: a potential as operations over arrays."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from multiace.device import own_mode
from multiace.elements import ElementError, format_elements
from multiace.potential import Potential
from multiace.program.draft import Draft
from multiace.program.edges import EdgeOperations
from multiace.program.layers import LayerOperations
from multiace.program.program import Program


@own_mode()
def build_program(
    potential: Potential,
    *,
    elements: Sequence[int] | None = None,
    exact: bool = False,
    tolerance: float = 1e-6,
) -> Program:
    """Return a potential as a program, of its dtype; weights are copied.

    Linear maps that follow one another are folded, what depends only on elements becomes a
    constant, and radial functions become splines.

    Args:
        potential: the potential, on any device.
        elements: atomic numbers that the program is for; all others of the potential are left out.
            None or none: all.
        exact: keep the radial network instead of splines.
        tolerance: largest error of splines, of values relative to the largest value of a radial
            function and of slopes relative to the largest slope.

    Raises:
        ElementError: an element that the potential does not know.
        ValueError: a weight that is not finite.
    """
    chosen = tuple(sorted(set(elements or potential.elements)))
    if not set(chosen) <= set(potential.elements):
        raise ElementError(
            f"A program for {format_elements(chosen)} is asked of a potential that knows "
            f"{format_elements(potential.elements)}. Leave out what it does not know."
        )
    model = potential.model
    if next(potential.parameters()).device.type != "cpu":
        model = copy.deepcopy(model).cpu()
    draft = Draft(model, potential.dtype, potential.elements, chosen)
    with torch.no_grad():
        edges = EdgeOperations(draft, exact=exact, tolerance=tolerance)
        layers = LayerOperations(draft, edges)
        reads = [] if model.baseline.repulsion is None else [edges.repulsion()]
        features: list[int] = []
        h: int | Tensor = model.embedding.of_element
        for t, (layer, source) in enumerate(zip(draft.layers, edges.sources, strict=True), 1):
            h = layers.layer(t, layer, source, h)
            features.append(h)
            if str(t - 1) in model.readouts:
                readout = model.readouts[str(t - 1)]
                reads.append(layers.readout(t, readout, layer.layout.features_out, h))
    terms, factors = _energy(draft, len(reads))
    splines = edges.splines or ()
    program = Program(
        elements=chosen,
        cutoff=potential.cutoff,
        dtype=potential.dtype,
        exact=edges.splines is None,
        spline_error=max((s.error for s in splines), default=0.0),
        spline_slope_error=max((s.slope_error for s in splines), default=0.0),
        arrays=draft.arrays(edges.vectors, [*features, *reads]),
        operations=draft.operations,
        vectors=edges.vectors,
        features=tuple(features),
        reads=tuple(reads),
        terms=terms,
        factors=factors,
        names=potential.terms,
    )
    if not all(t.isfinite().all() for t in program.tensors.values() if t.is_floating_point()):
        raise ValueError(
            "The potential has weights that are not finite, so that it cannot be evaluated. Take "
            "an earlier checkpoint, or train with a smaller learning rate."
        )
    return program


def _energy(
    draft: Draft, n_reads: int
) -> tuple[Float64[Tensor, "elements terms"], Float64[Tensor, "read elements"]]:
    """Return the constants of the energy, and the factors of what is read."""
    baseline, shape = draft.model.baseline, (len(draft.present),)
    with torch.enable_grad():
        reads = [
            torch.zeros(shape, dtype=torch.float64, requires_grad=True) for _ in range(n_reads)
        ]
        repels = baseline.repulsion is not None
        repulsion, readouts = (reads[0], reads[1:]) if repels else (None, reads)
        terms = baseline(readouts, draft.present, repulsion)
        factors = torch.autograd.grad(terms.sum(), reads)
    return terms.detach(), torch.stack(factors)
