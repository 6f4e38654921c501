"""`Design`: one point of the Multi-ACE design space, as plain, frozen, typed data."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from multiace.design.per_layer import PerLayer, expand
from multiace.o3.full import TotalDegree
from multiace.units import BOHR, COULOMB

FORMAT_VERSION = 1
"""Version of the meaning of a Design; defaults below are frozen with it."""


def _no_truth(value: object) -> object:
    """Refuse true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"must be a whole number, got {value}.")
    return value


Positive = Annotated[int, BeforeValidator(_no_truth), Field(ge=1)]
PositiveNumber = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
FourNumbers = tuple[PositiveNumber, PositiveNumber, PositiveNumber, PositiveNumber]
Degree = Annotated[int, Field(ge=0, le=6)]
Correlation = Annotated[int, Field(ge=1, le=4)]
Widths = Positive | dict[Degree, Positive]

Hidden = tuple[Positive, ...]
SpeciesDependence = Literal["none", "sender", "receiver", "pair"]
LinearMap = Literal["none", "shared", "per_element"]
PooledMap = Literal["none", "shared", "per_element", "shared_then_per_element"]
Coupling = Literal["per_channel", "full"]
RadialMap = Literal["none", "linear"]
SelfConnection = Literal["none", "identity", "linear", "per_element"]
Nonlinearity = Literal["none", "gate", "norm"]
ReadoutKind = Literal["none", "sum", "linear", "mlp"]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _one_network(value: object) -> object:
    """Take a list of widths as one network, so that a list of lists is one network a layer."""
    if isinstance(value, list) and not any(isinstance(entry, list) for entry in value):
        return tuple(value)
    return value


class Agnesi(_Group):
    """T(r) = 1 / (1 + a x^q / (1 + x^(q - p))), x = 2 r / (R_j + R_i), R covalent radii."""

    a: PositiveNumber = Field(default=1.0805, description="Strength of the decay.")
    q: PositiveNumber = Field(default=0.9183, description="Power of 1/T at large distances.")
    p: PositiveNumber = Field(default=4.5791, description="Power of 1/T at small ones, above q.")


class NormalisedAgnesi(_Group):
    """y(t) = 1 / (1 + a t^q / (1 + t^(q - p))), t = r / (R_j + R_i), R covalent radii.

    x = 2 (y(r) - y(r_in)) / (y(r_c) - y(r_in)) - 1 rises from -1 at r_in to 1 at r_c, most steeply
    at t = 1, by a = (4 p q - 2 (p + q)) / (p + p^2 + q + q^2). T = r_c (1 + x) / 2 takes the place
    of r in the radial basis, and in the two-sided envelope.
    """

    p: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = Field(
        default=2.0, description="Power of 1/y at large distances, 1 or more."
    )
    q: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = Field(
        default=4.0, description="Power of 1/y at small ones, p or more."
    )
    r_in: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = Field(
        default=0.0,
        description=(
            "Distance in Å up to which x is -1; above 0, radial functions have inner - 1 "
            "continuous derivatives there, inner that of the two-sided envelope."
        ),
    )


class TwoSided(_Group):
    """u(x) = ((1 + x) / 2)^inner ((1 - x) / 2)^outer, x = 2 r / r_c - 1, or that of a transform."""

    inner: Annotated[int, BeforeValidator(_no_truth), Field(ge=0)] = Field(
        default=2, description="Power at x = -1, where atoms are on top of each other."
    )
    outer: Annotated[int, BeforeValidator(_no_truth), Field(ge=2)] = Field(
        default=2, description="Power at the cutoff, where outer - 1 derivatives are continuous."
    )


class Radial(_Group):
    """Radial functions R_{p c}(r; z_j, z_i): basis x envelope, then a network."""

    family: Literal["bessel", "chebyshev", "gaussian", "jacobi"] = Field(
        default="bessel",
        description=(
            "Radial basis e_n(r), n = 1..number; jacobi: polynomials that are orthonormal together "
            "with the two-sided envelope, Legendre polynomials with another."
        ),
    )
    number: Positive = Field(default=8, description="Number of basis functions.")
    trainable: bool = Field(
        default=False, description="Train the Bessel frequencies or the Gaussian centres."
    )
    transform: Literal["none", "agnesi", "normalised_agnesi"] = Field(
        default="none",
        description=(
            "Evaluate the basis at r, or at T(r; z_j, z_i), by which bonds look alike; "
            "normalised_agnesi: at a T that rises from 0 to the cutoff, as r does."
        ),
    )
    agnesi: Agnesi = Field(default=Agnesi(), description="Constants of the Agnesi transform.")
    normalised_agnesi: NormalisedAgnesi = Field(
        default=NormalisedAgnesi(), description="Constants of the normalised Agnesi transform."
    )
    envelope: Literal["polynomial", "cosine", "two_sided"] = Field(
        default="polynomial",
        description=(
            "Cutoff function; polynomial is C2 at the cutoff, cosine only C1, two_sided "
            "C(outer - 1)."
        ),
    )
    two_sided: TwoSided = Field(default=TwoSided(), description="Powers of that envelope.")
    envelope_power: Annotated[int, Field(ge=2)] = Field(
        default=6, description="Power p of the polynomial envelope."
    )
    envelope_on: Literal["basis", "weights"] = Field(
        default="basis",
        description="Multiply the basis (network input) or the radial weights (network output).",
    )
    hidden: Annotated[PerLayer[Hidden], BeforeValidator(_one_network)] = Field(
        default=(64, 64, 64),
        description="Widths of the network's hidden layers; [] is a linear map.",
    )
    activation: Literal["silu", "tanh"] = Field(
        default="silu", description="Activation of the hidden layers."
    )
    bias: bool = Field(
        default=False, description="Biases in the hidden layers; needs envelope_on: weights."
    )
    map: PerLayer[RadialMap] = Field(
        default="linear",
        description=(
            "Last map of the network, to a function for each path and channel; none: each of its "
            "outputs is a channel of its own, for each element of a one-hot embedding."
        ),
    )
    species: PerLayer[SpeciesDependence] = Field(
        default="none",
        description="Elements the last map of the network depends on: R, R_zj, R_zi or R_zj_zi.",
    )


class AtomicBasis(_Group):
    """A_i = (1/lambda) sum_j phi(j -> i), and the linear maps around the sum."""

    before_edges: PerLayer[LinearMap] = Field(
        default="shared", description="Channel mixing of h_j before the edges: none, W or W_zj."
    )
    pooling: Literal["1", "N", "sqrt_N", "density"] = Field(
        default="N",
        description=(
            "lambda: 1, N or sqrt(N), N = mean neighbours of the training set; or density: "
            "1 + sum_j tanh((w e(r_ji))^2), with w of each layer."
        ),
    )
    after_pooling: PerLayer[PooledMap] = Field(
        default="shared",
        description=(
            "Map of (path, channel) to channel after the sum: none, W, W_z, or W_z W "
            "(shared_then_per_element)."
        ),
    )


class ProductBasis(_Group):
    """B_i: symmetrised products of up to `correlation` factors A_i."""

    correlation: PerLayer[Correlation] = Field(
        default=1, description="nu, neighbours multiplied in one message; 1: B = A."
    )
    coupling: PerLayer[Coupling] = Field(
        default="per_channel",
        description="Products within each channel of A, or of any channels (linear ACE).",
    )
    total_degree: tuple[PositiveNumber, ...] | None = Field(
        default=None,
        description=(
            "With coupling: full, D_k for products of k = 1, 2, .. factors: those with "
            "sum_i (n_i + l_weight l_i) <= D_k, n the number of a channel within its element."
        ),
    )
    l_weight: PositiveNumber = Field(
        default=1.5, description="With coupling: full, what one l weighs against one n."
    )
    l_max: Degree | None = Field(
        default=None,
        description="Largest l of A where correlation > 1; default: l_max of the edges.",
    )
    basis: Literal["reduced", "mace"] = Field(
        default="reduced",
        description="Linearly independent couplings, or the unreduced chains of mace-torch.",
    )
    weights: Literal["per_element", "shared"] = Field(
        default="per_element", description="Product weights w_z or w."
    )


class Update(_Group):
    """h' = sigma( W m + self-connection(h, z) )."""

    linear: PerLayer[LinearMap] = Field(
        default="none", description="W of the message: none (m as it is), shared or per element."
    )
    self_connection: PerLayer[SelfConnection] = Field(
        default="per_element", description="What of h_i is added to the message."
    )
    nonlinearity: PerLayer[Nonlinearity] = Field(
        default="none", description="sigma: none keeps the body order finite."
    )
    activation: Literal["silu", "tanh"] = Field(
        default="silu", description="Activation of even scalars and of norms (odd scalars: tanh)."
    )
    gate_activation: Literal["silu", "tanh", "sigmoid"] = Field(
        default="silu", description="Activation of the gates."
    )


class Readout(_Group):
    """R_t: even scalars of h^(t) to an energy per atom."""

    kind: PerLayer[ReadoutKind] = Field(
        default="linear",
        description="Readout after each layer: none, the sum of scalars, a linear map, or an MLP.",
    )
    hidden: Positive = Field(default=16, description="Hidden width of the MLP.")
    activation: Literal["none", "silu", "tanh"] = Field(
        default="silu", description="Activation of the MLP; none: two linear maps."
    )


class ZBL(_Group):
    """Repulsion (coulomb / r) z_j z_i phi(r / a) u(r), a = length / (z_j^power + z_i^power).

    phi(x) = sum_k coefficients_k exp(-exponents_k x).
    """

    length: PositiveNumber = Field(default=0.8854 * BOHR, description="Screening length in Å.")
    power: PositiveNumber = Field(default=0.23, description="Power of the nuclear charges.")
    coulomb: PositiveNumber = Field(default=COULOMB, description="e^2 / (4 pi eps0) in eV Å.")
    envelope_power: Annotated[int, Field(ge=2)] = Field(
        default=6, description="Power of the polynomial envelope u."
    )
    coefficients: FourNumbers = Field(
        default=(0.1818, 0.5099, 0.2802, 0.02817), description="Weights of the terms of phi."
    )
    exponents: FourNumbers = Field(
        default=(3.2, 0.9423, 0.4028, 0.2016), description="Decay of the terms of phi."
    )
    ends_at: PositiveNumber | None = Field(
        default=None,
        description="Distance in Å at which u ends; default: where the covalent radii touch.",
    )


class Energy(_Group):
    """E_i = E0_z + scale * sum_t R_t + shift (+ ZBL)."""

    reference: Literal["isolated_atoms", "given", "least_squares", "mean", "none"] = Field(
        default="isolated_atoms", description="Where E0 (eV) of each element comes from."
    )
    shift: Literal["none", "mean"] = Field(
        default="none",
        description="mean: mean of (E - sum E0)/atoms of the training set, added to every atom.",
    )
    scale: Literal["none", "rms_forces", "std"] = Field(
        default="rms_forces",
        description="Unit of the network: 1 eV, RMS force (x 1 Å) or std of the energy per atom.",
    )
    per_element: bool = Field(default=False, description="Shift and scale for each element.")
    trainable: bool = Field(default=False, description="Train shift and scale.")
    zbl: Literal["none", "outside", "inside"] = Field(
        default="none",
        description="Ziegler-Biersack-Littmark repulsion outside or inside scale and shift.",
    )
    zbl_constants: ZBL = Field(default=ZBL(), description="Constants of the repulsion.")


class Normalisation(_Group):
    """Constants that keep features of order one."""

    path: Literal["element", "path"] = Field(
        default="element",
        description="After pooling: weigh every channel (element) or every path alike.",
    )
    count_elements: bool = Field(
        default=False,
        description="Divide per-element maps by sqrt(elements), as one-hot fan-in (e3nn) does.",
    )
    fan_in: Literal["forward", "initial"] = Field(
        default="forward",
        description="1/sqrt(fan-in) in every forward pass (unit weights), or in the initial values",
    )
    initialisation: Literal["normal", "uniform", "orthogonal"] = Field(
        default="normal", description="Distribution of initial weights, all of unit variance."
    )
    activation: Literal["second_moment", "none"] | dict[str, float] = Field(
        default="second_moment",
        description="Scale f so that E f(x)^2 = 1, x ~ N(0,1); or constants of an imported model.",
    )


class Design(_Group):
    """One point of the Multi-ACE design space.

    Every field is independent of the others; combinations that have no meaning are refused with
    the rule. A Design knows no data and no weights: `multiace.potential.Potential` builds the
    model, `multiace.design.describe` says what it computes.

    Example:
        >>> design = Design(layers=2, channels=16, l_max=2, product_basis={"correlation": 3})
        >>> design.per_layer("product_basis.correlation")
        (3, 3)
    """

    layers: Positive = Field(default=2, description="T, number of message-passing layers.")
    channels: PerLayer[Widths] = Field(
        default=32, description="Channels of h after each layer; {l: channels} for widths by l."
    )
    embedding: Literal["learned", "one_hot"] = Field(
        default="learned", description="h^(0): learned vector of the element, or its one-hot."
    )
    embedding_channels: Positive | None = Field(
        default=None, description="Channels of h^(0); default: scalars of the first layer."
    )
    cutoff: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = Field(
        default=5.0, description="Radius r_c of an atom's neighbourhood in Å."
    )
    l_max: Degree = Field(default=3, description="Largest l of the edge harmonics Y.")
    features_l_max: PerLayer[Degree] = Field(
        default=1, description="Largest l of the features h after each layer."
    )
    parity: Literal["both", "natural"] = Field(
        default="natural", description="Features of both parities, or only of parity (-1)^l."
    )
    radial: Radial = Field(default=Radial(), description="Radial functions.")
    atomic_basis: AtomicBasis = Field(default=AtomicBasis(), description="Pooling.")
    product_basis: ProductBasis = Field(default=ProductBasis(), description="Products of A.")
    update: Update = Field(default=Update(), description="Update of the features.")
    readout: Readout = Field(default=Readout(), description="Energies from features.")
    energy: Energy = Field(default=Energy(), description="Energy reference and scale.")
    normalisation: Normalisation = Field(default=Normalisation(), description="Constants.")

    @model_validator(mode="after")
    def _check(self) -> Design:
        from multiace.design.check import check

        check(self)
        return self

    def per_layer(self, path: str) -> tuple:
        """Return the value of a field for each layer, e.g. `per_layer("update.linear")`."""
        value: Any = self
        for name in path.split("."):
            value = getattr(value, name)
        return expand(value, self.layers, path)

    @property
    def widths(self) -> tuple[int | dict[int, int], ...]:
        """Channels after each layer: one number where every l has it, else by l.

        Example:
            >>> Design(layers=2, channels=[{0: 4, 1: 4}, {0: 4, 1: 2, 2: 7}]).widths
            (4, {0: 4, 1: 2})
        """
        rows = zip(self.per_layer("channels"), self.per_layer("features_l_max"), strict=True)
        return tuple(_width(channels, l_max) for channels, l_max in rows)

    def total_degree(self, layer: int) -> TotalDegree | None:
        """Return which products of different channels a layer takes; None: channel by channel."""
        correlation = self.per_layer("product_basis.correlation")[layer]
        degrees = self.product_basis.total_degree
        if correlation == 1 or self.per_layer("product_basis.coupling")[layer] != "full":
            return None
        assert degrees is not None
        return TotalDegree(degrees[:correlation], self.product_basis.l_weight)

    @property
    def last_readout(self) -> int:
        """Number of the last layer that has a readout: nothing after it changes the energy."""
        kinds = self.per_layer("readout.kind")
        return max(layer for layer, kind in enumerate(kinds, 1) if kind != "none")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes as plain data: generic parts have no importable name."""
        return Design.model_validate, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: nested dicts, lists and scalars, defaults included."""
        return self.model_dump(mode="json")

    def canonical(self) -> dict[str, Any]:
        """Return the fields that differ from the defaults, each in its one normal form."""
        return _differences(normal_form(self), normal_form(Design(layers=self.layers)))

    @property
    def content_hash(self) -> str:
        """SHA-256 of the canonical form: equal for equal models, however they were written."""
        content = {"format_version": FORMAT_VERSION, "layers": self.layers, **self.canonical()}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


PER_LAYER_FIELDS = (
    "channels",
    "features_l_max",
    "radial.hidden",
    "radial.map",
    "radial.species",
    "atomic_basis.before_edges",
    "atomic_basis.after_pooling",
    "product_basis.correlation",
    "product_basis.coupling",
    "update.linear",
    "update.self_connection",
    "update.nonlinearity",
    "readout.kind",
)


def normal_form(design: Design) -> dict[str, Any]:
    """Return the plain data that all spellings of a Design share.

    Per-layer fields are lists, widths are as in `Design.widths`, numbers given at the value that
    they would have anyway are None, and what acts on nothing in this design has its default.
    """
    content = design.to_dict()
    defaults = Design(layers=design.layers).to_dict()
    for path in _idle_fields(design):
        group, name = path.split(".")
        content[group][name] = defaults[group][name]
    for path in PER_LAYER_FIELDS:
        *groups, name = path.split(".")
        room = content
        for group in groups:
            room = room[group]
        room[name] = json.loads(json.dumps(design.per_layer(path)))
    correlations = design.per_layer("product_basis.correlation")
    couplings = content["product_basis"]["coupling"]
    for layer, correlation in enumerate(correlations):
        couplings[layer] = "per_channel" if correlation == 1 else couplings[layer]
    widths = design.widths
    content["channels"] = json.loads(json.dumps(widths))
    scalars = widths[0][0] if isinstance(widths[0], dict) else widths[0]
    if design.embedding_channels == scalars:
        content["embedding_channels"] = None
    if design.product_basis.l_max == design.l_max:
        content["product_basis"]["l_max"] = None
    return content


def _idle_fields(design: Design) -> list[str]:
    """Return the fields of parts that the design has in no layer."""
    nonlinearities = set(design.per_layer("update.nonlinearity"))
    idle = {
        "product_basis.weights": set(design.per_layer("product_basis.correlation")) == {1},
        "product_basis.basis": set(design.per_layer("product_basis.correlation")) == {1},
        "product_basis.l_weight": design.product_basis.total_degree is None,
        "readout.hidden": "mlp" not in design.per_layer("readout.kind"),
        "readout.activation": "mlp" not in design.per_layer("readout.kind"),
        "update.activation": nonlinearities == {"none"},
        "update.gate_activation": "gate" not in nonlinearities,
        "radial.activation": not any(design.per_layer("radial.hidden")),
    }
    return [path for path, is_idle in idle.items() if is_idle]


def _width(channels: int | dict[int, int], l_max: int) -> int | dict[int, int]:
    """Return the widths up to l_max, as one number where they are equal."""
    if isinstance(channels, int):
        return channels
    used = {l: width for l, width in channels.items() if l <= l_max}
    return used[0] if len(set(used.values())) == 1 else used


def _differences(content: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in content.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            inner = _differences(value, default)
            if inner:
                result[name] = inner
        elif value != default:
            result[name] = value
    return result
