"""Read the golden files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from multiace.deploy.importers.botnet import convert_botnet, import_botnet
from multiace.deploy.importers.mace import convert_mace, import_mace
from multiace.geometry.structure import Structure
from multiace.potential import Potential

HERE = Path(__file__).parent
PAPER = ("botnet_e0", "botnet_ssh", "botnet_element_dependent_e0", "nequip", "nequip_linear")
MACE = ("mace_residual_first", "mace_nonresidual_first", "mace_si_L2")


@dataclass(frozen=True)
class Golden:
    """One golden file: settings, weights, and structures with their results."""

    name: str
    settings: dict[str, Any]
    tensors: dict[str, Tensor]

    @classmethod
    def read(cls, name: str) -> Golden:
        with safe_open(HERE / f"{name}.safetensors", "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            settings = json.loads(file.metadata()["json"])
        return cls(name, settings, tensors)

    def starting_with(self, prefix: str) -> dict[str, Tensor]:
        start = len(prefix)
        return {k[start:]: tensor for k, tensor in self.tensors.items() if k.startswith(prefix)}

    @property
    def structures(self) -> list[tuple[Structure, dict[str, Tensor]]]:
        result = []
        while f"structure{len(result)}.numbers" in self.tensors:
            of = self.starting_with(f"structure{len(result)}.")
            pbc = of.get("pbc", torch.zeros(3)).bool().tolist()
            structure = Structure(
                numbers=of["numbers"].numpy(),
                positions=of["positions"].numpy(),
                cell=of["cell"].numpy() if any(pbc) else None,
                pbc=tuple(pbc),
            )
            result.append((structure, of))
        return result

    def potential(self, *, prune: bool = True, dtype: torch.dtype = torch.float64) -> Potential:
        weights = self.starting_with("weights.")
        if self.name in MACE:
            return import_mace(weights, self.settings, couplings, dtype=dtype, prune=prune)
        return import_botnet(weights, self.settings, dtype=dtype, prune=prune)

    def convert(self, potential: Potential, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.name in MACE:
            return convert_mace(potential, weights, self.settings, couplings)
        return convert_botnet(potential, weights, self.settings)


def couplings(degree: int, order: int) -> np.ndarray:
    """Return the U of mace-torch as a dense array."""
    tensors = Golden.read("mace_coupling_lmax3").starting_with(f"L{degree}.order{order}.")
    dense = np.zeros(tuple(tensors["shape"].tolist()))
    dense[tuple(tensors["indices"].numpy().astype(int).T)] = tensors["values"].numpy()
    return dense
