"""Rules that tie fields of a Design together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiace.design.errors import DesignError

if TYPE_CHECKING:
    from multiace.design.spec import Design


def check(design: Design) -> None:
    """Refuse combinations of fields that have no meaning.

    Raises:
        DesignError: naming the field, its value, the rule and what to do.
    """
    from multiace.design.layout import layouts
    from multiace.design.spec import PER_LAYER_FIELDS

    for path in PER_LAYER_FIELDS:
        design.per_layer(path)
    _check_embedding(design)
    _check_radial(design)
    _check_widths(design)
    _check_products(design)
    _check_coupling(design)
    _check_maps(design)
    _check_energy(design)
    if all(kind == "none" for kind in design.per_layer("readout.kind")):
        raise DesignError(
            "readout.kind is 'none' for every layer: nothing would give an energy. "
            "Set at least one layer to 'linear' or 'mlp'."
        )
    if "identity" in design.per_layer("update.self_connection"):
        layouts(design, n_elements=1)  # refuses identities that do not fit


def _check_embedding(design: Design) -> None:
    if design.embedding == "one_hot" and design.embedding_channels is not None:
        raise DesignError(
            f"embedding_channels is {design.embedding_channels}, but embedding: one_hot has one "
            "channel for each element. Leave it out, or use embedding: learned."
        )


def _check_radial(design: Design) -> None:
    radial = design.radial
    power = type(radial).model_fields["envelope_power"].default
    if radial.envelope == "cosine" and radial.envelope_power != power:
        raise DesignError(
            f"radial.envelope_power is {radial.envelope_power}, but radial.envelope: cosine has "
            f"no power. Leave it at {power}, the default, or use radial.envelope: polynomial."
        )
    if radial.envelope == "two_sided" and radial.envelope_power != power:
        raise DesignError(
            f"radial.envelope_power is {radial.envelope_power}, but radial.envelope: two_sided has "
            f"powers of its own. Leave it at {power}, the default, and set radial.two_sided."
        )
    chosen = (
        ("two_sided", "envelope", radial.envelope),
        ("agnesi", "transform", radial.transform),
        ("normalised_agnesi", "transform", radial.transform),
    )
    for group, field, value in chosen:
        constants = getattr(radial, group)
        if value != group and constants != type(constants)():
            raise DesignError(
                f"radial.{group} has no effect with radial.{field}: {value}. Leave it out, or set "
                f"radial.{field}: {group}."
            )
    if radial.envelope == "two_sided" and radial.transform == "agnesi":
        raise DesignError(
            "radial.envelope: two_sided with radial.transform: agnesi does not vanish at the "
            "cutoff, where that transform has no fixed value. Set radial.transform: "
            "normalised_agnesi or none."
        )
    apart = radial.envelope == "two_sided" and radial.envelope_on == "weights"
    bends = any(design.per_layer("radial.hidden")) or design.atomic_basis.pooling == "density"
    if radial.family == "jacobi" and apart and bends:
        raise DesignError(
            "radial.family: jacobi with a two_sided envelope on the weights: without their "
            "envelope the polynomials reach thousands, which only a linear map may read. Set "
            "radial.envelope_on: basis, or radial.hidden: [] and no density pooling."
        )
    if radial.transform == "normalised_agnesi":
        _check_normalised_agnesi(design)
    if radial.agnesi.p <= radial.agnesi.q:
        raise DesignError(
            f"radial.agnesi.p is {radial.agnesi.p:g}, but it must be above q = "
            f"{radial.agnesi.q:g}: distances near zero take p, far ones q."
        )
    if radial.bias and radial.envelope_on == "basis":
        raise DesignError(
            "radial.bias with radial.envelope_on: basis gives R(cutoff) != 0, and forces that "
            "jump when an atom crosses the cutoff. Set radial.envelope_on: weights."
        )
    if radial.bias and not any(design.per_layer("radial.hidden")):
        raise DesignError(
            "radial.bias has no effect without hidden layers (radial.hidden: []). "
            "Leave it out, or give hidden layers."
        )
    if radial.trainable and radial.family in ("chebyshev", "jacobi"):
        raise DesignError(
            f"radial.trainable: {radial.family.capitalize()} polynomials have nothing to train. "
            "Use radial.family: bessel or gaussian, or radial.trainable: false."
        )


def _check_normalised_agnesi(design: Design) -> None:
    radial, constants = design.radial, design.radial.normalised_agnesi
    p, q, r_in = constants.p, constants.q, constants.r_in
    if q < p:
        raise DesignError(
            f"radial.normalised_agnesi.q is {q:g}, but it must be at least p = {p:g}: distances "
            "near zero take q, far ones p."
        )
    if p == q == 1.0:
        raise DesignError(
            "radial.normalised_agnesi.p and q are both 1, which makes the transform constant. "
            "Give a larger q."
        )
    if r_in >= design.cutoff:
        raise DesignError(
            f"radial.normalised_agnesi.r_in is {r_in:g}, but it must be below cutoff = "
            f"{design.cutoff:g}: it is the shortest distance, in Å, that the radial functions "
            "tell apart."
        )
    if r_in > 0.0 and (radial.envelope != "two_sided" or radial.two_sided.inner < 2):
        raise DesignError(
            f"radial.normalised_agnesi.r_in is {r_in:g}, where forces would jump: the transform "
            "has a kink there, which the envelope must take to zero. Set radial.envelope: "
            "two_sided with radial.two_sided.inner of 2 or more, or r_in to 0."
        )
    if r_in > 0.0 and radial.family == "bessel":
        raise DesignError(
            f"radial.normalised_agnesi.r_in is {r_in:g}, up to which Bessel functions sin(k x) / x "
            "would be evaluated at x = 0. Use radial.family: jacobi, or r_in: 0."
        )


def _check_products(design: Design) -> None:
    products = design.product_basis
    if products.l_max is not None and set(design.per_layer("product_basis.correlation")) == {1}:
        raise DesignError(
            f"product_basis.l_max is {products.l_max}, but there are no products: "
            "product_basis.correlation is 1 in every layer. Leave it out, or set "
            "product_basis.correlation to 2 or more."
        )
    rows = zip(
        design.per_layer("product_basis.correlation"),
        design.per_layer("product_basis.coupling"),
        design.per_layer("update.linear"),
        design.per_layer("update.nonlinearity"),
        design.widths,
        strict=True,
    )
    for layer, (correlation, coupling, linear, nonlinearity, channels) in enumerate(rows, 1):
        if correlation == 1 or linear != "none":
            continue
        if nonlinearity == "gate":
            raise DesignError(
                f"Layer {layer}: a gate after a product basis (correlation {correlation}) takes "
                "its gate scalars from update.linear, which is 'none'. Use 'shared' or "
                "'per_element'."
            )
        if isinstance(channels, dict) and coupling == "per_channel":
            raise DesignError(
                f"Layer {layer}: products (correlation {correlation}) are taken channel by "
                "channel, so widths that differ by l need update.linear: shared or per_element."
            )


def _check_coupling(design: Design) -> None:
    products = design.product_basis
    couplings, correlations = (
        design.per_layer(f"product_basis.{name}") for name in ("coupling", "correlation")
    )
    layers = zip(correlations, couplings, strict=True)
    orders = [nu for nu, coupling in layers if nu > 1 and coupling == "full"]
    if not orders:
        if products.total_degree is not None or products.l_weight != 1.5:
            raise DesignError(
                "product_basis.total_degree and l_weight choose among products of any channels, "
                "but no layer with products has product_basis.coupling 'full'. Leave them out, or "
                "set product_basis.coupling: full."
            )
        return
    if products.basis != "reduced":
        raise DesignError(
            f"product_basis.basis is {products.basis!r}, but coupling: full has the reduced "
            "couplings only. Set product_basis.basis: reduced."
        )
    degrees = products.total_degree
    if degrees is None or len(degrees) != max(orders):
        given = "missing" if degrees is None else f"{list(degrees)}"
        example = [12, 10, 8, 7][: max(orders)]
        raise DesignError(
            f"product_basis.total_degree is {given}, but coupling: full needs one degree for each "
            f"order, from 1 to {max(orders)}. Give e.g. total_degree: {example}."
        )


def _check_maps(design: Design) -> None:
    rows = zip(
        design.per_layer("radial.map"),
        design.per_layer("radial.species"),
        design.per_layer("atomic_basis.before_edges"),
        design.per_layer("atomic_basis.after_pooling"),
        design.per_layer("product_basis.correlation"),
        design.per_layer("product_basis.coupling"),
        design.per_layer("update.linear"),
        strict=True,
    )
    for layer, (radial, species, before, after, correlation, coupling, linear) in enumerate(
        rows, 1
    ):
        if radial == "none" and (layer > 1 or design.embedding != "one_hot"):
            raise DesignError(
                f"Layer {layer}: radial.map 'none' gives each element channels of its own, which "
                "only the first layer after embedding: one_hot has. Use radial.map: linear here."
            )
        if radial == "none" and (before != "none" or species != "none"):
            raise DesignError(
                f"Layer {layer}: radial.map 'none' leaves nothing that could depend on elements or "
                f"mix them, but atomic_basis.before_edges is {before!r} and radial.species is "
                f"{species!r}. Set both to 'none', or radial.map: linear."
            )
        if after != "none":
            continue
        if correlation > 1 and coupling == "per_channel":
            raise DesignError(
                f"Layer {layer}: products within each channel need as many channels of every l, "
                "which atomic_basis.after_pooling 'none' does not give. Set after_pooling: shared, "
                "or product_basis.coupling: full."
            )
        if correlation == 1 and linear == "none":
            raise DesignError(
                f"Layer {layer}: with atomic_basis.after_pooling and update.linear both 'none' the "
                "channels of all paths would be features. Set one of them to 'shared'."
            )


def _check_widths(design: Design) -> None:
    rows = zip(design.per_layer("channels"), design.per_layer("features_l_max"), strict=True)
    for layer, (channels, l_max) in enumerate(rows, 1):
        missing = [] if isinstance(channels, int) else sorted(set(range(l_max + 1)) - set(channels))
        if missing:
            raise DesignError(
                f"channels of layer {layer} has no entry for l = {missing[0]}, but features_l_max "
                f"is {l_max}. Give a width for every l from 0 to {l_max}."
            )


def _check_energy(design: Design) -> None:
    energy = design.energy
    if energy.zbl == "none" and energy.zbl_constants != type(energy.zbl_constants)():
        raise DesignError(
            "energy.zbl_constants has no effect with energy.zbl: none. Leave it out, or set "
            "energy.zbl: outside or inside."
        )
    for name in ("trainable", "per_element"):
        if getattr(energy, name) and energy.shift == energy.scale == "none":
            raise DesignError(
                f"energy.{name} is true, but there is neither a shift nor a scale. Leave it out, "
                "or set energy.scale: rms_forces or energy.shift: mean."
            )
    if energy.per_element and energy.scale == "std":
        raise DesignError(
            "energy.per_element is true, but energy.scale: std is one number for the energies of "
            "whole structures. Use energy.scale: rms_forces, or energy.per_element: false."
        )
