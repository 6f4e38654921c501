"""Random points of the whole design space, small enough to evaluate in milliseconds."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st
from pydantic import ValidationError
from tests.laws.systems import ELEMENTS

from multiace.design import Design, DesignError
from multiace.design.layout import layouts
from multiace.design.spec import (
    AtomicBasis,
    Coupling,
    Energy,
    LinearMap,
    Nonlinearity,
    Normalisation,
    PooledMap,
    ProductBasis,
    Radial,
    Readout,
    ReadoutKind,
    SelfConnection,
    SpeciesDependence,
    Update,
)

CONSTANTS = {"silu": 1.7, "tanh": 1.6, "sigmoid": 1.8}
"""Activation constants as an imported model would have them."""

L_MAX_OF_PRODUCTS = {
    "natural": {1: 3, 2: 3, 3: 2, 4: 1},
    "both": {1: 3, 2: 2, 3: 1, 4: 1},
}
"""Largest l of the factors for each correlation: beyond, couplings are right but slow to make."""


def accepted(fields: dict[str, Any]) -> Design | None:
    """Return the Design, or None if the combination is refused by its rules, and no other way."""
    try:
        design = Design.model_validate(fields)
        layouts(design, len(ELEMENTS))
        return design
    except DesignError:  # an identity on the one-hot of more elements than channels
        return None
    except ValidationError as error:
        for row in error.errors():
            if not isinstance(row.get("ctx", {}).get("error"), DesignError):
                raise
        return None


@st.composite
def designs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw values for every field of a Design; `accepted` makes the Design of most of them.

    The Design is made in the test: the runtime type checker draws random numbers, which a
    strategy must not do.
    """
    layers = draw(st.integers(1, 3))
    parity = draw(st.sampled_from(["both", "natural"]))
    l_max = draw(st.integers(0, 3))
    correlation = draw(per_layer(st.integers(1, 4), layers))
    largest = L_MAX_OF_PRODUCTS[parity][max(_each(correlation))]
    channels = draw(per_layer(widths(), layers))
    nonlinearity = draw(per_layer(options(Nonlinearity), layers))
    apart = _has_widths_by_l(channels) or "gate" in _each(nonlinearity)
    needs_map = apart and max(_each(correlation)) > 1
    embedding = draw(st.sampled_from(["learned", "one_hot"]))
    coupling = draw(options(Coupling) | per_layer(options(Coupling), layers))
    rows = list(zip(_by_layer(correlation, layers), _by_layer(coupling, layers), strict=True))
    orders = max((nu for nu, word in rows if nu > 1 and word == "full"), default=0)
    mixed = any(nu > 1 and word == "per_channel" for nu, word in rows)
    pooled = draw(mostly_without("none", mixed, PooledMap, layers))
    needs_map |= "none" in _each(pooled) and any(nu == 1 for nu, _ in rows)
    maps = draw(radial_map(layers, embedding))
    by_element = maps != "linear"
    embedding_channels = draw(st.none() | st.integers(1, 4)) if embedding == "learned" else None
    equal_widths = (
        isinstance(channels, int) and embedding_channels is None and embedding == "learned"
    )
    return {
        "layers": layers,
        "channels": channels,
        "embedding": embedding,
        "embedding_channels": embedding_channels,
        "cutoff": draw(st.floats(2.8, 4.4)),  # third neighbours in silicon are at 4.5
        "l_max": l_max,
        "features_l_max": draw(per_layer(st.integers(0, min(3, largest + 1)), layers)),
        "parity": parity,
        "radial": {
            **draw(radial(layers)),
            "map": maps,
            **({"species": "none"} if by_element else {}),
        },
        "atomic_basis": {
            "before_edges": "none" if by_element else draw(per_layer(options(LinearMap), layers)),
            "pooling": draw(option(AtomicBasis, "pooling")),
            "after_pooling": pooled,
        },
        "product_basis": {
            "correlation": correlation,
            "l_max": draw(degree_of_products(correlation, l_max, largest)),
            "basis": "reduced" if orders else draw(option(ProductBasis, "basis")),
            "coupling": coupling,
            **(draw(total_degrees(orders)) if orders else {}),
            "weights": draw(option(ProductBasis, "weights")),
        },
        "update": {
            "linear": draw(mostly_without("none", needs_map, LinearMap, layers)),
            "self_connection": draw(
                mostly_without("identity", not equal_widths, SelfConnection, layers)
            ),
            "nonlinearity": nonlinearity,
            "activation": draw(option(Update, "activation")),
            "gate_activation": draw(option(Update, "gate_activation")),
        },
        "readout": {
            "kind": draw(per_layer(options(ReadoutKind), layers).filter(_has_readout)),
            "hidden": draw(st.integers(1, 4)),
            "activation": draw(option(Readout, "activation")),
        },
        "energy": draw(energy()),
        "normalisation": draw(normalisation()),
    }


def total_degrees(orders: int) -> st.SearchStrategy[dict[str, Any]]:
    """Draw which products of any channels there are, of so many orders."""
    limits = [st.floats(3.0, 6.0), *(st.floats(n + 1.0, n + 2.5) for n in range(2, orders + 1))]
    degrees = st.tuples(*limits[:orders])
    return st.fixed_dictionaries({"total_degree": degrees, "l_weight": st.floats(0.5, 2.0)})


@st.composite
def radial_map(draw: st.DrawFn, layers: int, embedding: str) -> Any:
    """Draw the last map of the radial functions; none where there are channels for it."""
    if embedding == "learned" or draw(st.booleans()):
        return "linear"
    return "none" if layers == 1 else {"first": "none", "rest": "linear"}


@st.composite
def radial(draw: st.DrawFn, layers: int) -> dict[str, Any]:
    """Draw the radial functions; biases and trained bases only where they are accepted."""
    hidden = draw(per_layer(st.lists(st.integers(1, 6), max_size=2), layers))
    on = draw(option(Radial, "envelope_on"))
    family, envelope, transform = (
        draw(option(Radial, name)) for name in ("family", "envelope", "transform")
    )
    begins = draw(st.integers(0, 5)) == 5  # at a distance, which few combinations may
    if begins:
        family = "jacobi" if family == "bessel" else family
        envelope, transform = "two_sided", "normalised_agnesi"
    if (envelope, transform) == ("two_sided", "agnesi"):
        transform = "none"
    if (family, envelope) == ("jacobi", "two_sided") and any(_each(hidden)):
        on = "basis"
    constants: dict[str, Any] = {}
    if envelope == "two_sided":
        inner, outer = draw(st.integers(2 if begins else 0, 3)), draw(st.integers(2, 4))
        constants["two_sided"] = {"inner": inner, "outer": outer}
    if transform == "agnesi" and draw(st.booleans()):
        constants["agnesi"] = draw(agnesi())
    if transform == "normalised_agnesi":
        constants["normalised_agnesi"] = draw(normalised_agnesi(begins))
    return {
        "family": family,
        "number": draw(st.integers(1, 6)),
        "trainable": family in ("bessel", "gaussian") and draw(st.booleans()),
        "transform": transform,
        "envelope": envelope,
        "envelope_power": draw(st.integers(2, 7)) if envelope == "polynomial" else 6,
        **constants,
        "envelope_on": on,
        "hidden": hidden,
        "activation": draw(option(Radial, "activation")),
        "bias": on == "weights" and hidden != [] and all(_each(hidden)) and draw(st.booleans()),
        "species": draw(per_layer(options(SpeciesDependence), layers)),
    }


@st.composite
def agnesi(draw: st.DrawFn) -> dict[str, float]:
    """Draw the constants of the Agnesi transform."""
    q = draw(st.floats(0.5, 2.0))
    return {"a": draw(st.floats(0.5, 2.0)), "q": q, "p": q + draw(st.floats(1, 4))}


@st.composite
def normalised_agnesi(draw: st.DrawFn, begins: bool) -> dict[str, float]:
    """Draw the constants of the normalised transform, which may begin at a distance."""
    p = draw(st.floats(1.0, 3.0))
    r_in = draw(st.floats(0.2, 0.7)) if begins else 0.0
    return {"p": p, "q": p + draw(st.floats(0.5, 2.0)), "r_in": r_in}


@st.composite
def energy(draw: st.DrawFn) -> dict[str, Any]:
    """Draw reference, shift and scale; trained or by element only where they are accepted."""
    words = [name for name in Energy.model_fields if name != "zbl_constants"]
    fields: dict[str, Any] = {name: draw(option(Energy, name)) for name in words}
    if fields["zbl"] != "none" and draw(st.booleans()):
        number = st.floats(0.2, 0.5)
        fields["zbl_constants"] = {
            "length": draw(number),
            "power": draw(number),
            "coulomb": 14.3996,
            "coefficients": draw(
                st.sampled_from([[0.1818, 0.5099, 0.2802, 0.02817], [0.2, 0.5, 0.25, 0.05]])
            ),
            "exponents": draw(
                st.sampled_from([[3.2, 0.9423, 0.4028, 0.2016], [3.0, 0.9, 0.4, 0.2]])
            ),
            "envelope_power": draw(st.integers(4, 7)),
            "ends_at": draw(st.none() | st.floats(1.0, 1.4)),
        }
    either = fields["shift"] != "none" or fields["scale"] != "none"
    fields["trainable"] = either and fields["trainable"]
    fields["per_element"] = either and fields["scale"] != "std" and fields["per_element"]
    return fields


def degree_of_products(correlation: Any, l_max: int, largest: int) -> st.SearchStrategy[int | None]:
    """Draw the largest l of the factors of products, if there are products."""
    if set(_each(correlation)) == {1}:
        return st.none()
    degrees = st.integers(0, largest)
    return st.none() | degrees if l_max <= largest else degrees


@st.composite
def normalisation(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the constants that keep features of order one."""
    fields = {n: draw(option(Normalisation, n)) for n in Normalisation.model_fields}
    if draw(st.integers(0, 3)) == 0:
        fields["activation"] = CONSTANTS
    return fields


@st.composite
def mostly_without(draw: st.DrawFn, word: str, when: bool, annotation: Any, layers: int) -> Any:
    """Draw words for each layer, seldom with a word that is likely to be refused."""
    words = literals(annotation)
    if when and draw(st.integers(0, 7)) > 0:
        words.remove(word)
    return draw(per_layer(st.sampled_from(words), layers))


def widths() -> st.SearchStrategy[int | dict[int, int]]:
    """Draw channels: one width, or one for each l."""
    width = st.integers(1, 5)
    return width | width | st.fixed_dictionaries(dict.fromkeys(range(4), width))


def option(group: type, name: str) -> st.SearchStrategy[Any]:
    """Draw a value of a field that takes one of a few words, or a bool."""
    return options(group.model_fields[name].annotation)


def options(annotation: Any) -> st.SearchStrategy[Any]:
    """Draw one of the values of a Literal (also inside a union), or a bool."""
    return st.sampled_from(literals(annotation))


def literals(annotation: Any) -> list[Any]:
    """Return the words a field takes."""
    if annotation is bool:
        return [False, True]
    found: list[Any] = []
    for argument in get_args(annotation):
        found += [argument] if isinstance(argument, str) else literals(argument)
    return found


def per_layer(values: st.SearchStrategy[Any], layers: int) -> st.SearchStrategy[Any]:
    """Draw a per-layer field: one value, a list, or {first, rest, last}."""
    apart = st.fixed_dictionaries({"rest": values}, optional={"first": values, "last": values})
    return values | st.lists(values, min_size=layers, max_size=layers) | apart


def _by_layer(field: Any, layers: int) -> list[Any]:
    """Value of a per-layer field in each layer, in whatever form."""
    if isinstance(field, dict) and "rest" in field:
        found = [field["rest"]] * layers
        found[0] = field.get("first", found[0])
        found[-1] = field.get("last", found[-1])
        return found
    return field if isinstance(field, list) else [field] * layers


def _each(field: Any) -> list[Any]:
    """Values of a per-layer field, in whatever form."""
    if isinstance(field, dict) and "rest" in field:
        return list(field.values())
    return field if isinstance(field, list) else [field]


def _has_readout(kinds: Any) -> bool:
    return any(kind != "none" for kind in _each(kinds))


def _has_widths_by_l(channels: Any) -> bool:
    return any(isinstance(width, dict) for width in _each(channels))
