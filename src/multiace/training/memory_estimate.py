"""How much memory the largest batch will need, before the run finds out.

What a step keeps for its derivatives grows linearly with atoms and edges. Small batches of the
structures of the run are therefore tried once, forward and backward, every tensor counted while it
lives; the largest batch follows by linear least squares. The batch itself is not computed unless
it is small.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from multiace.training.config import TrainingConfig
from multiace.training.examples import Examples, batch_sizes, collate
from multiace.training.loss import loss_terms, weights_at
from multiace.training.memory import OutOfMemory
from multiace.training.state import TrainingState
from multiace.training.streams import epoch_batches

TRIED = (250, 1000)
"""Edges of the batches that are tried."""

ALLOCATED = 1.4
"""What a process on a CPU grows by for each byte of its tensors: blocks that the C library keeps
and what kernels need within a call. Measured: 1.41 and 1.43 at 0.5 and 0.9 GB of tensors."""

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class MemoryEstimate:
    """What the largest batch of an epoch needs.

    Args:
        structures: of that batch.
        atoms: of that batch.
        edges: of that batch.
        bytes: what a step on it makes the process grow by, or allocates on a GPU.
        free: bytes that the device has free; None where the system does not say.
        total: bytes that it has at all.
    """

    structures: int
    atoms: int
    edges: int
    bytes: int
    free: int | None
    total: int | None

    def __str__(self) -> str:
        size = f"{self.structures} structures, {self.atoms:,} atoms, {self.edges:,} edges"
        free = "" if self.free is None else f"; {_size(self.free)} are free"
        return f"Memory: about {_size(self.bytes)} for the largest batch ({size}){free}."

    def check(self) -> str | None:
        """Return a warning if memory will hardly do.

        Raises:
            OutOfMemory: the device can never hold the batch.
        """
        fitting = None if self.free is None else int(self.edges * 0.8 * self.free / self.bytes)
        if self.total is not None and self.bytes > self.total:
            raise OutOfMemory(
                f"{self} The device has {_size(self.total)} in all. Limit batches with "
                f"batch: {{edges: {fitting}}}, or choose a smaller design."
            )
        if self.free is not None and self.bytes > 0.8 * self.free:
            return (
                "Warning: the largest batch needs most of the memory that is free. If it runs out, "
                f"limit batches with batch: {{edges: {fitting}}}."
            )
        return None


def estimate_memory(
    state: TrainingState, examples: Examples, config: TrainingConfig
) -> MemoryEstimate:
    """Estimate what the largest batch of the epoch that comes needs.

    Args:
        state: with the potential; its gradients are used and cleared, and nothing else changes.
        examples: the training set.
        config: of the run.
    """
    sizes, limit = batch_sizes(examples, config.batch)
    batches = epoch_batches(sizes, limit, config.seed_of("order"), state.epoch)
    n_atoms = examples.structures.columns.n_atoms
    n_edges = examples.structures.edge_counts(examples.cutoff).edges
    largest = max(batches, key=lambda batch: int(n_edges[batch].sum()))
    members = sorted(largest, key=lambda index: int(n_edges[index]))
    if n_edges[members[0]] > TRIED[0]:
        members = np.argsort(n_edges, kind="stable").tolist()
    tried = {tuple(_beginning(members, n_edges, edges)) for edges in TRIED}
    found = [
        (
            int(n_atoms[list(t)].sum()),
            int(n_edges[list(t)].sum()),
            _tried(state, examples, t, config),
        )
        for t in sorted(tried, key=len)
    ]
    atoms, edges = int(n_atoms[largest].sum()), int(n_edges[largest].sum())
    free, total = memory_of(state.device)
    needed = extrapolated(found, atoms, edges)
    if state.device.type == "cpu":
        needed = round(ALLOCATED * needed)
    return MemoryEstimate(len(largest), atoms, edges, needed, free, total)


def _beginning(members: Sequence[int], n_edges: np.ndarray, edges: int) -> Sequence[int]:
    """Return the first members with so many edges together, at least one of them."""
    stop = int(np.searchsorted(np.cumsum(n_edges[list(members)]), edges, side="right"))
    return members[: max(stop, 1)]


def extrapolated(found: Sequence[tuple[int, int, int]], atoms: int, edges: int) -> int:
    """Return the bytes of a batch from those of others: a constant and a share for each size.

    Args:
        found: atoms, edges and bytes of some batches.
        atoms: of the batch asked for.
        edges: of the same.

    Example:
        >>> extrapolated([(10, 100, 5100), (20, 200, 10100)], atoms=200, edges=2000)
        100100
    """
    scale = np.array([max(atoms, 1), max(edges, 1), 1.0])
    table = np.array([[a, e, 1.0] for a, e, _ in found]) / scale
    shares = np.linalg.lstsq(table, np.array([float(b) for *_, b in found]), rcond=None)[0]
    if len(found) == 1:  # no constant can be told: all of it grows with the edges
        return round(found[0][2] * max(edges / max(found[0][1], 1), 1.0))
    asked = np.array([atoms, edges, 1.0]) / scale
    return max(round(float(asked @ shares)), *(b for *_, b in found))


def _tried(
    state: TrainingState, examples: Examples, indices: Sequence[int], config: TrainingConfig
) -> int:
    """Return the bytes of a step on some structures, whose result is thrown away."""
    potential, device = state.potential, state.device
    batch = collate([examples[index] for index in indices]).to(device, potential.dtype)
    weights = weights_at(config.loss, state.epoch).to(device)

    def step() -> None:
        of_forces, of_stress = bool(weights[1] > 0), bool(weights[2] > 0)
        prediction = potential(batch.graph, forces=of_forces, stress=of_stress)
        loss_terms(prediction, batch.targets, config.loss).value(weights).backward()

    try:
        return peak_bytes(step, device)
    finally:
        state.optimiser.zero_grad(set_to_none=True)


def peak_bytes(run: Callable[[], None], device: torch.device) -> int:
    """Return the most bytes that tensors made by a function hold at once.

    Args:
        run: the function.
        device: where it computes.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _Living() as living:
        run()
    return living.peak


class _Living(TorchDispatchMode):
    """Counts the bytes of tensors made while it is on, from their making to their end."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        for tensor in tree_leaves((args, kwargs)):  # what was there before
            if isinstance(tensor, Tensor) and tensor.layout == torch.strided:
                self._seen.add(_address(tensor))
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.layout == torch.strided:
                self._add(tensor)
        return result

    def _add(self, tensor: Tensor) -> None:
        storage, address = tensor.untyped_storage(), _address(tensor)
        if address in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(address)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._end, address, size)

    def _end(self, address: int, size: int) -> None:
        self._seen.discard(address)
        self._now -= size


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def memory_of(device: torch.device) -> tuple[int | None, int | None]:
    """Return the free and the total bytes of a device, None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = {name: int(value.split()[0]) for name, value in (l.split(":") for l in lines)}
        free, total = 1024 * kilobytes["MemAvailable"], 1024 * kilobytes["MemTotal"]
    except (OSError, KeyError, ValueError):
        return None, None
    limits = [total]
    for path in _CGROUP_LIMITS:
        if os.path.exists(path):
            text = Path(path).read_text(encoding="ascii").strip()
            limits += [int(text)] if text.isdigit() else []
    total = min(limits)
    return min(free, total), total


def _size(n_bytes: int) -> str:
    """Return a number of bytes in a unit that suits it, with two digits."""
    unit, name = (1e9, "GB") if n_bytes >= 1e9 else (1e6, "MB") if n_bytes >= 1e6 else (1e3, "kB")
    digits = 0 if n_bytes >= 10 * unit else 1
    return f"{n_bytes / unit:,.{digits}f} {name}"
