"""From a Design to the irreps, paths and widths of every layer; which of them are live."""

from __future__ import annotations

from dataclasses import replace

from multiace.design.errors import DesignError
from multiace.design.spec import Design
from multiace.layer_layout import LayerLayout, Path
from multiace.o3.couplings import count_couplings
from multiace.o3.full import TotalDegree
from multiace.o3.irreps import Irrep, Irreps

SCALAR = Irrep(0, 1)


def layouts(design: Design, n_elements: int, *, prune: bool = True) -> tuple[LayerLayout, ...]:
    """Lay out every layer of a Design.

    Args:
        design: the Design.
        n_elements: number of chemical elements of the model (width of a one-hot embedding).
        prune: leave out everything that cannot reach a readout.

    Returns:
        One `LayerLayout` a layer; pruned, the layers after the last readout are left out.

    Raises:
        DesignError: an identity self-connection to fewer channels than it brings.
    """
    features = embedding_irreps(design, n_elements)
    result = []
    for layer in range(design.layers):
        result.append(_forward(design, layer, features, n_elements))
        features = result[-1].features_out
    return _pruned(design, result) if prune else tuple(result)


def embedding_irreps(design: Design, n_elements: int) -> Irreps:
    """Return the irreps of h^(0): scalars of the embedding."""
    if design.embedding == "one_hot":
        width = n_elements
    else:
        width = design.embedding_channels or _width(design, 0, SCALAR)
    return Irreps(((width, SCALAR),))


def _width(design: Design, layer: int, irrep: Irrep) -> int:
    widths = design.per_layer("channels")[layer]
    return widths[irrep.l] if isinstance(widths, dict) else widths


def _irreps_up_to(design: Design, l_max: int) -> tuple[Irrep, ...]:
    parities = (1, -1) if design.parity == "both" else (None,)
    return tuple(
        sorted(
            Irrep.natural(l) if p is None else Irrep(l, p)
            for l in range(l_max + 1)
            for p in parities
        )
    )


def _paths(irreps_in: tuple[Irrep, ...], l_max: int, targets: tuple[Irrep, ...]) -> list[Path]:
    return [
        Path(irrep_in, l_edge, irrep_out)
        for irrep_in in irreps_in
        for irrep_out in targets
        for l_edge in range(l_max + 1)
        if irrep_out in irrep_in * Irrep.natural(l_edge)
    ]


def _sum_irreps(paths: tuple[Path, ...], features: Irreps) -> Irreps:
    """Irreps after pooling: for each irrep, the channels of all its paths side by side."""
    width = {irrep: channels for channels, irrep in features.entries}
    targets = sorted({path.irrep_out for path in paths})
    return Irreps(
        tuple(
            (sum(width[p.irrep_in] for p in paths if p.irrep_out == target), target)
            for target in targets
        )
    )


def _gated(irreps: Irreps, nonlinearity: str) -> Irreps:
    """Irreps of the input of sigma: a gate takes one even scalar for each gated channel."""
    if nonlinearity != "gate":
        return irreps
    n_gates = sum(channels for channels, irrep in irreps.entries if irrep.l > 0)
    scalars = sum(channels for channels, irrep in irreps.entries if irrep == SCALAR)
    rest = tuple(entry for entry in irreps.entries if entry[1] != SCALAR)
    if scalars + n_gates == 0:
        return irreps
    return Irreps(((scalars + n_gates, SCALAR), *rest))


def _of_width(design: Design, layer: int, irreps: tuple[Irrep, ...]) -> Irreps:
    return Irreps(tuple((_width(design, layer, irrep), irrep) for irrep in irreps))


def _forward(design: Design, layer: int, features: Irreps, n_elements: int) -> LayerLayout:
    correlation = design.per_layer("product_basis.correlation")[layer]
    nonlinearity = design.per_layer("update.nonlinearity")[layer]
    linear = design.per_layer("update.linear")[layer]
    unmixed = design.per_layer("atomic_basis.after_pooling")[layer] == "none"
    density = design.per_layer("radial.map")[layer] == "none"
    degree = design.total_degree(layer)
    targets = _irreps_up_to(design, design.per_layer("features_l_max")[layer])
    if correlation == 1:
        pooled_targets = targets
    else:
        l_max = design.product_basis.l_max
        pooled_targets = _irreps_up_to(design, design.l_max if l_max is None else l_max)

    paths = tuple(_paths(features.irreps, design.l_max, pooled_targets))
    n_types = n_elements if density and unmixed else 1
    if density:
        number = (design.radial.number, *design.per_layer("radial.hidden")[layer])[-1]
        pooled = Irreps.of(n_elements * number, [path.irrep_out for path in paths])
    else:
        pooled = _sum_irreps(paths, features)
    if degree is not None:
        if not unmixed:
            mixed = _within(degree, _of_width(design, layer, pooled.irreps), targets, n_types)
        elif density:
            mixed = pooled = _within(degree, pooled, targets, n_types)
        else:
            mixed = pooled
        numbered = mixed.numbered(n_types)
        reached = tuple(i for i in targets if any(degree.count(numbered, n_types, i)))
        atomic_basis, message = mixed, _of_width(design, layer, reached)
    elif correlation == 1:
        reached = pooled.irreps
        mixed = pooled if unmixed else _of_width(design, layer, reached)
        atomic_basis = _gated(mixed, nonlinearity) if linear == "none" else mixed
        message = atomic_basis
    else:
        width = _width(design, layer, SCALAR)
        reached = tuple(i for i in targets if _couples(pooled.irreps, i, correlation))
        mixed = atomic_basis = Irreps.of(width, pooled.irreps)
        message = Irreps.of(width, reached)
    features_out = _of_width(design, layer, reached)
    update = _gated(features_out, nonlinearity)
    if design.per_layer("update.self_connection")[layer] == "identity":
        _check_identity(layer, features, features_out)
    return LayerLayout(
        features_in=features,
        convolved=features,
        paths=paths,
        pooled=pooled,
        mixed=mixed,
        atomic_basis=atomic_basis,
        message=message,
        update=update,
        features_out=features_out,
        connected=_connected(design, layer, features, update),
        correlation=correlation,
        total_degree=degree,
        n_types=n_types,
        density=density,
    )


def _within(
    degree: TotalDegree, irreps: Irreps, targets: tuple[Irrep, ...], n_types: int
) -> Irreps:
    """Leave out the channels of A that no product up to the total degree has."""
    widths = degree.widths(irreps.irreps, targets)
    numbered = zip(irreps.numbered(n_types), widths, strict=True)
    entries = [(n_types * min(number, width), irrep) for (number, irrep), width in numbered]
    return Irreps(tuple(entry for entry in entries if entry[0] > 0))


def _check_identity(layer: int, features: Irreps, features_out: Irreps) -> None:
    widths = {irrep: channels for channels, irrep in features_out.entries}
    for channels, irrep in features.entries:
        if channels > widths.get(irrep, channels):
            raise DesignError(
                f"Layer {layer + 1}: update.self_connection 'identity' adds {channels} channels of "
                f"{irrep} to {widths[irrep]}. Give it as many or more, or use 'linear'."
            )


def _connected(design: Design, layer: int, features: Irreps, update: Irreps) -> Irreps:
    """Irreps of h that the self-connection reads."""
    if design.per_layer("update.self_connection")[layer] == "none":
        return Irreps(())
    return _keep(features, update.irreps)


def _couples(irreps: tuple[Irrep, ...], target: Irrep, correlation: int) -> bool:
    """Whether a symmetrised product of up to `correlation` factors contains the target."""
    orders = range(1, correlation + 1)
    return any(count_couplings(irreps, target, order, "reduced") for order in orders)


def _keep(irreps: Irreps, wanted: tuple[Irrep, ...]) -> Irreps:
    return Irreps(tuple(entry for entry in irreps.entries if entry[1] in wanted))


def _pruned(design: Design, full: list[LayerLayout]) -> tuple[LayerLayout, ...]:
    """Walk from the last readout back and keep what it can see."""
    kinds = design.per_layer("readout.kind")
    wanted: set[Irrep] = set()
    result: list[LayerLayout] = []
    for layer in reversed(range(design.last_readout)):
        if kinds[layer] != "none":
            wanted.add(SCALAR)
        result.append(_prune_layer(design, layer, full[layer], wanted))
        wanted = set(result[-1].features_in.irreps)
    return tuple(reversed(result))


def _prune_layer(design: Design, layer: int, full: LayerLayout, wanted: set[Irrep]) -> LayerLayout:
    correlation = design.per_layer("product_basis.correlation")[layer]
    nonlinearity = design.per_layer("update.nonlinearity")[layer]
    linear = design.per_layer("update.linear")[layer]
    features_out = _keep(full.features_out, tuple(wanted))
    update = _gated(features_out, nonlinearity)
    if correlation == 1:
        message = update if linear == "none" else _keep(full.message, update.irreps)
        atomic_basis = message
    else:
        message = _keep(full.message, update.irreps)
        atomic_basis = full.atomic_basis  # all: the square of each is a scalar, always wanted
    paths = tuple(path for path in full.paths if path.irrep_out in atomic_basis.irreps)
    connected = _connected(design, layer, full.features_in, update)
    convolved = _keep(full.features_in, tuple(path.irrep_in for path in paths))
    return replace(
        full,
        features_in=_keep(full.features_in, convolved.irreps + connected.irreps),
        convolved=convolved,
        paths=paths,
        pooled=(
            _keep(full.pooled, atomic_basis.irreps)
            if full.density
            else _sum_irreps(paths, full.features_in)
        ),
        mixed=_keep(full.mixed, atomic_basis.irreps),
        atomic_basis=atomic_basis,
        message=message,
        update=update,
        features_out=features_out,
        connected=connected,
    )
