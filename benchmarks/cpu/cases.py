"""Models and structures of the benchmark, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms
from benchmarks.cpu.ours import Peer
from benchmarks.cpu.systems import molecules, silicon

MODES = {
    "mace": {"energy_forces": ("eager", "scripted", "compiled"), "training": ("eager", "compiled")},
    "nequip": {"energy_forces": ("eager", "compiled"), "training": ("eager", "compiled")},
}
"""Ways in which each peer runs on a CPU; the ratio is against the fastest that works."""


@dataclass(frozen=True)
class Options:
    """What a run is given.

    Args:
        tiny: a few channels and atoms: to see that everything works, not to time anything.
        data: a file of molecules; see `systems.molecules`.
        cache: folder for what the peers compile.
        modes: modes of the peers to leave in; all if empty.
        patience: seconds that a mode may take to compile; one that takes longer is recorded as
            failed.
        only: patterns of names of cases, those of the grid with `_threads1` or `_threads2`; all if
            empty.
    """

    tiny: bool = False
    data: Path | None = None
    cache: Path = Path(".bench-cache")
    modes: tuple[str, ...] = ()
    patience: int = 900
    only: tuple[str, ...] = ()

    def wants(self, name: str) -> bool:
        """Whether a case is to be run."""
        return not self.only or any(fnmatchcase(name, pattern) for pattern in self.only)

    def modes_of(self, peer: str, purpose: str) -> tuple[str, ...]:
        """Return the modes of a peer for a purpose, those left in."""
        return tuple(m for m in MODES[peer][purpose] if not self.modes or m in self.modes)


@dataclass(frozen=True)
class Case:
    """A model of a peer, and structures: the first for energies and forces, all for training."""

    name: str
    peer: str
    structures: list[Atoms]
    make: Callable[[str], Peer]
    energy_forces: bool = True

    @property
    def about(self) -> dict[str, Any]:
        """Return what the case is, as plain data."""
        return {
            "structures_in_training_batch": len(self.structures),
            "atoms": [len(atoms) for atoms in self.structures],
            "formula": self.structures[0].get_chemical_formula(),
        }


def mace(name: str, structures: list[Atoms], *, channels: int, energy_forces: bool = True) -> Case:
    """Return a MACE of two layers with l <= 1, edges with l <= 3, correlation 3, 5 Å."""
    module = "benchmarks.peers.mace_peer"
    make = partial(_make, module, "MACEPeer", structures, channels=channels)
    return Case(name, "mace", structures, make, energy_forces)


def nequip(name: str, atoms: Atoms, *, channels: int, cache: Path, layers: int = 4) -> Case:
    """Return a NequIP of four layers with l <= 2 of both parities, 5 Å.

    Its training batch has two structures: nequip does not compile training for one.
    """
    module = "benchmarks.peers.nequip_peer"
    fields = {"channels": channels, "layers": layers, "structures": 2, "cache": cache}
    make = partial(_make, module, "NequIPPeer", atoms, **fields)
    return Case(name, "nequip", [atoms, atoms], make)


def _make(module: str, name: str, structures: object, dtype: str, /, **fields: Any) -> Peer:
    return getattr(importlib.import_module(module), name)(structures, dtype=dtype, **fields)


def headline(peer: str, options: Options) -> list[Case]:
    """Return the cases of the headline set that one peer takes part in."""
    atoms = silicon(1 if options.tiny else 2)
    few = 4 if options.tiny else None
    if peer == "nequip":
        fields = {"cache": options.cache, "layers": 2 if options.tiny else 4}
        return [nequip("nequip32_si64", atoms, channels=few or 32, **fields)]
    batch = molecules(2 if options.tiny else 5, options.data)
    return [
        mace("mace128_si64", [atoms], channels=few or 128),
        mace("mace64_3bpa5", batch, channels=few or 64, energy_forces=False),
    ]


def grid(peer: str, options: Options) -> list[tuple[Case, int]]:
    """Return the cases of the full grid and the threads they are timed with."""
    if options.tiny:
        return [(case, 2) for case in headline(peer, options)]
    cases = []
    for repeats, threads in ((1, 1), (2, 1), (2, 2), (3, 1)):
        cases.append((silicon(repeats), 128 if peer == "mace" else 32, threads))
    for channels in (16, 32, 64, 128):
        if (peer, channels) not in (("mace", 128), ("nequip", 32)):
            cases.append((silicon(), channels, 1))
    return [(_of_grid(peer, atoms, n, options), threads) for atoms, n, threads in cases]


def _of_grid(peer: str, atoms: Atoms, channels: int, options: Options) -> Case:
    name = f"{peer}{channels}_si{len(atoms)}"
    if peer == "mace":
        return mace(name, [atoms], channels=channels)
    return nequip(name, atoms, channels=channels, cache=options.cache)
