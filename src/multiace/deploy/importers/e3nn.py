"""Weights in the layout of e3nn: flat vectors, block after block, and its sign conventions.

| | e3nn 0.4.4 models | here |
|---|---|---|
| edge vector | receiver - sender | sender - receiver: (-1)^l_edge a path |
| coupling | wigner_3j x sqrt(2 l + 1), sign of its own | sign of `multiace.o3.clebsch_gordan` |
| order of irreps | l, then odd before even | l, then even before odd |
| linear | one flat vector, blocks by (irrep in, irrep out) | one matrix an irrep |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from multiace.deploy.importers.neutral import ImportModelError
from multiace.design import Statistics
from multiace.design.layout import Path
from multiace.elements import symbol_of
from multiace.kernels.tables import ConvolutionTable
from multiace.layer.atomic_basis import AtomicBasis
from multiace.layer.linear import EquivariantLinear
from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.irreps import Irrep, Irreps
from multiace.potential import Potential
from multiace.readout import LinearReadout, MLPReadout

Weights = Mapping[str, Tensor]

E3NN_ACTIVATIONS = {"silu": 1.6791767923989418, "tanh": 1.5937334472592695}
"""1 / sqrt(E f^2) as e3nn 0.4.4 samples it: a property of the models it made."""


_NOT_WEIGHTS = re.compile(
    r"(.*\.)?(output_mask|_w3j_\d+_\d+_\d+)"
    r"|atomic_energies_fn\.atomic_energies|atomic_numbers|num_interactions|r_max"
    r"|radial_embedding\.(bessel_fn\.(prefactor|r_max|bessel_weights)|cutoff_fn\.(p|r_max))"
    r"|scale_shift\.(scale|shift)"
)


class Reading(Mapping[str, Tensor]):
    """Tensors of a file that remember which of them were read.

    Args:
        tensors: everything in the file.
    """

    def __init__(self, tensors: Weights) -> None:
        self._tensors, self._read = tensors, set[str]()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise ImportModelError(
                f"the neutral file has no tensor {name!r}: it is damaged, or not from multiace "
                "import. Import the file of the peer again."
            )
        self._read.add(name)
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def leave_out(self, prefix: str) -> None:
        """Count tensors as read whose names start so: nothing they lead to reaches a readout."""
        self._read.update(name for name in self._tensors if name.startswith(prefix))

    def check_all_read(self, not_weights: re.Pattern[str]) -> None:
        """Refuse a file with weights that no part of our model stands for.

        Args:
            not_weights: names of tensors that need no part.

        Raises:
            ValueError: names the tensors.
        """
        left = sorted(
            name
            for name in set(self._tensors) - self._read
            if self._tensors[name].numel() and not not_weights.fullmatch(name)
        )
        if left:
            raise ValueError(
                f"the file has weights of parts that are not supported: {', '.join(left[:5])}"
                f"{' and others' if len(left) > 5 else ''}. The model cannot be imported."
            )

    def check_complete(self, cutoff: float) -> None:
        """Refuse weights that nothing stands for, and trained Bessel frequencies.

        Args:
            cutoff: Å, to see whether the Bessel frequencies are n pi / cutoff.

        Raises:
            ValueError: names the tensors.
        """
        self.check_all_read(_NOT_WEIGHTS)
        frequencies = self["radial_embedding.bessel_fn.bessel_weights"].double()
        n = torch.arange(1, len(frequencies) + 1, dtype=torch.float64)
        if not torch.allclose(frequencies, n * torch.pi / cutoff, rtol=1e-6):
            raise ValueError(
                "the file has trained Bessel frequencies, which are not supported: "
                "only n pi / cutoff are. The model cannot be imported."
            )


def foreign_statistics(settings: Mapping[str, Any]) -> Statistics:
    """Read E0, shift, scale and mean neighbours off the settings of a foreign model."""
    symbols = [symbol_of(number) for number in settings["elements"]]
    return Statistics(
        mean_neighbours=settings["average_neighbours"],
        atomic_energies=dict(zip(symbols, settings["atomic_energies"], strict=True)),
        scale=1.0 if settings["scale"] is None else settings["scale"],
        shift=0.0 if settings["shift"] is None else settings["shift"],
    )


@dataclass(frozen=True)
class Slot:
    """One path of a foreign convolution: its coupling, and where its channels end up."""

    path: Path
    position: int


def slots(irreps_in: Irreps, l_max: int, targets: set[Irrep], *, sort: bool) -> list[Slot]:
    """List the paths of a convolution in the order of its weights.

    Args:
        irreps_in: irreps of the features, in the foreign order.
        l_max: largest l of the edges.
        targets: irreps to keep.
        sort: whether the weights follow the sorted outputs (MACE), or the inputs (BOTNet).
    """
    paths = [
        Path(irrep_in, l_edge, out)
        for irrep_in in irreps_in.irreps
        for l_edge in range(l_max + 1)
        for out in irrep_in * Irrep.natural(l_edge)
        if out in targets
    ]
    by_output = sorted(range(len(paths)), key=lambda n: tuple(paths[n].irrep_out))
    position = {n: rank for rank, n in enumerate(by_output)}
    result = [Slot(path, position[n]) for n, path in enumerate(paths)]
    return sorted(result, key=lambda slot: slot.position) if sort else result


def linear_blocks(flat: Tensor, irreps_in: Irreps, irreps_out: Irreps) -> dict[Irrep, Tensor]:
    """Cut the flat weights of `o3.Linear` into one matrix (in, out) an irrep."""
    return _cut(flat, irreps_in, irreps_out, ())


def per_element_blocks(
    flat: Tensor, irreps_in: Irreps, irreps_out: Irreps, n_elements: int
) -> dict[Irrep, Tensor]:
    """Cut the flat weights of a product with the one-hot into (elements, in, out) an irrep."""
    blocks = _cut(flat, irreps_in, irreps_out, (n_elements,))
    return {irrep: block.transpose(0, 1) for irrep, block in blocks.items()}


def _cut(
    flat: Tensor, irreps_in: Irreps, irreps_out: Irreps, between: tuple[int, ...]
) -> dict[Irrep, Tensor]:
    width_out = {irrep: channels for channels, irrep in irreps_out.entries}
    blocks, start = {}, 0
    for channels, irrep in irreps_in.entries:
        if irrep not in width_out:
            continue
        shape = (channels, *between, width_out[irrep])
        stop = start + int(np.prod(shape))
        blocks[irrep] = flat[start:stop].reshape(shape)
        start = stop
    if start != flat.numel():
        raise ValueError(
            f"the linear map {irreps_in} -> {irreps_out} has {start} weights, the file gives "
            f"{flat.numel()}. The file does not belong to the model it describes."
        )
    return blocks


def path_sign(path: Path, weights: Weights, *, edges_reversed: bool = True) -> float:
    """Return the factor of a path: edge direction, and sign of e3nn's coupling against ours.

    Args:
        path: the path.
        weights: everything in the file; e3nn keeps its non-trivial couplings as buffers
            `_w3j_{l_in}_{l_edge}_{l_out}`, those with some l = 0 are positive.
        edges_reversed: whether the file's edge vectors are receiver - sender.
    """
    l_in, l_edge, l_out = path.irrep_in.l, path.l_edge, path.irrep_out.l
    name = f"_w3j_{l_in}_{l_edge}_{l_out}"
    ours = torch.from_numpy(clebsch_gordan(l_in, l_edge, l_out).copy())
    if 0 in (l_in, l_edge, l_out):
        degree = max(l_in, l_edge)
        theirs = torch.eye(2 * degree + 1, dtype=torch.float64).reshape(ours.shape)
    else:
        theirs = weights[next(key for key in weights if key.endswith(name))].double()
    sign = float(torch.sign((ours * theirs).sum()))
    return sign * (-1.0) ** l_edge if edges_reversed else sign


def convert_atomic_basis(
    ours: AtomicBasis,
    theirs: Weights,
    prefix: str,
    irreps_in: Irreps,
    linear_out: Irreps,
    foreign: list[Slot],
    *,
    edges_reversed: bool = True,
) -> dict[str, Tensor]:
    """Map `linear_up`, the radial network and `linear` of an interaction block.

    Args:
        ours: the part of our model to fill.
        theirs: weights of the file.
        prefix: where the block's weights are, such as `interactions.0.`.
        irreps_in: irreps of its input features.
        linear_out: irreps of its `linear`.
        foreign: its paths.
        edges_reversed: whether its edge vectors are receiver - sender.

    Returns:
        Name within `ours` -> tensor.
    """
    result: dict[str, Tensor] = {}
    up = linear_blocks(theirs[f"{prefix}linear_up.weight"], irreps_in, irreps_in)
    for irrep in cast(EquivariantLinear, ours.before_edges).weights:
        result[f"before_edges.weights.{irrep}"] = up[Irrep.parse(irrep)]

    width = {irrep: channels for channels, irrep in irreps_in.entries}
    assert ours.convolution is not None
    table = cast(ConvolutionTable, ours.convolution.table)
    hidden, last = _radial(theirs, f"{prefix}conv_tp_weights.", ours.radial_network.last_factor)
    for n, layer in enumerate(hidden):
        result[f"radial_network.hidden.{n}"] = layer
    starts = np.cumsum([0, *(width[slot.path.irrep_in] for slot in foreign)])
    columns = {slot.path: start for slot, start in zip(foreign, starts, strict=False)}
    result["radial_network.last"] = torch.cat(
        [
            last[..., columns[path] : columns[path] + width[path.irrep_in]]
            * path_sign(path, theirs, edges_reversed=edges_reversed)
            for path in map(Path._make, table.paths)
        ],
        dim=-1,
    )

    by_position = sorted(foreign, key=lambda slot: slot.position)
    pooled = {
        out: [slot.path for slot in by_position if slot.path.irrep_out == out]
        for out in {slot.path.irrep_out for slot in foreign}
    }
    order = sorted(pooled, key=tuple)
    linear_in = Irreps(tuple((sum(width[p.irrep_in] for p in pooled[i]), i) for i in order))
    blocks = linear_blocks(theirs[f"{prefix}linear.weight"], linear_in, linear_out)
    for irrep in cast(EquivariantLinear, ours.after_pooling[0]).weights:
        out = Irrep.parse(irrep)
        sizes = [width[path.irrep_in] for path in pooled[out]]
        rows = dict(zip(pooled[out], blocks[out].split(sizes, dim=0), strict=True))
        mine = [path for path in map(Path._make, table.paths) if path.irrep_out == out]
        result[f"after_pooling.0.weights.{irrep}"] = torch.cat([rows[path] for path in mine])
    return result


def _radial(theirs: Weights, prefix: str, last_factor: float) -> tuple[list[Tensor], Tensor]:
    """Hidden layers and last map (types, hidden, weights): of a network, or a table by sender."""
    if f"{prefix}weights" in theirs:
        return [], theirs[f"{prefix}weights"] / last_factor
    layers = [theirs[f"{prefix}layer0.weight"]]
    while f"{prefix}layer{len(layers)}.weight" in theirs:
        layers.append(theirs[f"{prefix}layer{len(layers)}.weight"])
    return layers[:-1], layers[-1].unsqueeze(0)


def fill_linear(
    ours: nn.Module | None, prefix: str, blocks: Mapping[Irrep, Tensor]
) -> dict[str, Tensor]:
    """Pick the blocks a linear map of ours has."""
    linear = cast(EquivariantLinear, ours)
    return {f"{prefix}weights.{irrep}": blocks[Irrep.parse(irrep)] for irrep in linear.weights}


def convert_readouts(
    potential: Potential, weights: Weights, *, head: int = 0, n_heads: int = 1
) -> dict[str, Tensor]:
    """Map the readouts, linear ones and MLPs, which both codes number from the first.

    Args:
        potential: whose readouts to fill.
        weights: weights of the file.
        head: position of the head to read.
        n_heads: heads that the file has, side by side.
    """
    result = {}
    for n, (t, readout) in enumerate(potential.model.readouts.items()):
        name, prefix = f"model.readouts.{t}.", f"readouts.{n}."
        if isinstance(readout, LinearReadout):
            outputs = weights[f"{prefix}linear.weight"].reshape(-1, n_heads)
            result[f"{name}weights"] = outputs[:, head].unsqueeze(1)
        else:
            width = cast(MLPReadout, readout).channels
            first = weights[f"{prefix}linear_1.weight"].reshape(width, n_heads, -1)
            second = weights[f"{prefix}linear_2.weight"].reshape(n_heads, -1, n_heads)
            result[f"{name}first"] = first[:, head]
            result[f"{name}second"] = second[head, :, head].unsqueeze(1) / n_heads**0.5
    return result


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put a prefix before every name."""
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
