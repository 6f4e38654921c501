"""You will have a model's errors at three temperatures and by element, as `evaluate` prints them.

python examples/evaluate_model.py [OUT]
"""

import json
import sys
from pathlib import Path

import multiace
from multiace.analysis import errors, predict
from multiace.data import bundled, read_structures
from multiace.training import make_config, train

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs") / "evaluate_model"

# 1. A model to look at: a BOTNet of two epochs. Any model file will do.
config = make_config(
    {
        "design": {"preset": "botnet", "size": "small", "layers": 2, "channels": 8},
        "data": {
            "train": "bundled:malonaldehyde/train_300K",
            "isolated_atoms": "bundled:malonaldehyde/isolated_atoms",
            "valid": 50,
        },
        "epochs": 2,
        "out": str(out),
    }
)
train(config, progress="none")
potential = multiace.load(out / "model.safetensors")

# 2. Errors on several files at once; deviations are in eV and eV/Å.
structures = [
    structure
    for temperature in (300, 600, 1200)
    for structure in read_structures(bundled(f"malonaldehyde/test_{temperature}K"))
]
table = errors(potential, structures)
for kind, row in table.by("config_type").items():
    energy, forces = 1e3 * row.energy.rmse, 1e3 * row.forces.rmse
    print(f"{kind:<9} energy {energy:6.1f} meV, forces {forces:6.1f} meV/Å")
for element, row in table.by("element").items():
    print(f"{element:<9} forces {1e3 * row.forces.rmse:6.1f} meV/Å")

# 3. Everything as JSON, with units, as `multiace evaluate --json` writes it.
(out / "errors.json").write_text(json.dumps(table.to_json(), indent=2), encoding="utf-8")

# 4. The energies themselves, along the rotation of a group that was never seen to rotate.
scan = read_structures(bundled("malonaldehyde/dihedral"))
predicted = [labels.energy for labels in predict(potential, scan, forces=False)]
reference = [structure.labels.energy for structure in scan]
print(
    f"barrier of rotation: {max(predicted) - predicted[0]:.2f} eV predicted, "
    f"{max(reference) - reference[0]:.2f} eV in the data"
)
