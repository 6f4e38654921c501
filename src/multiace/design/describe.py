"""What a Design computes: equations, body order, receptive field, size and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multiace.design.cost import Cost, cost
from multiace.design.layout import layouts
from multiace.design.parameters import count_parameters, n_functions
from multiace.design.spec import PER_LAYER_FIELDS, Design, normal_form


@dataclass(frozen=True)
class Description:
    """Facts about a Design for given elements.

    | field | what |
    |---|---|
    | `equations` | the equations it selects, (layers, text) |
    | `body_orders` | largest body order of each readout's energy, None if unbounded |
    | `receptive_field` | Å |
    | `paths_per_layer`, `live_paths_per_layer` | couplings, and those that reach a readout |
    | `parameters`, `active_parameters` | as papers count, and those that reach a readout |
    | `parts` | part of the model -> active parameters |
    | `functions` | of layers that couple any channels: layer -> functions B of a centre, by order |
    | `nonlinear` | field by which the energy is not linear in the weights; None: it is linear |
    | `atomic_limit` | energy of an isolated atom |
    | `smoothness` | continuous derivatives of the energy at the cutoff |
    | `cost` | per atom, for `neighbours` |
    """

    design: Design
    elements: tuple[str, ...]
    equations: tuple[tuple[str, str], ...]
    body_orders: tuple[int | None, ...]
    receptive_field: float
    paths_per_layer: tuple[int, ...]
    live_paths_per_layer: tuple[int, ...]
    parameters: int
    active_parameters: int
    parts: dict[str, int]
    functions: dict[int, tuple[int, ...]]
    nonlinear: str | None
    atomic_limit: str
    smoothness: str
    neighbours: float
    cost: Cost

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "elements": list(self.elements),
            "parameters": self.parameters,
            "active_parameters": self.active_parameters,
            "active_parameters_by_part": self.parts,
            "paths_per_layer": list(self.paths_per_layer),
            "live_paths_per_layer": list(self.live_paths_per_layer),
            "functions_by_order": {str(t): list(n) for t, n in self.functions.items()},
            "linear_in_weights": self.nonlinear is None,
            "body_orders": list(self.body_orders),
            "atomic_limit": self.atomic_limit,
            "smoothness": self.smoothness,
            "receptive_field": self.receptive_field,
            "neighbours": self.neighbours,
            "flops_per_atom": {
                "energy": self.cost.flops_energy,
                "energy_and_forces": self.cost.flops_forces,
            },
            "bytes_per_atom": {
                "fused": self.cost.bytes_fused,
                "unfused": self.cost.bytes_unfused,
            },
            "equations": [list(row) for row in self.equations],
            "content_hash": self.design.content_hash,
            "design": self.design.to_dict(),
        }


def describe(
    design: Design, elements: tuple[str, ...] = ("H", "C", "N", "O"), neighbours: float = 20.0
) -> Description:
    """Describe a Design.

    Args:
        design: the Design.
        elements: chemical symbols of the model.
        neighbours: mean neighbours of an atom, for the cost.

    Example:
        >>> from multiace.presets import botnet
        >>> describe(botnet()).body_orders, describe(botnet()).parameters
        ((2, 3, 4, 5, None), 3760016)
    """
    n_elements = len(elements)
    parts = count_parameters(design, n_elements, prune=True)
    return Description(
        design=design,
        elements=elements,
        equations=_equations(design),
        body_orders=body_orders(design),
        receptive_field=design.last_readout * design.cutoff,
        paths_per_layer=_n_paths(design, n_elements, prune=False),
        live_paths_per_layer=_n_paths(design, n_elements, prune=True),
        parameters=sum(count_parameters(design, n_elements, prune=False).values()),
        active_parameters=sum(parts.values()),
        parts=parts,
        functions=_functions(design, n_elements),
        nonlinear=nonlinear_field(design),
        atomic_limit=atomic_limit(design),
        smoothness=f"C{continuous_derivatives(design)}",
        neighbours=neighbours,
        cost=cost(design, n_elements, neighbours),
    )


def _n_paths(design: Design, n_elements: int, *, prune: bool) -> tuple[int, ...]:
    paths = [len(row.paths) for row in layouts(design, n_elements, prune=prune)]
    return (*paths, *[0] * (design.layers - len(paths)))


def _functions(design: Design, n_elements: int) -> dict[int, tuple[int, ...]]:
    """Count the functions of each order, over all irreps of the message, of the live layers."""
    return {
        layer: tuple(map(sum, zip(*n_functions(design, row), strict=True)))
        for layer, row in enumerate(layouts(design, n_elements), 1)
        if row.total_degree is not None
    }


def nonlinear_field(design: Design) -> str | None:
    """Return the first field by which energies are not linear in the weights; None: they are.

    A design that is linear, such as linear ACE, can be fitted in closed form.

    Example:
        >>> from multiace.presets import mace
        >>> nonlinear_field(mace())
        'layers'
    """
    linear: dict[str, tuple[Any, ...]] = {
        "layers": (1,),
        "embedding": ("one_hot",),
        "radial.map": ("none",),
        "radial.hidden": ((),),
        "radial.trainable": (False,),
        "atomic_basis.pooling": ("1", "N", "sqrt_N"),
        "atomic_basis.after_pooling": ("none",),
        "update.linear": ("none",),
        "update.nonlinearity": ("none",),
        "readout.kind": ("sum",),
        "energy.trainable": (False,),
    }
    for path, values in linear.items():
        if any(value not in values for value in design.per_layer(path)):
            return path
    return None


def body_orders(design: Design) -> tuple[int | None, ...]:
    """Return the largest body order of each readout's energy, None where there is no bound.

    n_{t+1} = nu (1 + n_t), n_0 = 0, as long as updates are linear; a linear readout then has
    n_t + 1 bodies. A nonlinear update or readout has no bound.

    Source: Batatia et al. 2025, body order of a message-passing ACE.

    Example:
        >>> body_orders(Design(layers=2, product_basis={"correlation": 2}))
        (3, 7)
    """
    order: int | None = 0
    result: list[int | None] = []
    rows = zip(
        design.per_layer("product_basis.correlation"),
        design.per_layer("update.nonlinearity"),
        design.per_layer("readout.kind"),
        strict=True,
    )
    for correlation, nonlinearity, readout in rows:
        bends = nonlinearity != "none" or design.atomic_basis.pooling == "density"
        order = None if order is None or bends else correlation * (1 + order)
        bounded = readout in ("sum", "linear") or design.readout.activation == "none"
        if readout != "none":
            result.append(order + 1 if order is not None and bounded else None)
    return tuple(result)


def continuous_derivatives(design: Design) -> int:
    """Return how many derivatives of the energy are continuous at the cutoff.

    The envelope decides; it may be more, as with Bessel functions, which vanish there.

    Example:
        >>> continuous_derivatives(Design()), continuous_derivatives(
        ...     Design(radial={"envelope": "two_sided", "two_sided": {"outer": 4}})
        ... )
        (2, 3)
    """
    radial = design.radial
    return {"polynomial": 2, "cosine": 1, "two_sided": radial.two_sided.outer - 1}[radial.envelope]


def atomic_limit(design: Design) -> str:
    """Say what the energy of an isolated atom is: E0, the shift, a constant of the element.

    Without neighbours A = 0 and every product and map of it; what is left of h^(0) is what
    self-connections carry to a readout.

    Example:
        >>> from multiace.presets import botnet, mace
        >>> atomic_limit(botnet()), atomic_limit(mace())
        ('E0', 'E0 + shift + constant of the element')
    """
    carried, constant = True, False
    connections = design.per_layer("update.self_connection")
    for connection, readout in zip(connections, design.per_layer("readout.kind"), strict=True):
        carried = carried and connection != "none"
        constant = constant or (carried and readout != "none")
    terms = ["E0"]
    if design.energy.shift != "none":
        terms.append("shift")
    if constant:
        terms.append("constant of the element")
    return " + ".join(terms)


def differences(design: Design, other: Design) -> list[tuple[str, Any, Any]]:
    """List the fields in which two Designs differ.

    Returns:
        (dotted field, value in `design`, value in `other`) as they were written; fields that agree
        however they were written are left out.

    Example:
        >>> from multiace.presets import nequip, nequip_linear
        >>> differences(nequip(), nequip_linear())
        [('update.nonlinearity', 'gate', 'none')]
    """
    left, right = _flat(design.to_dict()), _flat(other.to_dict())
    mine, theirs = _flat(normal_form(design)), _flat(normal_form(other))
    result = []
    for field in left:
        comparable = design.layers == other.layers or field not in PER_LAYER_FIELDS
        if comparable and mine[field] == theirs[field]:
            continue
        if left[field] != right[field]:
            result.append((field, left[field], right[field]))
    return result


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    groups = ("radial", "atomic_basis", "product_basis", "update", "readout", "energy")
    result: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict) and name in (*groups, "normalisation"):
            result.update(_flat(value, f"{prefix}{name}."))
        else:
            result[f"{prefix}{name}"] = value
    return result


_RADIAL = {"none": "r_ji", "sender": "r_ji; z_j", "receiver": "r_ji; z_i", "pair": "r_ji; z_j, z_i"}
_LAMBDA = {"1": "", "N": "1/N ", "sqrt_N": "1/sqrt(N) ", "density": "1/(1 + rho_i) "}
_MIXED = {"none": "h_j", "shared": "(W h_j)", "per_element": "(W_zj h_j)"}
_POOLED = {"none": "", "shared": "W ", "per_element": "W_zi ", "shared_then_per_element": "W_zi W "}
_UPDATE = {"none": "m_i", "shared": "W m_i", "per_element": "W_zi m_i"}
_CONNECTION = {"none": "", "identity": " + h_i", "linear": " + S h_i", "per_element": " + S_zi h_i"}


def _equations(design: Design) -> tuple[tuple[str, str], ...]:
    radial = design.radial
    embedding = "W_zi" if design.embedding == "learned" else "onehot(z_i)"
    argument = "r" if radial.transform == "none" else "T(r; z_j, z_i)"
    two_sided = radial.envelope == "two_sided"
    basis = (
        f"e_n({argument}) = {radial.number} {_family(design)}, {radial.envelope} "
        f"u({argument if two_sided else 'r'}/{design.cutoff:g} Å) on the {radial.envelope_on}"
    )
    rows = [*_transform(design), ("all", basis)]
    if two_sided:
        powers = radial.two_sided
        rows.append(("all", f"u(s) = s^{powers.inner} (1 - s)^{powers.outer}"))
    rows.append(("all", f"h_i^(0) = {embedding}"))
    layers = [_layer_equations(design, layer) for layer in range(design.layers)]
    start = 0
    for stop in range(1, design.layers + 1):
        if stop == design.layers or layers[stop] != layers[start]:
            name = str(start + 1) if stop == start + 1 else f"{start + 1}-{stop}"
            rows.extend((name, equation) for equation in layers[start])
            start = stop
    return (*rows, ("all", _energy_equation(design)))


def _family(design: Design) -> str:
    radial = design.radial
    if radial.family != "jacobi":
        return f"{radial.family} functions"
    if radial.envelope != "two_sided":
        return "Legendre polynomials"
    powers = radial.two_sided
    return f"Jacobi polynomials P^({2 * powers.outer}, {2 * powers.inner})"


def _transform(design: Design) -> list[tuple[str, str]]:
    """Return the equations of the transformed distance."""
    radial = design.radial
    if radial.transform == "none":
        return []
    if radial.transform == "agnesi":
        t = radial.agnesi
        formula = f"1 / (1 + {t.a:g} x^{t.q:g} / (1 + x^({t.q:g} - {t.p:g})))"
        return [("all", f"T = {formula}, x = 2 r / (R_j + R_i)")]
    t = radial.normalised_agnesi
    ends = f"(y({t.r_in:g} Å) - y(r)) / (y({t.r_in:g} Å) - y({design.cutoff:g} Å))"
    formula = f"1 / (1 + a x^{t.q:g} / (1 + x^({t.q:g} - {t.p:g})))"
    return [
        ("all", f"T = {design.cutoff:g} Å {ends}, not below 0"),
        ("all", f"y = {formula}, x = r / (R_j + R_i)"),
    ]


def _layer_equations(design: Design, layer: int) -> list[str]:
    def value(path: str) -> Any:
        return design.per_layer(path)[layer]

    hidden = "-".join(map(str, value("radial.hidden")))
    network = f"MLP({hidden})" if hidden else "linear"
    density = value("radial.map") == "none"
    neighbour = "sum_j R C Y(r_ji) " + _MIXED[value("atomic_basis.before_edges")]
    if density:
        network = network if hidden else "e_n itself, not a map"
        neighbour = "sum_{j: z_j = z} R_k Y(r_ji), a channel for each z and k"
    correlation = value("product_basis.correlation")
    update = _UPDATE[value("update.linear")] + _CONNECTION[value("update.self_connection")]
    kind = value("update.nonlinearity")
    equations = [f"R({_RADIAL[value('radial.species')]}) = {network} of e_n"]
    if design.atomic_basis.pooling == "density":
        equations.append("rho_i = sum_j tanh((w e_n)^2)")
    equations += [
        f"A_i = {_POOLED[value('atomic_basis.after_pooling')]}"
        f"{_LAMBDA[design.atomic_basis.pooling]}{neighbour}",
        "m_i = A_i" if correlation == 1 else _message_equation(design, layer),
        f"h_i' = {update}" if kind == "none" else f"h_i' = {kind}({update})",
    ]
    readout = value("readout.kind")
    if readout == "sum":
        equations.append("R_t = sum_c h_i'")
    elif readout == "linear":
        equations.append("R_t = w h_i'")
    elif readout == "mlp":
        inner = design.readout.activation
        mlp = "w W h_i'" if inner == "none" else f"w {inner}(W h_i')"
        equations.append(f"R_t = {mlp}")
    return equations


def _message_equation(design: Design, layer: int) -> str:
    weights = f"w{'_zi' if design.product_basis.weights == 'per_element' else ''}"
    degree = design.total_degree(layer)
    correlation = design.per_layer("product_basis.correlation")[layer]
    if degree is None:
        kind = f"{design.product_basis.basis} products of up to {correlation} A_i"
        return f"m_i = sum {weights} B_i, B = {kind}"
    limits = ", ".join(f"{d:g}" for d in degree.of_order)
    kind = f"products of any 1 to {correlation} channels of A_i"
    return f"m_i = sum {weights} B_i, B = {kind} with sum (n + {degree.l_weight:g} l) <= {limits}"


def _energy_equation(design: Design) -> str:
    energy = design.energy
    terms = ["0" if energy.reference == "none" else "E0_zi"]
    if energy.shift != "none":
        terms.append("shift_zi" if energy.per_element else "shift")
    repulsion = {"none": "", "outside": " + ZBL_i", "inside": ""}[energy.zbl]
    inner = "(ZBL_i + sum_t R_t)" if energy.zbl == "inside" else "sum_t R_t"
    scale = "" if energy.scale == "none" else ("scale_zi " if energy.per_element else "scale ")
    return f"E_i = {' + '.join(terms)}{repulsion} + {scale}{inner}"
