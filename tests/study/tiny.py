"""Small studies on water molecules, whose runs take a fraction of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from tests.training import tiny

from multiace.presets.build import merge
from multiace.study import Study, read_study


def study_fields(directory: Path, **changes: Any) -> dict[str, Any]:
    """Return the fields of a study of six cells and one seed in a directory."""
    train, test, far = (directory / f"{name}.xyz" for name in ("train", "test", "far"))
    if not train.exists():
        tiny.write(train, tiny.molecules(12))
        tiny.write(test, tiny.molecules(4, seed=1))
        tiny.write(far, tiny.molecules(4, seed=2))
    fields = {
        "title": "Which choices matter for water?",
        "base": {
            "design": {"preset": "botnet", "size": "small", **tiny.DESIGN},
            "data": {"train": str(train), "valid": 3, "energies": tiny.ENERGIES},
            "loss": {"energy": 1.0, "forces": 10.0},
            "batch": {"structures": 2},
            "dtype": "float64",
            "device": "cpu",
        },
        "factors": {
            "pooling": {
                "N": {},
                "sqrt N": {"design.atomic_basis.pooling": "sqrt_N"},
                "none": {"design.atomic_basis.pooling": "1"},
            },
            "radial": {"MLP": {}, "linear": {"design.radial.hidden": []}},
        },
        "plan": {"kind": "grid"},
        "seeds": [1],
        "budget": {"epochs": 4},
        "evaluations": {
            "in_domain": {"near": str(test)},
            "out_of_domain": {"away": str(far)},
            "scans": {"path": {"file": str(far), "coordinate": [0, 1]}},
        },
        "out": str(directory / "study"),
    }
    return merge(fields, changes)


def write(directory: Path, fields: dict[str, Any]) -> Path:
    """Write the fields of a study as YAML."""
    path = directory / "study.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True))
    return path


def study(directory: Path, **changes: Any) -> Study:
    """Return a study in a directory."""
    return read_study(write(directory, study_fields(directory, **changes)))
