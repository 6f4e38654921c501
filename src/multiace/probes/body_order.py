"""`multiace probe body-order`: n-body energies of real clusters, and terms along a path."""

from __future__ import annotations

import numpy as np

from multiace.analysis.body_order import BodyOrders, body_orders, orders_of_subsets, subsets_of
from multiace.analysis.site_terms import terms_of_atoms
from multiace.design.describe import body_orders as described_body_orders
from multiace.figures.figure import Axis, Line, Panel
from multiace.geometry import Structure, neighbour_list
from multiace.potential import Potential
from multiace.probes.paths import Path
from multiace.probes.result import Number, ProbeResult, Table
from multiace.probes.surface import Subject, energies_of, potential_of, surface

ABSENT = 1e-9
"""Part of the largest n-body energy, n >= 2, below which there is none: rounding."""

FIRST_RADIUS, LAST_RADIUS = 4.0, 40.0
"""Where neighbours of the centre are looked for, Å."""


def body_order(
    subject: Subject, structure: Structure, *, atoms: int = 6, centre: int | None = None
) -> ProbeResult:
    """Measure the n-body energies of a cluster by inclusion and exclusion.

    V_n(S) = sum_{S' subset S} (-1)^{|S| - |S'|} E(S'),  n = |S|, vanishes beyond the body order.

    Args:
        subject: what to look at; in float64.
        structure: where the cluster is cut out of, a molecule or a crystal.
        atoms: of the cluster; 2^atoms structures are evaluated.
        centre: the atom whose nearest neighbours are the others; default: the one in the middle.

    Returns:
        max |V_n| of the whole energy and, for a potential, of each of its terms; the body order of
        each, and the one that its design claims.

    Raises:
        ValueError: too many atoms, or fewer than 2.

    Example:
        >>> from ase.calculators.lj import LennardJones
        >>> from multiace.geometry import Structure
        >>> corners = np.array([[0, 0, 0], [1.1, 0, 0], [0, 1.1, 0], [0, 0, 1.1]])
        >>> body_order(LennardJones(), Structure(np.full(4, 18), corners), atoms=4)["total_order"]
        2
    """
    found = surface(subject)
    cluster = nearest_atoms(structure, atoms, centre)
    potential = found.potential
    if potential is not None:
        orders = body_orders(potential, cluster)
    else:
        energies = energies_of(found.evaluate(subsets_of(cluster)))
        orders = orders_of_subsets(energies[:, None], ("total",), cluster.n_atoms)
    shown = [term for term in orders.terms if term != "E0"]
    n = np.arange(1, cluster.n_atoms + 1)
    table = Table(
        "body_orders",
        "largest n-body energy",
        (("n", ""), *((term, "eV") for term in shown)),
        tuple((int(k), *(float(orders[term][k - 1]) for term in shown)) for k in n),
    )
    curves = tuple(
        Line(
            n.astype(float),
            orders[term],
            name=found.name if term == "total" else term,
            markers=True,
        )
        for term in sorted(shown, key=lambda term: term != "total")
    )
    axes = Axis("n"), Axis("max |Vₙ| (eV)", log=True)
    panel = Panel("n-body energies", *axes, curves)
    return ProbeResult(
        "body-order",
        found.name,
        tuple(_numbers(orders, shown, potential)),
        (table,),
        {"body_order": panel},
        {"atoms": cluster.n_atoms, "elements": cluster.numbers.tolist()},
    )


def contributions(subject: Subject, path: Path) -> ProbeResult:
    """Split the energy along a path into the terms of the potential: E1 .. ET, shift, ZBL.

    Args:
        subject: a model.
        path: where.

    Returns:
        How much each term changes along the path, and its curve.

    Raises:
        ValueError: the subject is not one model.
    """
    found, potential = potential_of(subject, "contributions")
    terms = np.stack([t.sum(axis=0) for t in terms_of_atoms(potential, path.structures)])
    columns = {name: terms[:, k] for k, name in enumerate(potential.terms) if name != "E0"}
    total = terms[:, 1:].sum(axis=1)
    curves = [Line(path.coordinate, total - total[0], name=found.name)]
    curves += [
        Line(path.coordinate, values - values[0], name=name) for name, values in columns.items()
    ]
    numbers = tuple(
        Number(f"{name}_change", float(np.ptp(values)), "eV", f"largest less smallest {name}")
        for name, values in columns.items()
    )
    table = Table(
        "terms",
        "terms of the energy along the path",
        ((path.label, ""), *((f"{name}", "eV") for name in columns)),
        tuple(
            (float(s), *(float(values[k]) for values in columns.values()))
            for k, s in enumerate(path.coordinate)
        ),
    )
    axes = Axis(path.label), Axis("energy less that of the first point (eV)")
    panels = {"contributions": Panel(f"{path.title}: terms", *axes, tuple(curves))}
    settings = {"path": path.title, "terms": list(columns)}
    return ProbeResult("contributions", found.name, numbers, (table,), panels, settings)


def nearest_atoms(structure: Structure, atoms: int, centre: int | None = None) -> Structure:
    """Return the cluster of an atom and its nearest neighbours, images of a crystal included.

    Args:
        structure: a molecule or a crystal.
        atoms: of the cluster.
        centre: the atom; default: the one nearest to the middle.

    Raises:
        ValueError: fewer than 2 atoms are asked for, or there are not so many.
    """
    if atoms < 2:
        raise ValueError(f"A cluster needs at least 2 atoms, got {atoms}.")
    if centre is None:
        middle = structure.positions - structure.positions.mean(axis=0)
        centre = int(np.linalg.norm(middle, axis=1).argmin())
    radius = FIRST_RADIUS
    while True:
        edges = neighbour_list(structure, radius)
        mine = edges.receivers == centre
        if mine.sum() >= atoms - 1:
            break
        if radius > LAST_RADIUS:
            raise ValueError(
                f"The cluster takes {atoms} atoms, and within {LAST_RADIUS:g} Å of atom {centre} "
                f"there are {int(mine.sum()) + 1} with itself. Take fewer (--atoms), 2 at least, "
                "or a larger structure."
            )
        radius *= 1.5
    vectors, senders = edges.vectors[mine], edges.senders[mine]
    nearest = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")[: atoms - 1]
    return Structure(
        structure.numbers[[centre, *senders[nearest]]],
        np.concatenate([np.zeros((1, 3)), vectors[nearest]]),
    )


def _numbers(orders: BodyOrders, terms: list[str], potential: Potential | None) -> list[Number]:
    largest = orders.largest.shape[0]
    scale = float(orders["total"][1:].max())
    numbers = []
    for term in terms:
        present = np.flatnonzero(orders[term] > ABSENT * scale) + 1
        order = int(present[-1]) if present.size else 0
        what = f"largest n with an n-body energy, of at most {largest}"
        numbers.append(Number(f"{term}_order", order, "", what))
    if potential is not None:
        readouts = [term for term in terms if term.startswith("E")]
        claimed = described_body_orders(potential.design)
        for term, order in zip(readouts, claimed, strict=True):
            numbers.append(
                Number(f"{term}_claimed", order, "", "body order of the design, if it has one")
            )
    decay = float(orders["total"][-1] / scale) if scale > 0.0 else None
    return [*numbers, Number("decay", decay, "", "largest order over the largest of all")]
