"""`multiace probe completeness`: ranks of product bases, environments that look alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64

from multiace.analysis.completeness import degenerate_pair, separation
from multiace.analysis.gradients import gradient_or_zero
from multiace.analysis.site_terms import site_terms, structure_graph
from multiace.design import Design
from multiace.design.describe import body_orders
from multiace.design.layout import layouts
from multiace.geometry import Structure
from multiace.o3.couplings import MAX_ORDER, count_couplings, product_couplings
from multiace.o3.irreps import Irrep
from multiace.potential import Potential
from multiace.probes.result import Number, ProbeResult, Table, Value
from multiace.probes.surface import Subject, potential_of

SAME = 1e-10
"""Relative difference of energies below which two environments are not told apart."""

MOST_COUNTED = 3
"""Neighbours up to which the dimension of complete layers is counted."""

RANK = 1e-10
"""Singular values below this part of the largest count as zero."""


def completeness(
    subject: Subject, *, number: int | None = None, environments: int = 0, seed: int = 0
) -> ProbeResult:
    """Ask what a model can tell apart, and how much of the complete basis it spans.

    Three tests: the numerical rank of the products of each layer, order by order, against the
    number of couplings that representation theory allows; the degenerate environments of
    Pozdnyakov et al.; and, with `environments`, the number of independent functions of the whole
    model against that of one layer whose cutoff is its receptive field, as T layers are a sparse
    part of one.

    Args:
        subject: a model; in float64.
        number: atomic number of the degenerate environments; default: its heaviest element.
        environments: random clusters on which functions count as independent; 0 leaves them out.
        seed: of the random numbers.

    Returns:
        Missing and redundant couplings; whether the pairs are separated; ranks.

    Raises:
        ValueError: the subject is not one model.

    Source: Dusson et al., J. Comput. Phys. 454, 110946 (2022), for the dimension; Pozdnyakov et
    al., Phys. Rev. Lett. 125, 166001 (2020), for the pairs.
    """
    found, potential = potential_of(subject, "completeness")
    rows = product_ranks(potential.design, len(potential.elements), seed=seed)
    missing = sum(dimension - rank for *_, rank, dimension in rows)
    redundant = sum(paths - rank for _, _, _, paths, rank, _ in rows)
    numbers = [
        Number("missing", missing, "", "couplings of theory that the products do not span"),
        Number("redundant", redundant, "", "paths that depend on others"),
    ]
    element = max(potential.elements) if number is None else number
    for correlation in (2, 3):
        pair = degenerate_pair(correlation, element, radius=0.75 * potential.cutoff)
        apart = separation(potential, pair)
        what = f"relative energy difference of the pair alike to {correlation} neighbours"
        numbers.append(Number(f"separation_{correlation}", apart, "", what))
        numbers.append(
            Number(f"separated_{correlation}", apart > SAME, "", "whether they are told apart")
        )
    columns = (
        ("layer", ""),
        ("irrep", ""),
        ("order", ""),
        ("paths", ""),
        ("rank", ""),
        ("theory", ""),
    )
    tables = [Table("products", "products of each layer, for one channel", columns, tuple(rows))]
    if environments:
        numbers += _sparsification(potential, environments, seed)
    settings = {"element": element, "environments": environments, "seed": seed}
    return ProbeResult("completeness", found.name, tuple(numbers), tuple(tables), settings=settings)


def product_ranks(
    design: Design, n_elements: int, *, seed: int = 0
) -> list[tuple[int, str, int, int, int, int]]:
    """Measure the rank of the product basis of each layer for random factors.

    Products are polynomials in the components of A, so that they are independent as functions
    exactly if they are on enough random A.

    Args:
        design: the design.
        n_elements: elements of the model.
        seed: of A.

    Returns:
        layer, irrep of the product, order, paths of the design, their rank, and the dimension by
        characters: how often the irrep occurs in the symmetric power of the irreps of A.

    Example:
        >>> from multiace.presets import mace
        >>> rows = product_ranks(mace("small"), 1)
        >>> all(rank == theory for *_, rank, theory in rows)
        True
    """
    rng = np.random.default_rng(seed)
    rows = []
    for t, layout in enumerate(layouts(design, n_elements)):
        factors = layout.atomic_basis.irreps
        correlation = design.per_layer("product_basis.correlation")[t]
        for irrep in layout.message.irreps:
            for order in range(1, correlation + 1):
                dimension = count_couplings(factors, irrep, order)
                if correlation == 1:  # the message is A itself
                    rows.append((t + 1, str(irrep), 1, dimension, dimension, dimension))
                    continue
                couplings = product_couplings(factors, irrep, order, design.product_basis.basis)
                rank = _coupling_rank(couplings.monomials, couplings.coefficients, factors, rng)
                rows.append((t + 1, str(irrep), order, couplings.n_paths, rank, dimension))
    return rows


def _coupling_rank(
    monomials: np.ndarray,
    coefficients: np.ndarray,
    factors: tuple[Irrep, ...],
    rng: np.random.Generator,
) -> int:
    n_paths = coefficients.shape[2]
    if n_paths == 0:
        return 0
    a = rng.normal(size=(2 * n_paths + 8, sum(irrep.dim for irrep in factors)))
    values = a[:, monomials].prod(axis=2)  # (samples, monomials)
    products = np.einsum("sq,mqp->smp", values, coefficients)
    return numerical_rank(products.reshape(-1, n_paths))


def independent_functions(potential: Potential, structures: Sequence[Structure]) -> int:
    """Count the functions of the environment that the weights of a potential move between.

    The rank of dE_0/dw over the environments of the first atoms: for a model that is linear in its
    weights, the rank of its basis; else the dimension of the family of functions at these weights.

    Args:
        potential: in float64.
        structures: environments of their first atoms; the rank cannot exceed their number.
    """
    weights = [w for w in potential.parameters() if w.requires_grad]
    rows = []
    for structure in structures:
        graph = structure_graph(potential, [structure])
        with torch.enable_grad():
            energy = site_terms(potential, graph)[0, 1:].sum()
        rows.append(torch.cat([gradient_or_zero(energy, w).flatten() for w in weights]))
    return numerical_rank(torch.stack(rows).cpu().numpy())


def complete_dimension(design: Design, n_elements: int, order: int) -> int:
    """Count the invariants of one complete layer: all couplings of (n, l, z) up to an order.

    Args:
        design: number of radial functions and l_max of the edges are taken from it.
        n_elements: elements of the model.
        order: neighbours multiplied together.
    """
    per_degree = design.radial.number * n_elements
    factors = [Irrep.natural(l) for l in range(design.l_max + 1) for _ in range(per_degree)]
    scalar = Irrep.natural(0)
    return sum(count_couplings(factors, scalar, nu) for nu in range(1, order + 1))


def numerical_rank(matrix: Float64[np.ndarray, "rows columns"]) -> int:
    """Return the number of singular values above 1e-10 of the largest."""
    singular = np.linalg.svd(matrix, compute_uv=False)
    return int((singular > RANK * singular[0]).sum()) if singular[0] > 0.0 else 0


def one_layer(design: Design, channels: int) -> Design | None:
    """Return one layer with the receptive field and the body order of a design.

    Its cutoff is T r_c and it has T times as many radial functions, so that they are as fine.

    Args:
        design: of T layers.
        channels: of the one layer; with enough it is complete, as sums of products of channels
            are all products.

    Returns:
        None where the body order is unbounded, or needs products that there are not.

    Example:
        >>> from multiace.presets import nequip_linear
        >>> local = one_layer(nequip_linear("small", layers=2), channels=8)
        >>> local.cutoff, local.radial.number, local.product_basis.correlation
        (8.0, 16, 2)
    """
    orders = [order for order in body_orders(design) if order is not None]
    if len(orders) < len(body_orders(design)) or max(orders) - 1 > MAX_ORDER:
        return None
    depth = design.last_readout
    return Design.model_validate(
        {
            "layers": 1,
            "channels": channels,
            "l_max": design.l_max,
            "features_l_max": 0,
            "cutoff": depth * design.cutoff,
            "radial": {"number": depth * design.radial.number, "hidden": []},
            "product_basis": {"correlation": max(orders) - 1, "weights": "per_element"},
        }
    )


def _sparsification(potential: Potential, environments: int, seed: int) -> list[Number]:
    """Compare the model with one layer that sees as far: as it is built, and complete."""
    clusters = random_clusters(potential, environments, seed=seed)
    of_model = independent_functions(potential, clusters)
    local = one_layer(potential.design, channels=environments)
    of_layer: Value = None
    dimension: Value = None
    if local is not None:
        n_elements = len(potential.elements)
        alone = Potential(
            local, potential.elements, potential.statistics, dtype=torch.float64, seed=seed
        )
        of_layer = independent_functions(alone, clusters)
        order = local.per_layer("product_basis.correlation")[0]
        if order <= MOST_COUNTED:
            dimension = complete_dimension(local, n_elements, order)
    return [
        Number("independent_functions", of_model, "", _rank_of("dE/dw", of_model, environments)),
        Number(
            "one_layer_functions",
            of_layer,
            "",
            _rank_of("one layer that sees as far, of the same body order", of_layer, environments),
        ),
        Number("complete_dimension", dimension, "", "of that layer with all couplings of n, l, z"),
    ]


def _rank_of(what: str, rank: Value, environments: int) -> str:
    bounded = ", at most the number of environments" if rank == environments else ""
    return f"rank of {what}{bounded}"


def random_clusters(
    potential: Potential, number: int, *, atoms: int = 8, seed: int = 0
) -> list[Structure]:
    """Return environments of a first atom that reach through the receptive field of a potential.

    Args:
        potential: whose elements and cutoff.
        number: of clusters.
        atoms: of each; within the cutoff of each other only in part.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    reach = potential.design.last_readout * potential.cutoff
    clusters = []
    for _ in range(number):
        positions = rng.normal(size=(atoms, 3))
        radii = reach * rng.uniform(0.2, 0.9, size=atoms)
        positions *= (radii / np.linalg.norm(positions, axis=1))[:, None]
        positions[0] = 0.0
        positions[1] *= 0.5 * potential.cutoff / np.linalg.norm(positions[1])
        clusters.append(Structure(rng.choice(potential.elements, size=atoms), positions))
    return clusters
