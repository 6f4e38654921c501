"""Read the golden files of other codes: neutral files, and what the codes say of structures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from multiace.deploy.importers.foreign_model import IMPORTERS
from multiace.deploy.importers.neutral import Neutral, read_neutral
from multiace.geometry.structure import Structure
from multiace.potential import Potential

HERE = Path(__file__).parent
FOLDERS = {"mace": HERE / "mace_0_3", "nequip": HERE / "nequip_0_19"}


@dataclass(frozen=True)
class Case:
    """A model of a peer, one head of it if it has several, and structures with its results."""

    peer: str
    name: str
    head: str | None = None

    def __str__(self) -> str:
        return "-".join(filter(None, (self.peer, self.name, self.head)))

    @property
    def path(self) -> Path:
        """Where the neutral file is."""
        return FOLDERS[self.peer] / f"{self.name}.safetensors"

    @property
    def model(self) -> Neutral:
        return read_neutral(self.path)

    @property
    def results(self) -> Neutral:
        return read_neutral(self.path.with_suffix(".results.safetensors"))

    def potential(self, *, prune: bool = True, dtype: torch.dtype = torch.float64) -> Potential:
        """Import the model."""
        return IMPORTERS[self.peer](self.model, head=self.head, dtype=dtype, prune=prune)

    @property
    def structures(self) -> list[tuple[Structure, dict[str, Tensor]]]:
        """Structures and results: energy, energies of atoms, forces, and stress if periodic."""
        tensors, rows = self.results.tensors, []
        while f"structure{len(rows)}.numbers" in tensors:
            of = _starting_with(f"structure{len(rows)}.", tensors)
            pbc = of.get("pbc", torch.full((3,), int("cell" in of))).bool().tolist()
            structure = Structure(
                numbers=of["numbers"].numpy().astype(np.int64),
                positions=of["positions"].numpy(),
                cell=of["cell"].numpy() if any(pbc) else None,
                pbc=tuple(pbc),
            )
            rows.append(
                (structure, of if self.head is None else _starting_with(f"{self.head}.", of))
            )
        return rows


def _starting_with(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}


def _cases() -> list[Case]:
    names = [
        (peer, path.stem)
        for peer, folder in FOLDERS.items()
        for path in sorted(folder.glob("*.safetensors"))
        if not path.stem.endswith(".results")
    ]
    return [
        Case(peer, name, head)
        for peer, name in names
        for head in Case(peer, name).results.settings.get("heads", [None])
    ]


CASES = _cases()
