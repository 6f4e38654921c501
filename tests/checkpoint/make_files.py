"""Write a model file of this version and what its models predict: once for each format version.

    python -m tests.checkpoint.make_files

Files of earlier versions are never made again: they show that old files load for ever.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tests.training import tiny

from multiace.checkpoint import save_model
from multiace.checkpoint.tensor_file import FORMAT_VERSION
from multiace.design import Statistics
from multiace.geometry import Structure, batch_graphs, build_graph
from multiace.potential import Potential
from multiace.presets import PRESETS

FILES = Path(__file__).parent / "files"
SMALLER = {"channels": 2, "l_max": 2, "cutoff": 3.0, "radial": {"number": 4, "hidden": [4]}}
STATISTICS = Statistics(mean_neighbours=3.0, atomic_energies=tiny.ENERGIES, shift=-0.25, scale=1.5)


def structures() -> list[Structure]:
    """Return the structures that are evaluated: molecules and a crystal."""
    return [*tiny.molecules(2, seed=11), *tiny.crystals(1, seed=12)]


def predict(potential: Potential) -> dict[str, list]:
    """Return energies in eV, forces in eV/Å and the stress of the crystal in eV/Å^3."""
    graphs = [build_graph(s, potential.cutoff, potential.elements) for s in structures()]
    with torch.no_grad():
        prediction = potential(batch_graphs(graphs), forces=True, stress=True)
    assert prediction.forces is not None
    assert prediction.stress is not None
    return {
        "energy": prediction.energy.tolist(),
        "forces": prediction.forces.tolist(),
        "stress": prediction.stress[-1].tolist(),
    }


def main() -> None:
    """Write one model of each preset and their predictions."""
    FILES.mkdir(exist_ok=True)
    predictions = {}
    for seed, name in enumerate(sorted(PRESETS)):
        design = PRESETS[name]("small", **SMALLER)
        statistics = STATISTICS
        if design.energy.shift == "none":
            statistics = statistics.model_copy(update={"shift": 0.0})
        if design.energy.scale == "none":
            statistics = statistics.model_copy(update={"scale": 1.0})
        potential = Potential(design, (1, 8), statistics, dtype=torch.float64, seed=seed)
        save_model(FILES / f"v{FORMAT_VERSION}_{name}.safetensors", potential, {"seed": seed})
        predictions[name] = predict(potential)
    text = json.dumps(predictions, indent=1)
    (FILES / f"v{FORMAT_VERSION}_predictions.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
