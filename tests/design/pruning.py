"""Carry the weights of a whole model over to the pruned one."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from multiace.design.layout import SCALAR, LayerLayout, layouts
from multiace.o3.irreps import Irreps
from multiace.potential import Potential


def live_weights(whole: Potential, pruned: Potential) -> dict[str, Tensor]:
    """Return the weights of `whole` that `pruned` has, under its names and in its shapes."""
    n_elements = len(whole.elements)
    rows = [layouts(whole.design, n_elements, prune=prune) for prune in (False, True)]
    kept = set(dict(pruned.named_parameters()))
    return {
        name: _live(name, weights.detach(), *rows)
        for name, weights in whole.named_parameters()
        if name in kept
    }


def _live(name: str, weights: Tensor, whole: tuple, pruned: tuple) -> Tensor:
    if not name.startswith("model.layers."):
        return weights
    _, _, number, part = name.split(".", 3)
    layer, live = whole[int(number)], pruned[int(number)]
    if part == "atomic_basis.radial_network.last":
        return weights[..., _radial_functions(layer, live)]
    if part.endswith(".weights.0e"):
        columns = _scalars_and_gates(layer, live)
        makes_gates = part.startswith("update.") or (
            part.startswith("atomic_basis.after_pooling.") and layer.message == layer.update
        )
        if makes_gates and weights.shape[-1] == _n_scalars(layer.update):
            return weights[..., columns]
    return weights


def _radial_functions(layer: LayerLayout, live: LayerLayout) -> Tensor:
    """Columns of the last radial map: those of the live paths."""
    width = {irrep: channels for channels, irrep in layer.convolved.entries}
    widths = [width[path.irrep_in] for path in layer.paths]
    starts = [0, *accumulate(widths)]
    columns = [
        torch.arange(start, start + n)
        for start, n, path in zip(starts, widths, layer.paths, strict=False)
        if path in live.paths
    ]
    return torch.cat(columns)


def _n_scalars(irreps: Irreps) -> int:
    return sum(channels for channels, irrep in irreps.entries if irrep == SCALAR)


def _scalars_and_gates(layer: LayerLayout, live: LayerLayout) -> Tensor:
    """Columns of the even scalars before a nonlinearity: scalars, and gates of live irreps."""
    n_scalars = _n_scalars(layer.features_out)
    columns, start = [torch.arange(n_scalars)], n_scalars
    if _n_scalars(layer.update) > n_scalars:
        for channels, irrep in layer.features_out.entries:
            if irrep.l > 0:
                if irrep in live.features_out.irreps:
                    columns.append(torch.arange(start, start + channels))
                start += channels
    return torch.cat(columns)
