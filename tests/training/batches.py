"""Batches of all shapes, with labels that stand for any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.laws.systems import ATOM, CHIRAL, DIMER, LITHIUM, METHANOL, SILICON, TRICLINIC

from multiace.geometry import Labels, Structure
from multiace.potential import Potential
from multiace.training.examples import Example, collate, make_example

LONE = replace(
    LITHIUM, numbers=LITHIUM.numbers[:1], positions=LITHIUM.positions[:1], config_type="one atom"
)
BATCHES: dict[str, tuple[Structure, ...]] = {
    "mixed": (METHANOL, SILICON, ATOM, CHIRAL, TRICLINIC),
    "ragged": (DIMER, TRICLINIC),
    "single": (METHANOL,),
    "as many edges as atoms": (DIMER, DIMER),
    "as many structures as atoms": (LONE, LONE, LONE),
    "without edges but two": (ATOM, DIMER, ATOM),
    "without edges": (ATOM, ATOM),
    "one atom": (LONE,),
}


def labelled(structure: Structure, seed: int, missing: str = "") -> Structure:
    """Return a structure with random labels but one kind, and a weight."""
    rng = np.random.default_rng(seed)
    stress = rng.normal(size=(3, 3))
    labels = {
        "energy": -100.0 * structure.n_atoms + rng.normal(),
        "forces": rng.normal(size=(structure.n_atoms, 3)),
        "stress": stress + stress.T if structure.volume is not None else None,
    }
    labels.pop(missing, None)
    return replace(structure, labels=Labels(**labels), weight=1.0 + 0.5 * seed)


def batch(
    potential: Potential, structures: tuple[Structure, ...], *, gaps: bool = False
) -> Example:
    """Return structures as a batch in the dtype of a potential; some lack labels, if wanted."""
    examples = []
    for k, structure in enumerate(structures):
        missing = ("", "energy", "forces", "stress")[k % 4] if gaps else ""
        examples.append(
            make_example(labelled(structure, k, missing), potential.cutoff, potential.elements)
        )
    return collate(examples).to("cpu", potential.dtype)
