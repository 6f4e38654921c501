"""You will have a potential for malonaldehyde and 250 fs of molecular dynamics with it.

python examples/train_and_run.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np
from ase import units
from ase.md.verlet import VelocityVerlet

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
spread = np.sqrt(atoms.get_masses() * units.kB * 300)
atoms.set_momenta(np.random.default_rng(0).normal(size=(len(atoms), 3)) * spread[:, None])
dynamics = VelocityVerlet(atoms, timestep=0.5 * units.fs)

# 3. Without a thermostat the total energy is conserved if forces are the gradient of the energy.
energies: list[float] = []
temperatures: list[float] = []
dynamics.attach(lambda: energies.append(atoms.get_total_energy() / len(atoms)))
dynamics.attach(lambda: temperatures.append(atoms.get_temperature()))
dynamics.run(500)
print(f"temperature: {np.mean(temperatures):.0f} K on average over 250 fs")
print(f"total energy: within {1e3 * np.ptp(energies):.2f} meV an atom")
