"""Calls of our operations that a training step makes, for tests of every operation there is."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from multiace.design import Statistics
from multiace.geometry import Pairs
from multiace.potential import Potential
from multiace.presets import PRESETS

STATISTICS = Statistics(mean_neighbours=10.0, atomic_energies={"H": -13.6, "C": -30.0})


def with_tensors(change: Callable[[Tensor], Tensor], arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return arguments of an operation with its tensors changed, those in lists too."""
    return tree_map_only(Tensor, change, tuple(arguments))


class _Recorder(TorchDispatchMode):
    """Keep the first call of each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, tuple] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "multiace_cpu" and func.name() not in self.calls:
            kept = with_tensors(lambda a: a.detach().clone(), args)
            self.calls[func.name()] = (func, kept)
        return func(*args, **(kwargs or {}))


@cache
def recorded_calls() -> dict[str, tuple]:
    """Return name -> (operation, arguments) of a step of training on forces."""
    random = torch.Generator().manual_seed(0)
    nodes = torch.randint(0, 5, (2, 14), generator=random)
    edge_vectors = torch.randn(14, 3, generator=random, dtype=torch.float64).requires_grad_()
    species = torch.tensor([0, 1, 1, 0, 1])
    pairs = Pairs(torch.arange(14) % 8, torch.arange(8))
    with _Recorder() as recorder:
        for preset in ("mace", "nequip"):
            design = PRESETS[preset](size="small", channels=2, layers=2)
            potential = Potential(
                design, (1, 6), STATISTICS, seed=0, kernels="cpu", dtype=torch.float64
            )
            ends = (nodes[0], nodes[1].sort().values)
            energies = potential.model(edge_vectors, *ends, species, 5, pairs)
            (forces,) = torch.autograd.grad(energies.sum(), edge_vectors, create_graph=True)
            forces.square().sum().backward()
    return recorder.calls
