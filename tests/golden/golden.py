"""Read the golden files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from multiace.deploy.importers.botnet import convert_botnet, import_botnet
from multiace.deploy.importers.e3nn import E3NN_ACTIVATIONS, Reading
from multiace.deploy.importers.mace import convert_mace, import_mace
from multiace.deploy.importers.neutral import Neutral
from multiace.geometry.structure import Structure
from multiace.potential import Potential

HERE = Path(__file__).parent
PAPER = ("botnet_e0", "botnet_ssh", "botnet_element_dependent_e0", "nequip", "nequip_linear")
MACE = ("mace_residual_first", "mace_nonresidual_first", "mace_si_L2")
_CONSTANTS = re.compile(
    r"(.*\.)?output_mask|atomic_energies_fn\..*|atomic_numbers|num_interactions|r_max"
    r"|radial_embedding\.(bessel_fn\.(prefactor|r_max)|cutoff_fn\.(p|r_max))|scale_shift\..*"
)


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
            return import_mace(self.neutral(weights), dtype=dtype, prune=prune)
        return import_botnet(weights, self.settings, dtype=dtype, prune=prune)

    def convert(self, potential: Potential, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.name in MACE:
            neutral = self.neutral(weights)
            return convert_mace(potential, Reading(neutral.tensors), neutral.settings, 0)
        return convert_botnet(potential, weights, self.settings)

    def neutral(self, weights: dict[str, Tensor]) -> Neutral:
        """Return what the exporter of MACE would have written."""
        settings = mace_settings(self.settings)
        tensors = {k: t for k, t in weights.items() if t.numel() and not _CONSTANTS.fullmatch(k)}
        probes = torch.randn(8, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        tensors["probes"] = probes
        for t, product in enumerate(settings["products"]):
            for n, degree in enumerate(range(len(product["irreps_out"].split("+")))):
                contraction = f"products.{t}.symmetric_contractions.contractions.{n}"
                for order in range(1, product["correlation"][0] + 1):
                    tensors[f"{contraction}.probed_{order}"] = probed(probes, degree, order)
        return Neutral("mace", {"mace-torch": "0.3.16"}, settings, tensors)


def couplings(degree: int, order: int) -> np.ndarray:
    """Return the U of mace-torch as a dense array."""
    tensors = Golden.read("mace_coupling_lmax3").starting_with(f"L{degree}.order{order}.")
    dense = np.zeros(tuple(tensors["shape"].tolist()))
    dense[tuple(tensors["indices"].numpy().astype(int).T)] = tensors["values"].numpy()
    return dense


def probed(probes: Tensor, degree: int, order: int) -> Tensor:
    """Return the couplings at the probe vectors: (probes, 2L+1, paths)."""
    dense = torch.from_numpy(couplings(degree, order))
    dense = dense if degree else dense.unsqueeze(0)
    values = torch.einsum("ma...,na->nm...", dense, probes)
    for _ in range(order - 1):
        values = torch.einsum("nma...,na->nm...", values, probes)
    return values


def mace_settings(old: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a ScaleShiftMACE as its exporter writes them."""
    hidden, width = old["hidden_irreps"], old["channels"]
    scalars, silu = f"{width}x0e", {"name": "silu", "constant": E3NN_ACTIVATIONS["silu"]}
    target = "+".join(f"{width}x{l}{'eo'[l % 2]}" for l in range(old["l_max_edges"] + 1))
    later = "RealAgnosticResidualInteractionBlock"
    interactions = [
        {
            "class": name,
            "features": features,
            "edge_features": features,
            "target": target,
            "average_neighbours": old["average_neighbours"],
            "network": "FullyConnectedNet",
            "widths": [old["num_bessel"], 64, 64, 64, 0],
            "activation": silu,
            "accelerated": False,
        }
        for name, features in ((old["first_block"], scalars), (later, hidden))
    ]
    products = [
        {
            "class": "SymmetricContraction",
            "irreps_in": target,
            "irreps_out": irreps_out,
            "correlation": [old["correlation"]],
            "element_agnostic": False,
            "accelerated": False,
        }
        for irreps_out in (hidden, scalars)
    ]
    return {
        "model": "ScaleShiftMACE",
        "dtype": "float64",
        "elements": old["elements"],
        "heads": ["Default"],
        "atomic_energies": [old["atomic_energies"]],
        "scale": [old["scale"]],
        "shift": [old["shift"]],
        "cutoff": old["r_max"],
        "harmonics": target.replace(f"{width}x", "1x"),
        "radial": {
            "class": "BesselBasis",
            "number": old["num_bessel"],
            "cutoff_class": "PolynomialCutoff",
            "power": old["polynomial_cutoff_p"],
            "on_basis": True,
            "transform": None,
            "transform_parameters": {},
        },
        "pair_repulsion": None,
        "interactions": interactions,
        "products": products,
        "readouts": [
            {"class": "LinearReadoutBlock", "hidden": None, "activation": None},
            {"class": "NonLinearReadoutBlock", "hidden": "16x0e", "activation": silu},
        ],
        "others": [],
    }
