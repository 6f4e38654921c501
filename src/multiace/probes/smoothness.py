"""`multiace probe smoothness`: dimers, the cutoff, random directions, bonds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from multiace.geometry import Structure
from multiace.probes.bonds import bond_smoothness
from multiace.probes.cutoff import cutoff
from multiace.probes.diatomics import all_pairs, dimers
from multiace.probes.paths import PathError
from multiace.probes.result import ProbeResult, combine
from multiace.probes.roughness import directions
from multiace.probes.surface import Subject, surface


def smoothness(
    subject: Subject,
    structure: Structure | None = None,
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
    reference: Subject | None = None,
    training: Sequence[Structure] = (),
    radius: float | None = None,
    hydrogen: bool = False,
) -> ProbeResult:
    """Look for what a smooth potential-energy surface must not have.

    | part | needs | what |
    |---|---|---|
    | `dimers` | elements | measures of MLIP Arena, holes, minima of all pairs of elements |
    | `cutoff` | a cutoff | continuous derivatives where pairs cross it |
    | `directions` | a structure | E'' and E''' in random directions, against the reference |
    | `bonds` | a molecule and a reference | the Bond Smoothness Characterization Test |

    Args:
        subject: what to look at.
        structure: where; without it only dimers and cutoff are looked at.
        pairs: pairs of elements; default: those of the structure, or of the subject.
        reference: what to compare with.
        training: structures that say which pairs were trained on.
        radius: the cutoff of a calculator, Å.
        hydrogen: stretch bonds to hydrogen too.
    """
    found = surface(subject)
    if pairs is None and found.elements is None and structure is not None:
        pairs = all_pairs(structure.numbers.tolist())
    parts = {"dimers": dimers(found, pairs, reference=reference, training=training)}
    if radius is not None or found.cutoff is not None:
        parts["cutoff"] = cutoff(found, pairs, structure=structure, radius=radius)
    if structure is not None:
        parts["directions"] = directions(found, structure, reference=reference)
    if structure is not None and reference is not None and not any(structure.pbc):
        with suppress(PathError):  # a molecule of rings alone has no bond to stretch
            parts["bonds"] = bond_smoothness(found, structure, reference, hydrogen=hydrogen)
    return combine("smoothness", parts)
