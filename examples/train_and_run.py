"""You will have a potential for malonaldehyde and a picosecond of molecular dynamics with it.

python examples/train_and_run.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

import multiace
from multiace.data import bundled, read_structures
from multiace.training import make_config, train

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs") / "train_and_run"

# 1. Train a small MACE for a few epochs; what is left out has a default.
config = make_config(
    {
        "design": {"preset": "mace", "size": "small", "channels": 8},
        "data": {
            "train": "bundled:malonaldehyde/train_300K",
            "isolated_atoms": "bundled:malonaldehyde/isolated_atoms",
            "valid": 50,
        },
        "schedule": {"name": "cosine"},
        "epochs": 4,
        "out": str(out),
    }
)
train(config)

# 2. Start dynamics at 300 K from a structure that was not trained on.
atoms = read_structures(bundled("malonaldehyde/test_300K"))[0].to_ase()
atoms.calc = multiace.ASECalculator(out / "model.safetensors")
rng = np.random.default_rng(0)
MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=rng)
dynamics = Langevin(
    atoms,
    timestep=0.5 * units.fs,
    temperature_K=300,
    friction=0.01 / units.fs,
    rng=rng,
)

# 3. Watch the longest C-C bond: a molecule that falls apart shows here first.
lengths: list[float] = []
dynamics.attach(lambda: lengths.append(max(atoms.get_distances(1, [0, 2]))), interval=10)
dynamics.run(500)
print(f"longest C-C bond: {np.mean(lengths):.3f} Å on average, {max(lengths):.3f} Å at most")
