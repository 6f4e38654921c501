"""Structures on which every law must hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multiace.geometry import Structure

ELEMENTS = (1, 3, 6, 8, 14)
SYMBOLS = ("H", "Li", "C", "O", "Si")

METHANOL = Structure(
    numbers=np.array([6, 8, 1, 1, 1, 1]),
    positions=np.array(
        [
            [-0.05, 0.66, 0.03],
            [0.01, -0.76, -0.06],
            [-1.09, 0.98, 0.11],
            [0.44, 1.07, 0.93],
            [0.47, 1.04, -0.85],
            [-0.87, -1.05, 0.21],
        ]
    ),
    config_type="molecule",
)
CHIRAL = Structure(
    numbers=np.array([6, 1, 3, 8, 14]),
    positions=np.array(
        [[0.0, 0.1, 0.0], [0.6, 0.7, 0.7], [-1.2, -1.1, 1.2], [-0.8, 0.9, -0.7], [1.1, -1.0, -1.1]]
    ),
    config_type="chiral molecule",
)
ATOM = Structure(numbers=np.array([8]), positions=np.array([[0.3, -0.2, 0.7]]), config_type="atom")
DIMER = Structure(
    numbers=np.array([8, 1]),
    positions=np.array([[0.0, 0.0, 0.0], [0.3, 0.5, 0.8]]),
    config_type="dimer",
)
DISTORTED = np.eye(3) + np.array([[0.02, 0.03, -0.01], [0.0, -0.03, 0.04], [0.02, 0.01, 0.01]])
SILICON = Structure(
    numbers=np.array([14, 14]),
    positions=np.array([[0.0, 0.0, 0.0], [1.45, 1.28, 1.40]]),
    cell=2.715 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]) @ DISTORTED,
    pbc=(True, True, True),
    config_type="two-atom silicon",
)
LITHIUM = Structure(
    numbers=np.array([3, 3]),
    positions=np.array([[0.1, -0.1, 0.2], [1.6, 1.4, 1.7]]),
    cell=2.9 * DISTORTED,
    pbc=(True, True, True),
    config_type="two-atom lithium",
)
LEFT_HANDED = replace(SILICON, cell=SILICON.cell[[1, 0, 2]], config_type="left-handed silicon")
TRICLINIC = Structure(
    numbers=np.array([14, 8, 1]),
    positions=np.array([[0.2, 0.1, 0.0], [1.3, 1.2, 0.4], [2.5, 0.6, 2.2]]),
    cell=np.array([[3.6, 0.2, -0.1], [1.7, 3.4, 0.2], [-1.2, 0.9, 3.8]]),
    pbc=(True, True, True),
    config_type="triclinic mixture",
)
SLAB = Structure(
    numbers=np.array([14, 8, 3]),
    positions=np.array([[0.1, 0.2, 0.0], [1.5, 1.1, 1.2], [2.9, 0.4, 2.1]]),
    cell=np.array([[3.3, 0.2, 0.0], [-1.1, 3.5, 0.1], [0.0, 0.0, 0.0]]),
    pbc=(True, True, False),
    config_type="slab",
)

MOLECULES = (METHANOL, CHIRAL)
CRYSTALS = (SILICON, LITHIUM, LEFT_HANDED, TRICLINIC)
EVERYTHING = (*MOLECULES, *CRYSTALS, SLAB, DIMER, ATOM)


def together(some: Structure, others: Structure, distance: float) -> Structure:
    """Put two molecules side by side, their nearest atoms a distance (Å) or more apart."""
    gap = some.positions[:, 0].max() - others.positions[:, 0].min() + distance
    return Structure(
        numbers=np.concatenate([some.numbers, others.numbers]),
        positions=np.concatenate([some.positions, others.positions + np.array([gap, 0.0, 0.0])]),
        config_type="two molecules",
    )
